//! From audio files to features, without any tensor framework.
//!
//! [`load`] reads a file as samples in [-1, 1) at the rate asked for; [`Fbank`] turns samples into Kaldi's log-mel filter banks;
//! [`augment`] makes training utterances different each time they are seen.

pub mod augment;
mod fbank;
mod flac;
mod resample;
mod wav;
mod window;

pub use fbank::{Fbank, FbankConfig, subtract_mean};
pub use resample::resample;
pub use wav::write_wav16;
pub use window::Window;

use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::fs;

/// One channel of audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// Samples, full scale = 1.
    pub samples: Vec<f32>,
    /// Samples per second.
    pub sample_rate: u32,
    /// Samples per second in the file, before resampling.
    pub source_rate: u32,
}

impl Audio {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }

    /// Root mean square of the samples, full scale = 1.
    pub fn rms(&self) -> f64 {
        let sum: f64 = self.samples.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        (sum / self.samples.len().max(1) as f64).sqrt()
    }

    /// True when no sample differs from zero: nothing was recorded.
    pub fn is_silent(&self) -> bool {
        self.samples.iter().all(|&x| x == 0.0)
    }

    /// What a user should know about a file that was resampled from a narrower band, or nothing.
    pub fn narrowband_warning(&self) -> Option<String> {
        (self.source_rate < self.sample_rate).then(|| {
            format!(
                "recorded at {} Hz: above {} Hz there is nothing for a {} Hz model to hear; scores are less reliable",
                self.source_rate,
                self.source_rate / 2,
                self.sample_rate
            )
        })
    }
}

/// What the file decoders hand over: interleaved samples.
struct Decoded {
    samples: Vec<f32>,
    channels: usize,
    sample_rate: u32,
}

/// Reads a WAV or FLAC file (told apart by content, not by name) as one channel at `sample_rate`.
///
/// `channel` counts from 0. A file of several channels without a chosen one is an error, as are samples that are not
/// finite, files that end before their header says, and files that are neither format.
pub fn load(path: impl AsRef<Path>, sample_rate: u32, channel: Option<usize>) -> Result<Audio> {
    let path = path.as_ref();
    let mut magic = Vec::new();
    fs::open(path)?.take(12).read_to_end(&mut magic).map_err(|e| Error::io(path, "read", e))?;
    let decoded = match magic.as_slice() {
        [] => return Err(Error::file(path, "the file is empty")),
        m if m.starts_with(b"RIFF") => wav::read(path)?,
        // FLAC files may carry an ID3 tag in front; the decoder skips it.
        m if m.starts_with(b"fLaC") || m.starts_with(b"ID3") => flac::read(path)?,
        m if m.starts_with(b"RF64") || m.starts_with(b"RIFX") => {
            return Err(Error::file(path, "RF64 and big-endian WAV are not supported; convert to plain WAV or FLAC"));
        }
        _ => return Err(Error::file(path, "neither a WAV nor a FLAC file (by its first bytes, whatever its name)")),
    };
    let samples = pick_channel(path, decoded.samples, decoded.channels, channel)?;
    if samples.is_empty() {
        return Err(Error::file(path, "holds no samples"));
    }
    if let Some(i) = samples.iter().position(|x| !x.is_finite()) {
        return Err(Error::file(path, format!("sample {i} is {}, not a number", samples[i])));
    }
    let source_rate = decoded.sample_rate;
    let samples = resample(&samples, source_rate, sample_rate).map_err(|e| Error::file(path, e.to_string()))?;
    Ok(Audio { samples, sample_rate, source_rate })
}

fn pick_channel(path: &Path, samples: Vec<f32>, channels: usize, channel: Option<usize>) -> Result<Vec<f32>> {
    match (channels, channel) {
        (0, _) => Err(Error::file(path, "has no channels")),
        (1, None | Some(0)) => Ok(samples),
        (n, None) => Err(Error::file(path, format!("has {n} channels; choose one with --channel 0..{}", n - 1))),
        (n, Some(c)) if c >= n => Err(Error::file(path, format!("has {n} channel(s), so there is no channel {c}"))),
        (n, Some(c)) => Ok(samples.into_iter().skip(c).step_by(n).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(
        dir: &Path,
        name: &str,
        spec: hound::WavSpec,
        fill: impl FnOnce(&mut hound::WavWriter<std::io::BufWriter<std::fs::File>>),
    ) -> std::path::PathBuf {
        let path = dir.join(name);
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        fill(&mut writer);
        writer.finalize().unwrap();
        path
    }

    fn spec(bits: u16, format: hound::SampleFormat, channels: u16, rate: u32) -> hound::WavSpec {
        hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format }
    }

    #[test]
    fn every_wav_width_gives_the_same_samples() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = [0.0f32, 0.5, -0.5, 0.25, -1.0];
        for (bits, full) in [(8u16, 128.0f32), (16, 32768.0), (24, 8_388_608.0), (32, 2_147_483_648.0)] {
            let path = wav(dir.path(), "int.wav", spec(bits, hound::SampleFormat::Int, 1, 16000), |w| {
                for x in wanted {
                    w.write_sample((x * full) as i32).unwrap();
                }
            });
            assert_eq!(load(&path, 16000, None).unwrap().samples, wanted, "{bits} bits");
        }
        let path = wav(dir.path(), "float.wav", spec(32, hound::SampleFormat::Float, 1, 16000), |w| {
            for x in wanted {
                w.write_sample(x).unwrap();
            }
        });
        assert_eq!(load(&path, 16000, None).unwrap().samples, wanted);
    }

    #[test]
    fn several_channels_need_a_choice() {
        let dir = tempfile::tempdir().unwrap();
        let path = wav(dir.path(), "two.wav", spec(16, hound::SampleFormat::Int, 2, 16000), |w| {
            for i in 0..100i16 {
                w.write_sample(i).unwrap();
                w.write_sample(-i).unwrap();
            }
        });
        let error = load(&path, 16000, None).unwrap_err().to_string();
        assert!(error.contains("2 channels") && error.contains("two.wav"), "{error}");
        let right = load(&path, 16000, Some(1)).unwrap();
        assert_eq!(right.samples[5], -5.0 / 32768.0);
        assert_eq!(right.samples.len(), 100);
        assert!(load(&path, 16000, Some(2)).is_err());
    }

    #[test]
    fn bad_files_are_errors_that_name_the_file_and_the_fault() {
        let dir = tempfile::tempdir().unwrap();
        let good = wav(dir.path(), "good.wav", spec(16, hound::SampleFormat::Int, 1, 16000), |w| {
            for i in 0..1000i16 {
                w.write_sample(i).unwrap();
            }
        });
        let bytes = std::fs::read(&good).unwrap();
        let case = |name: &str, content: &[u8], wanted: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            let error = load(&path, 16000, None).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(wanted), "{name}: {error}");
        };
        case("empty.wav", b"", "empty");
        case("text.wav", b"this is not audio at all", "neither a WAV nor a FLAC");
        case("cut.wav", &bytes[..bytes.len() - 700], "promises");
        case("header.wav", &bytes[..30], "WAV");
        let mut huge = bytes.clone();
        huge[40..44].copy_from_slice(&0xffff_fff0u32.to_le_bytes());
        case("huge.wav", &huge, "promises");
        let mut short_riff = bytes.clone();
        short_riff[4..8].copy_from_slice(&10u32.to_le_bytes());
        case("riff.wav", &short_riff, "RIFF size");
        case(
            "none.wav",
            &bytes[..44]
                .iter()
                .copied()
                .enumerate()
                .map(
                    |(i, b)| if (40..44).contains(&i) || (4..8).contains(&i) { if i == 4 { 36 } else { 0 } } else { b },
                )
                .collect::<Vec<_>>(),
            "no samples",
        );
        case("cut.flac", b"fLaC\0\0\0\x22", "FLAC");
        let nan = wav(dir.path(), "nan.wav", spec(32, hound::SampleFormat::Float, 1, 16000), |w| {
            w.write_sample(0.5f32).unwrap();
            w.write_sample(f32::NAN).unwrap();
        });
        let error = load(&nan, 16000, None).unwrap_err().to_string();
        assert!(error.contains("sample 1 is NaN"), "{error}");
        assert!(load(dir.path().join("absent.wav"), 16000, None).unwrap_err().to_string().contains("absent.wav"));
        assert!(load(dir.path(), 16000, None).unwrap_err().to_string().contains("folder"));
    }

    #[test]
    fn narrow_band_sources_warn() {
        let dir = tempfile::tempdir().unwrap();
        let path = wav(dir.path(), "phone.wav", spec(16, hound::SampleFormat::Int, 1, 8000), |w| {
            for i in 0..8000 {
                w.write_sample((8000.0 * (i as f32 * 0.3).sin()) as i16).unwrap();
            }
        });
        let audio = load(&path, 16000, None).unwrap();
        assert_eq!(audio.samples.len(), 16000);
        assert!(audio.narrowband_warning().unwrap().contains("8000 Hz"));
        assert!(load(&path, 8000, None).unwrap().narrowband_warning().is_none());
    }
}
