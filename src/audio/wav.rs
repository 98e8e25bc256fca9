//! WAV through `hound`, with the checks that a header cannot be trusted without.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::Decoded;
use crate::error::{Error, Result};
use crate::fs;

/// Integer (8, 16, 24, 32 bits) and 32-bit float WAV.
pub(super) fn read(path: &Path) -> Result<Decoded> {
    let bad = |message: String| Error::file(path, message);
    let hound = |e: hound::Error| bad(format!("not a readable WAV file: {e}"));
    let file = fs::open(path)?;
    let bytes = file.metadata().map_err(|e| Error::io(path, "read", e))?.len();
    let mut reader = WavReader::new(BufReader::new(file)).map_err(hound)?;
    let spec = reader.spec();
    if spec.sample_rate == 0 || spec.channels == 0 {
        return Err(bad(format!("header says {} Hz and {} channels", spec.sample_rate, spec.channels)));
    }
    // The header's length is a claim. Compare it with the file before anything is allocated by it.
    let width = u64::from(spec.bits_per_sample.div_ceil(8));
    let claimed = u64::from(reader.len());
    let (riff, start) = layout(path)?;
    let held = bytes.saturating_sub(start) / width;
    if claimed > held {
        return Err(bad(format!("the header promises {claimed} samples, the file holds {held}: truncated or damaged")));
    }
    if riff < start + claimed * width {
        return Err(bad(format!("the RIFF size in the header ({riff} bytes) ends before the samples do")));
    }
    let samples: Vec<f32> = match (spec.sample_format, spec.bits_per_sample) {
        (SampleFormat::Float, 32) => reader.samples::<f32>().collect::<Result<_, _>>().map_err(hound)?,
        (SampleFormat::Int, bits @ (8 | 16 | 24 | 32)) => {
            let scale = 1.0 / (1u64 << (bits - 1)) as f32;
            reader.samples::<i32>().map(|s| s.map(|s| s as f32 * scale)).collect::<Result<_, _>>().map_err(hound)?
        }
        (format, bits) => return Err(bad(format!("{bits}-bit {format:?} samples are not supported"))),
    };
    Ok(Decoded { samples, channels: usize::from(spec.channels), sample_rate: spec.sample_rate })
}

/// What the headers say beside hound: the file's length by the RIFF header, and where the `data` chunk's samples begin.
fn layout(path: &Path) -> Result<(u64, u64)> {
    let mut file = BufReader::new(fs::open(path)?);
    let io = |e| Error::io(path, "read", e);
    let size_of = |head: [u8; 8]| u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
    let mut riff = [0u8; 8];
    file.read_exact(&mut riff).map_err(io)?;
    let mut at = file.seek(SeekFrom::Start(12)).map_err(io)?;
    loop {
        let mut head = [0u8; 8];
        file.read_exact(&mut head).map_err(io)?;
        at += 8;
        if &head[..4] == b"data" {
            return Ok((size_of(riff) + 8, at));
        }
        let size = size_of(head);
        at += size + size % 2;
        file.seek(SeekFrom::Start(at)).map_err(io)?;
    }
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
