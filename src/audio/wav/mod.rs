//! WAV. One walk over the chunks decides what is where; fields that say the same again in another
//! way are not believed, since many writers get them wrong.

mod chunks;
mod format;
mod samples;
#[cfg(test)]
mod tests;

use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};

use self::format::Format;
use super::{Mono, choose_channel};
use crate::error::{Error, Result};
use crate::fs;

/// Reads one channel of the WAV file that begins at byte `start`, behind any tags.
///
/// Integers of 1 to 32 bits, floating-point numbers of 32 and 64, A-law and mu-law, in RIFF and in
/// RF64 files.
///
/// # Errors
/// A file that holds fewer samples than its header promises, or half a sample at its end, is
/// damaged. An encoding that is not read is named.
pub(super) fn read(path: &Path, bytes: &[u8], start: usize, channel: Option<usize>) -> Result<Mono> {
    let bad = |why: String| Error::file(path, format!("not a readable WAV file: {why}"));
    let chunks = chunks::walk(bytes, start).map_err(bad)?;
    let format = Format::parse(path, chunks.format)?;
    let channel = choose_channel(path, format.channels, channel)?;
    let data = chunks.frames(format.frame()).map_err(bad)?;
    Ok(Mono { samples: samples::decode(data, &format, channel), sample_rate: format.rate })
}

/// Writes 16-bit mono WAV. Samples are rounded to the nearest step and clipped at full scale.
pub fn write_wav16(path: impl AsRef<Path>, samples: &[f32], sample_rate: u32) -> Result<()> {
    let spec = WavSpec { channels: 1, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut bytes = std::io::Cursor::new(Vec::with_capacity(44 + 2 * samples.len()));
    encode(&mut bytes, samples, spec).map_err(|e| Error::file(&path, format!("cannot encode as WAV: {e}")))?;
    fs::write_bytes(path, bytes.get_ref())
}

fn encode(out: &mut std::io::Cursor<Vec<u8>>, samples: &[f32], spec: WavSpec) -> std::result::Result<(), hound::Error> {
    let mut writer = WavWriter::new(out, spec)?;
    for &x in samples {
        writer.write_sample((x * 32768.0).round().clamp(-32768.0, 32767.0) as i16)?;
    }
    writer.finalize()
}
