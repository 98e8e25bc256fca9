//! From audio files to features, without any tensor framework.
//!
//! [`load`] reads a file as samples in [-1, 1) at the rate asked for, [`Source`] a piece of it at a
//! time; [`Fbank`] turns samples into Kaldi's log-mel filter banks; [`Vad`] tells speech from
//! pauses; [`augment`] makes training utterances different each time they are seen.

pub mod augment;
mod fbank;
mod flac;
mod foreign;
mod framing;
mod held;
mod input;
mod kind;
mod level;
mod pcm;
pub mod pipe;
mod quality;
mod resample;
mod source;
mod sphere;
mod tags;
mod vad;
mod wav;
mod window;

pub use fbank::{Dither, Fbank, FbankConfig, subtract_mean};
#[cfg(feature = "train")]
pub(crate) use flac::encode as encode_flac;
pub(crate) use input::read_exact_at;
#[cfg(feature = "train")]
pub(crate) use kind::is_unsupported;
pub use level::Level;
pub use quality::{LEAST_SPEECH, Quality};
pub(crate) use quality::{Measured, Meter};
pub use resample::resample;
pub use source::Source;
pub use vad::{Vad, VadConfig};
pub use wav::write_wav16;
pub use window::Window;

use std::path::Path;

use crate::error::{Error, Remedy, Result};

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
        Level::of(&self.samples).rms()
    }

    /// Whether nothing can be heard, by [`Level::is_silent`].
    pub fn is_silent(&self) -> bool {
        Level::of(&self.samples).is_silent()
    }

    /// A warning if the file has a lower rate, and so a narrower band, than the samples.
    pub fn narrowband_warning(&self) -> Option<String> {
        narrowband_warning(self.source_rate, self.sample_rate)
    }
}

fn narrowband_warning(source_rate: u32, sample_rate: u32) -> Option<String> {
    (source_rate < sample_rate).then(|| {
        format!(
            "recorded at {source_rate} Hz: above {} Hz there is nothing for a {sample_rate} Hz \
             model to hear; scores are less reliable",
            source_rate / 2,
        )
    })
}

/// Reads an audio file (its content tells the format, not its name) as one channel at
/// `sample_rate`. WAV, FLAC, AIFF, CAF and NIST SPHERE are always read; the feature `formats` adds
/// AAC-LC, ALAC, MP3, Vorbis and Opus in MP4, Ogg and other files.
///
/// `channel` counts from 0. ID3v2 tags in front of either format are skipped. All checks are made,
/// as by [`Source::verified`].
///
/// # Errors
/// A file of several channels without a chosen one ([`Remedy::ChooseChannel`]); a file without
/// samples, with samples that are not finite, cut off or damaged; a file of another format, by its
/// name where it is known.
pub fn load(path: impl AsRef<Path>, sample_rate: u32, channel: Option<usize>) -> Result<Audio> {
    let mut source = Source::open(path, sample_rate, channel)?.verified();
    let samples = source.read(usize::MAX)?;
    Ok(Audio { samples, sample_rate, source_rate: source.source_rate() })
}

/// The channel to read of a file with `channels` of them.
fn choose_channel(path: &Path, channels: usize, wanted: Option<usize>) -> Result<usize> {
    match wanted {
        Some(channel) if channel < channels => Ok(channel),
        None if channels == 1 => Ok(0),
        Some(channel) => Err(Error::file(
            path,
            format!("has no channel {channel}: it has {channels}, counted from 0"),
        )),
        None => Err(Error::file(path, format!("has {channels} channels"))
            .with(Remedy::ChooseChannel { channels })),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    pub use super::flac::tests::file_of as flac_of;
    use super::tags::tests::id3v2_of;
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
        for (bits, full) in
            [(8u16, 128.0f32), (16, 32768.0), (24, 8_388_608.0), (32, 2_147_483_648.0)]
        {
            let path =
                wav(dir.path(), "int.wav", spec(bits, hound::SampleFormat::Int, 1, 16000), |w| {
                    for x in wanted {
                        w.write_sample((x * full) as i32).unwrap();
                    }
                });
            assert_eq!(load(&path, 16000, None).unwrap().samples, wanted, "{bits} bits");
        }
        let path =
            wav(dir.path(), "float.wav", spec(32, hound::SampleFormat::Float, 1, 16000), |w| {
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
        let error = load(&path, 16000, None).unwrap_err();
        assert_eq!(error.remedy(), Some(&Remedy::ChooseChannel { channels: 2 }));
        assert!(error.to_string().ends_with("two.wav: has 2 channels"), "{error}");
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
        case("text.wav", b"this is not audio at all", "no audio file");
        case("cut.wav", &bytes[..bytes.len() - 700], "promises");
        case("header.wav", &bytes[..30], "WAV");
        let mut huge = bytes.clone();
        huge[40..44].copy_from_slice(&0xffff_fff0u32.to_le_bytes());
        case("huge.wav", &huge, "promises");
        case(
            "none.wav",
            &bytes[..44]
                .iter()
                .copied()
                .enumerate()
                .map(|(i, b)| {
                    if (40..44).contains(&i) || (4..8).contains(&i) {
                        if i == 4 { 36 } else { 0 }
                    } else {
                        b
                    }
                })
                .collect::<Vec<_>>(),
            "no samples",
        );
        case("cut.flac", b"fLaC\0\0\0\x22", "FLAC");
        case("tag.flac", &id3v2_of(&[7; 5000])[..3000], "ends inside its ID3v2 tag");
        let nan = wav(dir.path(), "nan.wav", spec(32, hound::SampleFormat::Float, 1, 16000), |w| {
            w.write_sample(0.5f32).unwrap();
            w.write_sample(f32::NAN).unwrap();
        });
        let error = load(&nan, 16000, None).unwrap_err().to_string();
        assert!(error.contains("sample 1 is NaN"), "{error}");
        assert!(
            load(dir.path().join("absent.wav"), 16000, None)
                .unwrap_err()
                .to_string()
                .contains("absent.wav")
        );
        assert!(load(dir.path(), 16000, None).unwrap_err().to_string().contains("folder"));
    }

    #[test]
    fn the_length_of_the_whole_file_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let good = wav(dir.path(), "good.wav", spec(16, hound::SampleFormat::Int, 1, 16000), |w| {
            for i in 0..1000i16 {
                w.write_sample(i).unwrap();
            }
        });
        let wanted = load(&good, 16000, None).unwrap();
        let mut bytes = std::fs::read(&good).unwrap();
        for length in [0, 10, 2000, 2028, u32::MAX] {
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            std::fs::write(&good, &bytes).unwrap();
            assert_eq!(load(&good, 16000, None).unwrap(), wanted, "{length}");
        }
    }

    #[test]
    fn tags_in_front_are_skipped_and_other_formats_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = wav(dir.path(), "a.wav", spec(16, hound::SampleFormat::Int, 1, 16000), |w| {
            for i in 0..1000i16 {
                w.write_sample(i).unwrap();
            }
        });
        let wanted = load(&path, 16000, None).unwrap();
        let tag = id3v2_of(&b"fLaC".repeat(300_000));
        std::fs::write(&path, [tag.as_slice(), &std::fs::read(&path).unwrap()].concat()).unwrap();
        assert_eq!(load(&path, 16000, None).unwrap(), wanted);
        for (bytes, name) in [
            ([tag.as_slice(), b"#!AMR\n"].concat(), "AMR audio"),
            (b"#!AMR\n".to_vec(), "AMR audio"),
            (b"RIFX\0\0\0\0WAVE".to_vec(), "big-endian WAV"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = load(&path, 16000, None).unwrap_err().to_string();
            assert!(
                error.contains(&format!("is {name}")) && error.contains("ffmpeg -i"),
                "{error}"
            );
        }
    }

    #[test]
    fn samples_that_no_resampler_can_take_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path =
            wav(dir.path(), "loud.wav", spec(32, hound::SampleFormat::Float, 1, 8000), |w| {
                for _ in 0..8000 {
                    w.write_sample(3e38f32).unwrap();
                }
            });
        assert!(load(&path, 8000, None).is_ok());
        let error = load(&path, 16000, None).unwrap_err().to_string();
        assert!(error.contains("loud.wav") && error.contains("too large"), "{error}");
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
