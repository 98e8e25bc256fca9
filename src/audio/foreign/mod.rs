//! Containers of others, and the codecs in them.
//!
//! The readers of containers are this project's own: they find every packet, check what a file
//! promises against what it holds, and cut off what an encoder put in front of and behind the
//! recording. Only the packets themselves are decoded by other crates ([`codec`], Cargo feature
//! `formats`).

mod aiff;
mod bits;
mod caf;
mod codec;
mod frames;
mod mp4;
mod ogg;
mod table;

use std::ops::Range;

use super::blocks::Blocks;
use super::input::Input;
use super::kind::Container;
use crate::error::{Error, Result};

/// Opens the file that begins at byte `start`, behind any tags.
///
/// # Errors
/// A damaged or cut file, as far as its container tells; a codec that is not read, by its name;
/// a codec that this program was built without
/// ([`Remedy::RebuildWith`](crate::error::Remedy::RebuildWith)); several channels of which none
/// is chosen.
pub(super) fn open(
    input: Input,
    start: u64,
    container: Container,
    channel: Option<usize>,
) -> Result<Box<dyn Blocks + Send>> {
    Ok(match container {
        Container::Mp4 => mp4::open(input, start, channel)?,
        Container::Mp3 => Box::new(frames::mp3(input, start, channel)?),
        Container::Adts => Box::new(frames::adts(input, start, channel)?),
        Container::Vorbis => Box::new(ogg::Reader::vorbis(input, start, channel)?),
        Container::Opus => Box::new(ogg::Reader::opus(input, start, channel)?),
        Container::Aiff => Box::new(aiff::open(input, start, channel)?),
        Container::Caf => caf::open(input, start, channel)?,
    })
}

/// A number of big-endian bytes at a place, if they are there.
fn big_endian<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    big_endian(bytes, at).map(u16::from_be_bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    big_endian(bytes, at).map(u32::from_be_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    big_endian(bytes, at).map(u64::from_be_bytes)
}

/// The four characters of an identifier, for messages.
fn characters(id: &[u8]) -> String {
    id.escape_ascii().to_string()
}

/// The error for a chunk that is longer than the rest of the file.
fn cut(input: &Input, container: &str, id: &[u8], length: u64, held: u64) -> Error {
    let name = characters(id);
    let why = format!(
        "its chunk `{name}` promises {length} bytes, the file holds {held}: truncated or damaged"
    );
    input.unreadable(container, why)
}

/// `count` of another unit, as samples: `count * rate / scale`, to the nearest one.
fn rescaled(count: u64, rate: u32, scale: u32) -> u64 {
    let scale = u128::from(scale.max(1));
    let exact = (u128::from(count) * u128::from(rate) + scale / 2) / scale;
    u64::try_from(exact).unwrap_or(u64::MAX)
}

/// Drops decoded samples that are not of the recording: what an encoder put in front of it and
/// behind it. The samples from `before` on were decoded last; the first of them is number `first`
/// of all that were decoded, of which `kept` are the recording.
fn keep(samples: &mut Vec<f32>, before: usize, first: u64, kept: &Range<u64>) {
    let behind = first + (samples.len() - before) as u64;
    let (from, to) = (kept.start.max(first), kept.end.min(behind));
    if from >= to {
        samples.truncate(before);
        return;
    }
    samples.truncate(before + (to - first) as usize);
    samples.drain(before..before + (from - first) as usize);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recording_is_kept() {
        for kept in [0..20, 3..17, 5..5, 9..10, 12..u64::MAX, 0..0] {
            for block in 1..9u64 {
                let mut samples = vec![-1.0];
                for first in (0..20).step_by(block as usize) {
                    let before = samples.len();
                    samples.extend((first..(first + block).min(20)).map(|x| x as f32));
                    keep(&mut samples, before, first, &kept);
                }
                let wanted = (0..20u64).filter(|x| kept.contains(x)).map(|x| x as f32);
                assert_eq!(samples[1..], wanted.collect::<Vec<_>>(), "{kept:?} {block}");
            }
        }
    }

    #[test]
    fn other_units_become_samples_to_the_nearest_one() {
        assert_eq!(rescaled(7300, 16_000, 1000), 116_800);
        assert_eq!(rescaled(1, 44_100, 1000), 44);
        assert_eq!(rescaled(u64::MAX, u32::MAX, 0), u64::MAX);
    }
}
