//! Headers of FLAC frames (RFC 9639, section 9.1).

use super::crc::crc8;
use super::stream::StreamInfo;

/// How the two channels of a stereo frame are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stereo {
    /// Each channel by itself, as with any other number of channels.
    Independent,
    /// The left one, then left minus right.
    LeftSide,
    /// Left minus right, then the right one.
    SideRight,
    /// Half their sum, then left minus right.
    MidSide,
}

impl Stereo {
    /// Which of the two channels holds the difference, whose samples have one more bit.
    pub fn side(self) -> Option<usize> {
        match self {
            Self::Independent => None,
            Self::SideRight => Some(0),
            Self::LeftSide | Self::MidSide => Some(1),
        }
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the header.
    pub length: usize,
    /// True if block sizes vary, so that the number is that of the first sample.
    pub variable: bool,
    /// The number of the frame, or of its first sample.
    pub number: u64,
    /// Samples of each channel.
    pub samples: usize,
    /// Samples per second; none if only the stream's header gives them.
    pub rate: Option<u32>,
    /// Number of channels.
    pub channels: usize,
    /// How two channels are written.
    pub stereo: Stereo,
    /// Bits of a sample; none if only the stream's header gives them.
    pub bits: Option<u32>,
}

impl Header {
    /// Bytes of the longest header.
    pub const LONGEST: usize = 16;

    /// The header at the beginning of the bytes, if there is one with the right checksum.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[0xff, sync @ (0xf8 | 0xf9), sizes, layout, ..] = bytes else { return None };
        let mut at = 4;
        let mut next = |count: usize| {
            let value = bytes
                .get(at..at + count)?
                .iter()
                .fold(0u32, |value, &b| (value << 8) | u32::from(b));
            at += count;
            Some(value)
        };
        let number = coded_number(|| next(1))?;
        let samples = match sizes >> 4 {
            0 => return None,
            1 => 192,
            code @ 2..=5 => 576 << (code - 2),
            6 => next(1)? + 1,
            7 => next(2)? + 1,
            code => 256 << (code - 8),
        };
        let rate = match sizes & 15 {
            0 => None,
            12 => Some(next(1)? * 1000),
            13 => Some(next(2)?),
            14 => Some(next(2)? * 10),
            15 => return None,
            code => Some(RATES[usize::from(code) - 1]),
        };
        let (channels, stereo) = match layout >> 4 {
            code @ 0..=7 => (usize::from(code) + 1, Stereo::Independent),
            8 => (2, Stereo::LeftSide),
            9 => (2, Stereo::SideRight),
            10 => (2, Stereo::MidSide),
            _ => return None,
        };
        let bits = match layout & 15 {
            0 => None,
            2 => Some(8),
            4 => Some(12),
            8 => Some(16),
            10 => Some(20),
            12 => Some(24),
            14 => Some(32),
            _ => return None,
        };
        let checksum = next(1)?;
        (u32::from(crc8(&bytes[..at - 1])) == checksum && samples <= 65_535).then_some(Self {
            length: at,
            variable: sync == 0xf9,
            number,
            samples: samples as usize,
            rate,
            channels,
            stereo,
            bits,
        })
    }

    /// Why this cannot be a frame of the stream, if so.
    pub fn contradicts(&self, info: &StreamInfo) -> Option<String> {
        let (rate, bits) = (self.rate.unwrap_or(info.rate), self.bits.unwrap_or(info.bits));
        if (rate, self.channels, bits) == (info.rate, info.channels, info.bits) {
            return None;
        }
        Some(format!(
            "it says {rate} Hz, {} channel(s) and {bits} bits, \
             the file's header {} Hz, {} channel(s) and {} bits",
            self.channels, info.rate, info.channels, info.bits
        ))
    }
}

/// The rates that have codes of their own. The first has code 1.
const RATES: [u32; 11] =
    [88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

/// A number of up to 36 bits in UTF-8's code for characters, continued to seven bytes.
fn coded_number(mut next: impl FnMut() -> Option<u32>) -> Option<u64> {
    let first = next()? as u8;
    let ones = first.leading_ones();
    let behind = match ones {
        0 => return Some(u64::from(first)),
        2..=7 => ones - 1,
        _ => return None,
    };
    let mut number = u64::from(first) & (0x7f >> ones);
    for _ in 0..behind {
        let byte = next()?;
        if byte & 0xc0 != 0x80 {
            return None;
        }
        number = (number << 6) | u64::from(byte & 0x3f);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_checksum(bytes: &[u8]) -> Vec<u8> {
        [bytes, &[crc8(bytes)]].concat()
    }

    #[test]
    fn every_field_is_read() {
        let plain = Header {
            length: 6,
            variable: false,
            number: 5,
            samples: 4096,
            rate: Some(16_000),
            channels: 1,
            stereo: Stereo::Independent,
            bits: Some(16),
        };
        let cases: [(&[u8], Header); 6] = [
            (&[0xff, 0xf8, 0xc5, 0x08, 5], plain),
            (&[0xff, 0xf8, 0x15, 0x00, 5], Header { samples: 192, bits: None, ..plain }),
            (
                &[0xff, 0xf8, 0x65, 0x18, 5, 7],
                Header { length: 7, samples: 8, channels: 2, ..plain },
            ),
            (
                &[
                    0xff, 0xf9, 0x7d, 0xae, 0xfe, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0xff, 0xfe,
                    0x56, 0xee,
                ],
                Header {
                    length: 16,
                    variable: true,
                    number: (1 << 36) - 1,
                    samples: 65_535,
                    rate: Some(22_254),
                    channels: 2,
                    stereo: Stereo::MidSide,
                    bits: Some(32),
                },
            ),
            (
                &[0xff, 0xf8, 0x2c, 0x8c, 0xc2, 0x80, 48],
                Header {
                    length: 8,
                    number: 128,
                    samples: 576,
                    rate: Some(48_000),
                    channels: 2,
                    stereo: Stereo::LeftSide,
                    bits: Some(24),
                    ..plain
                },
            ),
            (
                &[0xff, 0xf8, 0x8e, 0x7a, 5, 0x11, 0x3a],
                Header {
                    length: 8,
                    samples: 256,
                    rate: Some(44_100),
                    channels: 8,
                    bits: Some(20),
                    ..plain
                },
            ),
        ];
        for (bytes, wanted) in cases {
            assert_eq!(Header::parse(&with_checksum(bytes)), Some(wanted));
            assert!(wanted.length <= Header::LONGEST);
        }
    }

    #[test]
    fn no_single_flipped_bit_passes() {
        let good = with_checksum(&[0xff, 0xf8, 0xc5, 0x08, 0xc2, 0x80]);
        assert!(Header::parse(&good).is_some());
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&bad), None, "bit {bit}");
        }
        for length in 0..good.len() {
            assert_eq!(Header::parse(&good[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn reserved_values_are_refused() {
        let cases: [&[u8]; 8] = [
            &[0xff, 0xfa, 0xc5, 0x08, 5],
            &[0xff, 0xf8, 0x05, 0x08, 5],
            &[0xff, 0xf8, 0xcf, 0x08, 5],
            &[0xff, 0xf8, 0xc5, 0xb8, 5],
            &[0xff, 0xf8, 0xc5, 0x06, 5],
            &[0xff, 0xf8, 0xc5, 0x09, 5],
            &[0xff, 0xf8, 0xc5, 0x08, 0x80],
            &[0xff, 0xf8, 0x75, 0x08, 5, 0xff, 0xff],
        ];
        for bytes in cases {
            assert_eq!(Header::parse(&with_checksum(bytes)), None, "{bytes:x?}");
        }
    }
}
