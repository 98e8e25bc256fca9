//! Samples that are stored as they are: integers, floating-point numbers, and the two laws of
//! telephones.

use std::ops::Range;

use super::choose_channel;
use super::input::{Input, PAGE};
use super::source::Blocks;
use crate::error::Result;

/// What the bytes of a sample mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Integers whose silence is in the middle of their range.
    Unsigned,
    /// Integers in two's complement.
    Signed,
    /// Floating-point numbers, full scale 1.
    Float,
    /// A-law of ITU-T G.711.
    ALaw,
    /// Mu-law of ITU-T G.711.
    MuLaw,
}

/// The layout of interleaved samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// What a sample is.
    pub encoding: Encoding,
    /// Bytes of a sample: 1 to 4 of an integer, 4 or 8 of a floating-point number, 1 of a law.
    pub bytes: usize,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
    /// Number of channels.
    pub channels: usize,
}

impl Layout {
    /// Bytes of a frame: one sample of each channel.
    pub fn frame(&self) -> usize {
        self.bytes * self.channels
    }

    /// Whether samples of this encoding can have this many bytes.
    pub fn is_possible(&self) -> bool {
        match self.encoding {
            Encoding::Unsigned | Encoding::Signed => (1..=4).contains(&self.bytes),
            Encoding::Float => self.bytes == 4 || self.bytes == 8,
            Encoding::ALaw | Encoding::MuLaw => self.bytes == 1,
        }
    }

    /// Appends the samples of one channel. `data` are whole frames.
    ///
    /// Integers of n bytes are divided by 2^(8n - 1). Where fewer bits count, they are the upper
    /// ones.
    fn decode(&self, data: &[u8], channel: usize, samples: &mut Vec<f32>) {
        let big = self.big_endian;
        match (self.encoding, self.bytes) {
            (Encoding::Float, 4) => self.append(data, channel, samples, |b| match big {
                true => f32::from_be_bytes(b),
                false => f32::from_le_bytes(b),
            }),
            (Encoding::Float, _) => self.append(data, channel, samples, |b| match big {
                true => f64::from_be_bytes(b) as f32,
                false => f64::from_le_bytes(b) as f32,
            }),
            (Encoding::ALaw, _) => {
                self.append(data, channel, samples, |[b]| f32::from(a_law(b)) / 32_768.0);
            }
            (Encoding::MuLaw, _) => {
                self.append(data, channel, samples, |[b]| f32::from(mu_law(b)) / 32_768.0);
            }
            (_, 1) => self.append::<1>(data, channel, samples, |b| self.integer(b)),
            (_, 2) => self.append::<2>(data, channel, samples, |b| self.integer(b)),
            (_, 3) => self.append::<3>(data, channel, samples, |b| self.integer(b)),
            (_, _) => self.append::<4>(data, channel, samples, |b| self.integer(b)),
        }
    }

    /// Appends one channel of samples of `N` bytes.
    fn append<const N: usize>(
        &self,
        data: &[u8],
        channel: usize,
        samples: &mut Vec<f32>,
        value: impl Fn([u8; N]) -> f32,
    ) {
        let (values, _) = data.as_chunks::<N>();
        let value = |bytes: &[u8; N]| value(*bytes);
        // A step that is known makes vectors of a loop.
        match self.channels {
            1 => samples.extend(values.iter().map(value)),
            step => samples.extend(values.iter().skip(channel).step_by(step).map(value)),
        }
    }

    /// An integer of `N` bytes, full scale = 1.
    fn integer<const N: usize>(&self, bytes: [u8; N]) -> f32 {
        let mut word = [0; 4];
        let number = if self.big_endian {
            word[..N].copy_from_slice(&bytes);
            i32::from_be_bytes(word)
        } else {
            word[4 - N..].copy_from_slice(&bytes);
            i32::from_le_bytes(word)
        };
        let number = if self.encoding == Encoding::Unsigned { number ^ i32::MIN } else { number };
        number as f32 / 2_147_483_648.0
    }
}

/// A-law (ITU-T G.711) as 16 bits. A code has a sign, three bits of exponent and four of mantissa,
/// and every second bit is inverted. The value is the middle of its step.
pub(super) fn a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (exponent, mantissa) = ((code >> 4) & 7, i16::from(code & 15));
    let size = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    if code & 0x80 == 0 { -size } else { size }
}

/// Mu-law (ITU-T G.711) as 16 bits. A code has a sign, three bits of exponent and four of mantissa,
/// all inverted. They stand for the value plus 33 * 4.
pub(super) fn mu_law(code: u8) -> i16 {
    let code = !code;
    let size = (((i16::from(code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { size } else { -size }
}

/// One channel of interleaved samples, a page at a time.
pub(super) struct Reader {
    input: Input,
    layout: Layout,
    rate: u32,
    channel: usize,
    /// Place of all samples.
    data: Range<u64>,
    /// Place of the next ones.
    at: u64,
}

impl Reader {
    /// Reads the samples at `data`, which the file holds.
    ///
    /// # Errors
    /// A part of a frame at the end (`format` is the file's name for errors); several channels of
    /// which none is chosen.
    pub fn new(
        input: Input,
        format: &str,
        layout: Layout,
        rate: u32,
        data: Range<u64>,
        channel: Option<usize>,
    ) -> Result<Self> {
        let channel = choose_channel(input.path(), layout.channels, channel)?;
        let (held, frame) = (data.end - data.start, layout.frame());
        if held % frame as u64 != 0 {
            let why = format!(
                "it ends inside a sample: {held} bytes are not whole frames of {frame} bytes: \
                 truncated or damaged"
            );
            return Err(input.unreadable(format, why));
        }
        Ok(Self { at: data.start, input, layout, rate, channel, data })
    }
}

impl Blocks for Reader {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn length(&self) -> Option<u64> {
        Some((self.data.end - self.data.start) / self.layout.frame() as u64)
    }

    fn more(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        let frame = self.layout.frame() as u64;
        let bytes = (PAGE / frame).max(1) * frame;
        let bytes = bytes.min(self.data.end - self.at) as usize;
        if bytes == 0 {
            return Ok(false);
        }
        let data = &self.input.at(self.at, bytes)?[..bytes];
        self.layout.decode(data, self.channel, samples);
        self.at += bytes as u64;
        Ok(true)
    }

    fn rewind(&mut self) {
        self.at = self.data.start;
    }

    fn seek(&mut self, sample: u64) -> Result<u64> {
        let frame = self.layout.frame() as u64;
        let sample = sample.min((self.data.end - self.data.start) / frame);
        self.at = self.data.start + sample * frame;
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::tests::every;
    use super::*;

    const ENCODINGS: [(Encoding, usize); 11] = [
        (Encoding::Unsigned, 1),
        (Encoding::Unsigned, 2),
        (Encoding::Signed, 1),
        (Encoding::Signed, 2),
        (Encoding::Signed, 3),
        (Encoding::Signed, 4),
        (Encoding::Unsigned, 4),
        (Encoding::Float, 4),
        (Encoding::Float, 8),
        (Encoding::ALaw, 1),
        (Encoding::MuLaw, 1),
    ];

    /// The bytes of a number in -1..1.
    fn bytes_of(x: f64, encoding: Encoding, bytes: usize, big_endian: bool) -> Vec<u8> {
        let law = |law: fn(u8) -> i16| {
            let near = |code: &u8| (f64::from(law(*code)) / 32_768.0 - x).abs();
            (0..=255u8).min_by(|a, b| near(a).total_cmp(&near(b))).unwrap()
        };
        let full = 2f64.powi(8 * bytes as i32 - 1);
        let number = match encoding {
            Encoding::Unsigned => (x * full + full) as i64,
            _ => (x * full) as i64,
        };
        let mut found = match (encoding, bytes) {
            (Encoding::Float, 4) => (x as f32).to_le_bytes().to_vec(),
            (Encoding::Float, _) => x.to_le_bytes().to_vec(),
            (Encoding::ALaw, _) => vec![law(a_law)],
            (Encoding::MuLaw, _) => vec![law(mu_law)],
            _ => number.to_le_bytes()[..bytes].to_vec(),
        };
        if big_endian {
            found.reverse();
        }
        found
    }

    #[test]
    fn every_layout_gives_the_numbers_that_went_in() {
        let wanted: Vec<f64> = (0..300).map(|i| (f64::from(i) * 0.37).sin() * 0.9).collect();
        for (encoding, bytes) in ENCODINGS {
            for (big_endian, channels) in [(false, 1), (true, 1), (false, 2), (true, 3)] {
                let layout = Layout { encoding, bytes, big_endian, channels };
                assert!(layout.is_possible());
                let data: Vec<u8> =
                    wanted.iter().flat_map(|x| bytes_of(*x, encoding, bytes, big_endian)).collect();
                let step = match encoding {
                    Encoding::Float => 1e-7,
                    Encoding::ALaw | Encoding::MuLaw => 0.02,
                    _ => 2f64.powi(1 - 8 * bytes as i32).max(1e-7),
                };
                for channel in 0..channels {
                    for input in every("a.raw", &[b"head".as_slice(), &data].concat()) {
                        let place = 4..4 + data.len() as u64;
                        let mut reader =
                            Reader::new(input, "raw", layout, 8000, place, Some(channel)).unwrap();
                        let mut all = Vec::new();
                        while reader.more(&mut all).unwrap() {}
                        assert_eq!(reader.length(), Some(all.len() as u64));
                        let chosen = wanted.iter().skip(channel).step_by(channels);
                        assert!(
                            all.iter().zip(chosen).all(|(y, x)| (f64::from(*y) - x).abs() <= step),
                            "{layout:?}"
                        );
                        for from in [17, 0, all.len(), all.len() + 9, 3] {
                            let first = reader.seek(from as u64).unwrap() as usize;
                            let mut rest = Vec::new();
                            while reader.more(&mut rest).unwrap() {}
                            assert!(first <= from && rest == all[first..], "{layout:?} {from}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn parts_of_frames_are_errors() {
        let layout =
            Layout { encoding: Encoding::Signed, bytes: 2, big_endian: false, channels: 2 };
        for input in every("a.sph", &[0; 10]) {
            let error = Reader::new(input, "SPHERE", layout, 8000, 0..10, Some(0)).err().unwrap();
            assert!(error.to_string().contains("10 bytes are not whole frames of 4 bytes"));
        }
    }

    /// The largest, the smallest and one value in between, on the scale of 16 bits.
    #[test]
    fn laws_of_telephones() {
        assert_eq!([0xaa, 0x2a, 0xd5, 0x55, 0xb5].map(a_law), [32_256, -32_256, 8, -8, 8_448]);
        assert_eq!([0x80, 0x00, 0xff, 0x7f, 0xfe].map(mu_law), [32_124, -32_124, 0, 0, 8]);
        // The codes of positive numbers rise with them, and those of negative ones mirror them.
        let positive: Vec<i16> = (0x80..=0xff).map(|code: u8| a_law(code ^ 0x55)).collect();
        assert!(
            positive.is_sorted_by(|a, b| a < b)
                && (0..=0xff).all(|code| a_law(code) == -a_law(code ^ 0x80))
        );
        let falling: Vec<i16> = (0x80..=0xff).map(mu_law).collect();
        assert!(
            falling.is_sorted_by(|a, b| a > b)
                && (0..=0xff).all(|code| mu_law(code) == -mu_law(code ^ 0x80))
        );
    }
}
