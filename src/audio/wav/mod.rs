//! WAV. One walk over the chunks finds format and samples. Redundant fields are ignored, since many
//! writers get them wrong.

mod chunks;
mod format;
mod samples;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};

use self::format::Format;
use super::blocks::Blocks;
use super::input::Input;
use super::{choose_channel, pcm};
use crate::error::{Error, Result};
use crate::fs;

/// One channel of a WAV file.
///
/// Integers of 1 to 32 bits, floating-point numbers of 32 and 64, A-law and mu-law, in RIFF and in
/// RF64 files.
pub(super) struct Reader {
    input: Input,
    format: Format,
    channel: usize,
    /// Place of all samples.
    data: Range<u64>,
    /// Place of the next ones.
    at: u64,
    /// Most samples that the next block needs.
    expected: u64,
}

impl Reader {
    /// Opens the file that begins at byte `start`, behind any tags.
    ///
    /// # Errors
    /// A file with fewer samples than its header promises, or with part of a frame at its end; an
    /// unsupported encoding, by its name; several channels of which none is chosen.
    pub fn new(mut input: Input, start: u64, channel: Option<usize>) -> Result<Self> {
        let chunks = chunks::walk(&mut input, start)?;
        let format = Format::parse(input.path(), &chunks.format)?;
        let channel = choose_channel(input.path(), format.channels, channel)?;
        let data = chunks.frames(&mut input, format.frame() as u64)?;
        Ok(Self { at: data.start, input, format, channel, data, expected: u64::MAX })
    }
}

impl Blocks for Reader {
    fn rate(&self) -> u32 {
        self.format.rate
    }

    fn length(&self) -> Option<u64> {
        Some((self.data.end - self.data.start) / self.format.frame() as u64)
    }

    fn more(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        let bytes = pcm::block(self.format.frame() as u64, &mut self.expected);
        let bytes = bytes.min(self.data.end - self.at) as usize;
        if bytes == 0 {
            return Ok(false);
        }
        samples::decode(
            &self.input.at(self.at, bytes)?[..bytes],
            &self.format,
            self.channel,
            samples,
        );
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
        let frame = self.format.frame() as u64;
        let sample = sample.min((self.data.end - self.data.start) / frame);
        self.at = self.data.start + sample * frame;
        Ok(sample)
    }
}

/// Writes samples (full scale = 1) as 16-bit mono WAV, at `sample_rate` Hz. They are rounded to the
/// nearest step and clipped at full scale.
///
/// # Errors
/// More samples than a WAV file can hold; a file that cannot be written.
pub fn write_wav16(path: impl AsRef<Path>, samples: &[f32], sample_rate: u32) -> Result<()> {
    let spec =
        WavSpec { channels: 1, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut bytes = std::io::Cursor::new(Vec::with_capacity(44 + 2 * samples.len()));
    encode(&mut bytes, samples, spec)
        .map_err(|e| Error::file(&path, format!("cannot encode as WAV: {e}")))?;
    fs::write_bytes(path, bytes.get_ref())
}

fn encode(
    out: &mut std::io::Cursor<Vec<u8>>,
    samples: &[f32],
    spec: WavSpec,
) -> std::result::Result<(), hound::Error> {
    let mut writer = WavWriter::new(out, spec)?;
    for &x in samples {
        writer.write_sample((x * 32768.0).round().clamp(-32768.0, 32767.0) as i16)?;
    }
    writer.finalize()
}
