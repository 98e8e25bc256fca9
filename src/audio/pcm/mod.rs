//! Samples that are stored as they are: integers, floating-point numbers, and the two laws of
//! telephones.

mod law;

use std::ops::Range;

pub(super) use self::law::{a_law, mu_law};
use super::blocks::Blocks;
use super::choose_channel;
use super::input::{Input, PART};
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

/// Bytes of the next block of samples: whole frames, no more of them than were expected for it.
pub(super) fn block(frame: u64, expected: &mut u64) -> u64 {
    let frames = std::mem::replace(expected, u64::MAX);
    (PART / frame).min(frames).max(1) * frame
}

/// One channel of interleaved samples, a block at a time.
pub(super) struct Reader {
    input: Input,
    layout: Layout,
    rate: u32,
    channel: usize,
    /// Place of all samples.
    data: Range<u64>,
    /// Place of the next ones.
    at: u64,
    /// Most samples that the next block needs.
    expected: u64,
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
        Ok(Self { at: data.start, input, layout, rate, channel, data, expected: u64::MAX })
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
        let bytes = block(self.layout.frame() as u64, &mut self.expected);
        let bytes = bytes.min(self.data.end - self.at) as usize;
        if bytes == 0 {
            return Ok(false);
        }
        let data = &self.input.at(self.at, bytes)?[..bytes];
        self.layout.decode(data, self.channel, samples);
        self.at += bytes as u64;
        Ok(true)
    }

    fn expect(&mut self, samples: u64) {
        self.expected = samples;
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
mod tests;
