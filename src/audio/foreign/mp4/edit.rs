//! Which of the decoded samples are the recording. An encoder puts samples in front of it (often
//! 1024 or 2112 of AAC) and fills up its last packet.
//!
//! An edit list says where the recording begins, to the sample, and how long it is, in a coarser
//! unit. So whole packets behind its end are left out, and the last packet is kept whole, as ffmpeg
//! does it.

use std::ops::Range;

use crate::audio::foreign::{long, rescaled, word};

/// An entry of an edit list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    /// Length in units of the movie; 0 for unknown.
    pub length: u64,
    /// The first sample, in units of the track.
    pub start: u64,
    /// Whether it plays at the usual speed.
    pub plain: bool,
}

/// The edits of the box `elst` that show a part of the track. Others are only pauses.
pub(super) fn edits(bytes: &[u8]) -> Option<Vec<Edit>> {
    let wide = *bytes.first()? == 1;
    let (count, entry) = (word(bytes, 4)? as usize, if wide { 20 } else { 12 });
    let entries = bytes.get(8..)?.get(..count.checked_mul(entry)?)?;
    let edit = |e: &[u8]| {
        let (length, start, rate) = match wide {
            true => (long(e, 0)?, long(e, 8)? as i64, word(e, 16)?),
            false => (word(e, 0)?.into(), i64::from(word(e, 4)? as i32), word(e, 8)?),
        };
        Some(u64::try_from(start).ok().map(|start| Edit { length, start, plain: rate == 1 << 16 }))
    };
    let edits: Vec<Option<Edit>> = entries.chunks_exact(entry).map(edit).collect::<Option<_>>()?;
    Some(edits.into_iter().flatten().collect())
}

/// The decoded samples that an edit shows. `units` are those of the track and of the movie, per
/// second.
pub(super) fn shown(edit: Edit, rate: u32, units: (u32, u32)) -> Range<u64> {
    let start = rescaled(edit.start, rate, units.0);
    match edit.length {
        0 => start..u64::MAX,
        length => start..start.saturating_add(rescaled(length, rate, units.1)),
    }
}

/// The same from iTunes' tag `iTunSMPB`: hexadecimal numbers, of which the second is the number of
/// samples in front, the third of those behind, and the fourth of those between.
pub(super) fn itunes(text: &str) -> Option<Range<u64>> {
    let mut numbers = text.split_whitespace().map(|word| u64::from_str_radix(word, 16).ok());
    let (_, start, _, length) =
        (numbers.next()??, numbers.next()??, numbers.next()??, numbers.next()??);
    (length > 0).then(|| start..start.saturating_add(length))
}

/// The part of the packets that is kept: no packet that begins behind the end, and the whole last
/// one. `each` is the number of samples of a packet.
pub(super) fn whole_packets(shown: Range<u64>, each: u64) -> Range<u64> {
    shown.start..shown.end.checked_next_multiple_of(each).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(version: u8, entries: &[(u64, i64, u32)]) -> Vec<u8> {
        let mut bytes = vec![version, 0, 0, 0];
        bytes.extend((entries.len() as u32).to_be_bytes());
        for (length, start, rate) in entries {
            if version == 1 {
                bytes.extend([length.to_be_bytes(), start.to_be_bytes()].concat());
            } else {
                bytes.extend(
                    [(*length as u32).to_be_bytes(), (*start as i32).to_be_bytes()].concat(),
                );
            }
            bytes.extend(rate.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn edits_of_both_versions() {
        for version in [0, 1] {
            let bytes = list(version, &[(500, -1, 1 << 16), (7300, 1024, 1 << 16), (9, 0, 0)]);
            let wanted = vec![
                Edit { length: 7300, start: 1024, plain: true },
                Edit { length: 9, start: 0, plain: false },
            ];
            assert_eq!(edits(&bytes), Some(wanted));
            assert_eq!(edits(&bytes[..bytes.len() - 1]), None);
            assert_eq!(edits(&list(version, &[])), Some(vec![]));
        }
        assert_eq!(edits(&[]), None);
    }

    #[test]
    fn edits_are_ranges_of_samples() {
        let edit = |length, start| Edit { length, start, plain: true };
        assert_eq!(shown(edit(7300, 1024), 16_000, (16_000, 1000)), 1024..117_824);
        assert_eq!(shown(edit(0, 64), 16_000, (1000, 600)), 1024..u64::MAX);
        assert_eq!(whole_packets(1024..117_824, 1024), 1024..118_784);
        assert_eq!(whole_packets(5..2048, 1024), 5..2048);
        assert_eq!(whole_packets(5..u64::MAX, 1024), 5..u64::MAX);
    }

    #[test]
    fn the_tag_of_itunes() {
        let text = " 00000000 00000840 000001CA 00000000000031F6 00000000 00000000";
        assert_eq!(itunes(text), Some(2112..2112 + 0x31f6));
        assert_eq!(itunes("0 840 1CA"), None);
        assert_eq!(itunes("0 840 x 1"), None);
    }
}
