//! The headers of MP3 frames (ISO 11172-3, 13818-3, and MPEG 2.5).

use super::{Head, Syntax};

pub(super) const SYNTAX: Syntax = Syntax { name: "MP3", parse };

/// Thousands of bits per second by their number, of MPEG 1 and of MPEG 2 and 2.5. The number 0
/// stands for a free choice, whose length of frames no header tells.
const BIT_RATES: [[usize; 14]; 2] = [
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// Samples per second of MPEG 1. Those of MPEG 2 and 2.5 are a half and a quarter.
const RATES: [u32; 3] = [44_100, 48_000, 32_000];

fn parse(bytes: &[u8]) -> Option<Head> {
    let &[0xff, second, third, fourth, ..] = bytes else { return None };
    // The three highest bits belong to the mark; then follow version and layer.
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    if second >> 5 != 7 || version == 1 || layer != 1 {
        return None;
    }
    let first_version = version == 3;
    let bit_rates = &BIT_RATES[usize::from(!first_version)];
    let bit_rate = bit_rates.get(usize::from(third >> 4).checked_sub(1)?)?;
    let rate = RATES.get(usize::from((third >> 2) & 3))?;
    let rate = match version {
        3 => *rate,
        2 => rate / 2,
        _ => rate / 4,
    };
    let samples = if first_version { 1152 } else { 576 };
    let padding = usize::from((third >> 1) & 1);
    let bytes = samples / 8 * bit_rate * 1000 / rate as usize + padding;
    let channels = if fourth >> 6 == 3 { 1 } else { 2 };
    Some(Head { bytes, before: 0, samples: samples as u64, rate, channels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_give_lengths() {
        let head = |bytes: usize, samples: u64, rate: u32, channels: usize| {
            Some(Head { bytes, before: 0, samples, rate, channels })
        };
        assert_eq!(parse(b"\xff\xfb\x90\x64"), head(417, 1152, 44_100, 2));
        assert_eq!(parse(b"\xff\xfb\x92\x64"), head(418, 1152, 44_100, 2));
        assert_eq!(parse(b"\xff\xf3\x48\xc4"), head(144, 576, 16_000, 1));
        assert_eq!(parse(b"\xff\xe3\x18\xc4"), head(72, 576, 8_000, 1));
        for bad in [
            b"\xff\xfb\x90".as_slice(),
            b"\xff\xfb\x00\x64",
            b"\xff\xfb\xf0\x64",
            b"\xff\xfb\x9c\x64",
            b"\xff\xeb\x90\x64",
            b"\xff\xfd\x90\x64",
            b"\xff\x1b\x90\x64",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
