//! AIFF and AIFF-C: chunks of big-endian numbers. `COMM` describes the samples, `SSND` holds them.

use crate::audio::foreign::{big_endian, characters, cut, half, long, word};
use crate::audio::input::Input;
use crate::audio::kind::unsupported;
use crate::audio::pcm::{Encoding, Layout, Reader};
use crate::error::Result;

const NAME: &str = "AIFF";
/// Bytes of the chunk `COMM` that matter.
const FIELDS: usize = 22;

/// Opens the file that begins at byte `start`.
///
/// # Errors
/// A damaged or cut file; an encoding that is not read, by its name; several channels of which none
/// is chosen.
pub(super) fn open(mut input: Input, start: u64, channel: Option<usize>) -> Result<Reader> {
    let (fields, sound) = chunks(&mut input, start)?;
    let Some(common) = parse(&fields) else {
        return Err(input.unreadable(NAME, "its chunk `COMM` is too short or makes no sense"));
    };
    let Some(layout) = layout(&common) else {
        let name = characters(&common.coding);
        let what = format!("AIFF audio encoded as `{name}` of {} bits", common.bits);
        return Err(unsupported(input.path(), &what));
    };
    // A length of 0 in both chunks is one that a writer to a pipe could not know.
    let held = sound.end - sound.start;
    let frames = u64::from(common.frames);
    let promised = if frames == 0 { held } else { frames * layout.frame() as u64 };
    if promised > held {
        let why = format!(
            "its header promises {promised} bytes of samples, its chunk `SSND` holds {held}: \
             truncated or damaged"
        );
        return Err(input.unreadable(NAME, why));
    }
    let data = sound.start..sound.start + promised;
    Reader::new(input, NAME, layout, common.rate, data, channel)
}

/// The content of the chunk `COMM`, and the place of the samples.
fn chunks(input: &mut Input, start: u64) -> Result<(Vec<u8>, std::ops::Range<u64>)> {
    let (mut common, mut sound) = (None, None);
    let mut at = start + 12;
    while common.is_none() || sound.is_none() {
        let head = input.at(at, 8)?;
        let (Some(id), Some(length)) = (big_endian::<4>(head, 0), word(head, 4)) else {
            let name = if common.is_none() { "COMM" } else { "SSND" };
            let why = format!("it ends without a chunk `{name}`: truncated or damaged");
            return Err(input.unreadable(NAME, why));
        };
        let (body, length) = (at + 8, u64::from(length));
        let held = input.length() - body;
        if length > held {
            return Err(cut(input, NAME, &id, length, held));
        }
        match &id {
            b"COMM" => {
                let length = FIELDS.min(length as usize);
                common = Some(input.at(body, length)?[..length].to_vec());
            }
            b"SSND" => {
                let before = word(input.at(body, 4)?, 0).map(|offset| 8 + u64::from(offset));
                let Some(before) = before.filter(|before| *before <= length) else {
                    return Err(input.unreadable(NAME, "its chunk `SSND` has an impossible offset"));
                };
                sound = Some(body + before..body + length);
            }
            _ => {}
        }
        at = body + length.next_multiple_of(2);
    }
    Ok((common.unwrap_or_default(), sound.unwrap_or_default()))
}

/// The fields of the chunk `COMM`.
struct Common {
    channels: usize,
    frames: u32,
    bits: usize,
    rate: u32,
    coding: [u8; 4],
}

fn parse(fields: &[u8]) -> Option<Common> {
    let channels = usize::from(half(fields, 0)?);
    let (frames, bits) = (word(fields, 2)?, usize::from(half(fields, 6)?));
    // A number of 80 bits: sign, exponent and mantissa.
    let (exponent, mantissa) = (half(fields, 8)?, long(fields, 10)?);
    let shift = 63u32.checked_sub(u32::from(exponent).checked_sub(16_383)?)?;
    let rate = u32::try_from(mantissa >> shift).ok()?;
    // AIFF-C only.
    let coding = big_endian(fields, 18).unwrap_or(*b"NONE");
    (channels > 0 && rate > 0).then_some(Common { channels, frames, bits, rate, coding })
}

fn layout(common: &Common) -> Option<Layout> {
    use Encoding::{ALaw, Float, MuLaw, Signed, Unsigned};
    // Numbers of other widths are stored in the upper bits of whole bytes.
    let whole = common.bits.div_ceil(8);
    let (encoding, bytes, big_endian) = match &common.coding.map(|b| b.to_ascii_lowercase()) {
        b"none" | b"twos" => (Signed, whole, true),
        b"sowt" => (Signed, whole, false),
        b"raw " => (Unsigned, whole, true),
        b"in24" => (Signed, 3, true),
        b"42ni" => (Signed, 3, false),
        b"in32" => (Signed, 4, true),
        b"23ni" => (Signed, 4, false),
        b"fl32" => (Float, 4, true),
        b"fl64" => (Float, 8, true),
        b"alaw" => (ALaw, 1, true),
        b"ulaw" => (MuLaw, 1, true),
        _ => return None,
    };
    let layout = Layout { encoding, bytes, big_endian, channels: common.channels };
    layout.is_possible().then_some(layout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::input::tests::every;
    use crate::audio::source::tests::all;

    fn chunk(id: &[u8], content: &[u8]) -> Vec<u8> {
        let mut chunk = [id, &(content.len() as u32).to_be_bytes(), content].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    }

    /// The chunk `COMM` of a file at 16 kHz.
    fn common(channels: u16, frames: u32, bits: u16, coding: &[u8]) -> Vec<u8> {
        let mut fields = [channels.to_be_bytes().as_slice(), &frames.to_be_bytes()].concat();
        fields.extend(bits.to_be_bytes());
        // 16000 = 0xfa00 * 2^-15 * 2^13
        fields.extend([0x40, 0x0c, 0xfa, 0, 0, 0, 0, 0, 0, 0]);
        fields.extend(coding);
        chunk(b"COMM", &fields)
    }

    fn sound(data: &[u8]) -> Vec<u8> {
        chunk(b"SSND", &[[0; 8].as_slice(), data].concat())
    }

    fn read(chunks: &[Vec<u8>], channel: Option<usize>) -> Result<(Vec<f32>, u32), String> {
        let bytes = [b"FORM\0\0\0\0AIFF".to_vec(), chunks.concat()].concat();
        let found = every("a.aiff", &bytes)
            .map(|input| open(input, 0, channel).and_then(all).map_err(|e| e.to_string()));
        assert!(found[0] == found[1] && found[1] == found[2], "{found:?}");
        let [found, ..] = found;
        found
    }

    #[test]
    fn chunks_in_any_order_give_the_samples() {
        let (one, other) = (common(2, 2, 16, b""), chunk(b"NAME", b"odd"));
        let data = sound(&[0x40, 0, 0x80, 0, 0xe0, 0, 0, 1]);
        let orders = [
            [one.clone(), other.clone(), data.clone()],
            [data.clone(), other.clone(), one.clone()],
            [other, one, data],
        ];
        for chunks in orders {
            assert_eq!(read(&chunks, Some(0)), Ok((vec![0.5, -0.25], 16_000)));
            assert_eq!(read(&chunks, Some(1)).unwrap().0, [-1.0, 1.0 / 32_768.0]);
            assert!(read(&chunks, None).unwrap_err().contains("has 2 channels"));
        }
    }

    #[test]
    fn encodings_by_their_names() {
        for (bits, coding, data, wanted) in [
            (8, b"NONE", vec![0x40], 0.5),
            (12, b"twos", vec![0x40, 0], 0.5),
            (16, b"sowt", vec![0, 0xc0], -0.5),
            (8, b"raw ", vec![0xc0], 0.5),
            (24, b"42ni", vec![0, 0, 0xc0], -0.5),
            (32, b"FL32", 0.25f32.to_be_bytes().to_vec(), 0.25),
            (64, b"fl64", (-0.25f64).to_be_bytes().to_vec(), -0.25),
            (16, b"ulaw", vec![0x80], 32_124.0 / 32_768.0),
        ] {
            let chunks = [common(1, 1, bits, coding), sound(&data)];
            assert_eq!(read(&chunks, None).unwrap().0, [wanted], "{}", characters(coding));
        }
        let error = read(&[common(1, 1, 4, b"ima4"), sound(&[0; 34])], None).unwrap_err();
        assert!(error.contains("encoded as `ima4`") && error.contains("ffmpeg -i"), "{error}");
    }

    #[test]
    fn damaged_files_are_errors() {
        let (good, data) = (common(1, 2, 16, b""), sound(&[1, 2, 3, 4]));
        for (chunks, wanted) in [
            (vec![good.clone()], "without a chunk `SSND`"),
            (vec![data.clone()], "without a chunk `COMM`"),
            (vec![good.clone(), data[..18].to_vec()], "promises 12 bytes, the file holds 10"),
            (vec![common(1, 3, 16, b""), data.clone()], "promises 6 bytes of samples"),
            (vec![common(0, 2, 16, b""), data.clone()], "makes no sense"),
            (vec![chunk(b"COMM", &[0; 9]), data], "makes no sense"),
            (vec![good, chunk(b"SSND", &[0, 0, 0, 9, 0, 0, 0, 0])], "impossible offset"),
        ] {
            let error = read(&chunks, None).unwrap_err();
            assert!(error.contains(wanted) && error.contains("a.aiff"), "{error} for {wanted}");
        }
    }
}
