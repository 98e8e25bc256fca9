//! Features of a file whose samples are read a piece at a time.

use super::{Fbank, Source};
use crate::error::{Error, Result};
use crate::rng::Stream;

/// Samples that are read at a time.
const PIECE: usize = 1 << 18;

impl Fbank {
    /// Features `[frames, mels]` of the samples that a source has left: to the bit those of
    /// [`Fbank::features`], but without all samples in memory at a time.
    ///
    /// Without `snip_edges` all samples are in memory, since the ends are mirrored.
    ///
    /// # Errors
    /// Those of [`Source::read`] and [`Fbank::features`]; they name the file.
    pub fn features_of(&self, source: &mut Source, noise: Option<&mut Stream>) -> Result<Vec<f32>> {
        let piece = if self.config().snip_edges { PIECE } else { usize::MAX };
        self.features_by(piece, source, noise)
    }

    fn features_by(
        &self,
        piece: usize,
        source: &mut Source,
        mut noise: Option<&mut Stream>,
    ) -> Result<Vec<f32>> {
        let (shift, mels) = (self.config().frame_shift(), self.config().mels);
        let mut features = Vec::new();
        if let Some(samples) = source.known_length() {
            features.reserve_exact(self.config().frames_of(samples) * mels);
        }
        let (mut total, mut held): (usize, Vec<f32>) = (0, Vec::new());
        // Samples to skip until the next frame, where frames are shorter than the shift.
        let mut between = 0;
        loop {
            let samples = source.read(piece)?;
            if samples.is_empty() {
                break;
            }
            total += samples.len();
            let skipped = samples.len().min(between);
            between -= skipped;
            held.extend_from_slice(&samples[skipped..]);
            let done = self.compute(&held, noise.as_deref_mut());
            self.refuse_infinite(&done, features.len() / mels).map_err(|e| named(source, &e))?;
            features.extend_from_slice(&done);
            let next = done.len() / mels * shift;
            between += next.saturating_sub(held.len());
            held.drain(..next.min(held.len()));
        }
        match features.is_empty() {
            true => Err(named(source, &self.too_short(total))),
            false => Ok(features),
        }
    }
}

fn named(source: &Source, error: &Error) -> Error {
    Error::file(source.path(), error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::audio::{FbankConfig, load, write_wav16};

    /// A tone with noise, in a folder of its own.
    fn file(length: usize, rate: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let mut noise = Stream::new(1, "noise", &[]);
        let samples: Vec<f32> = (0..length)
            .map(|i| (i as f32 * 0.07).sin() * 0.3 + 0.01 * noise.normal() as f32)
            .collect();
        write_wav16(&path, &samples, rate).unwrap();
        (dir, path)
    }

    fn dither() -> Stream {
        Stream::new(3, "dither", &[])
    }

    #[test]
    fn pieces_have_the_features_of_the_whole() {
        let (_dir, path) = file(20_003, 16_000);
        for config in [
            FbankConfig { dither: 1.0, mels: 40, ..Default::default() },
            FbankConfig {
                frame_length_ms: 20.0,
                frame_shift_ms: 37.3,
                dither: 0.5,
                mels: 40,
                ..Default::default()
            },
            FbankConfig { frame_shift_ms: 25.0, mels: 40, ..Default::default() },
            FbankConfig { sample_rate: 8000, mels: 40, dither: 2.0, ..Default::default() },
        ] {
            let samples = load(&path, config.sample_rate, None).unwrap().samples;
            let rate = config.sample_rate;
            let fbank = Fbank::new(config).unwrap();
            let whole = fbank.features(&samples, Some(&mut dither())).unwrap();
            for piece in [97, 160, 400, 401, 5000, samples.len(), PIECE] {
                let mut source = Source::open(&path, rate, None).unwrap();
                let found = fbank.features_by(piece, &mut source, Some(&mut dither())).unwrap();
                assert!(found == whole, "{:?}, {piece} at a time", fbank.config());
            }
        }
    }

    #[test]
    fn frames_with_mirrored_ends_are_those_of_the_whole() {
        let (_dir, path) = file(3000, 16_000);
        let fbank =
            Fbank::new(FbankConfig { snip_edges: false, dither: 1.0, ..Default::default() })
                .unwrap();
        let samples = load(&path, 16_000, None).unwrap().samples;
        let mut source = Source::open(&path, 16_000, None).unwrap();
        let found = fbank.features_of(&mut source, Some(&mut dither())).unwrap();
        assert_eq!(found, fbank.features(&samples, Some(&mut dither())).unwrap());
    }

    #[test]
    fn errors_are_those_of_the_whole_and_name_the_file() {
        let (_dir, path) = file(399, 16_000);
        let error = |fbank: &Fbank, path: &Path| {
            let mut source = Source::open(path, 16_000, None).unwrap();
            fbank.features_by(160, &mut source, None).unwrap_err().to_string()
        };
        let fbank = Fbank::new(FbankConfig::default()).unwrap();
        let short = error(&fbank, &path);
        assert!(
            short.contains("a.wav: 399 samples are shorter than one frame of 25 ms"),
            "{short}"
        );
        let float = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        // Frame 12 is the first that sees sample 2240.
        let loud: Vec<f32> =
            (0..8000).map(|i| if i < 2240 { 0.0 } else { 1e30 * (i as f32 * 0.3).sin() }).collect();
        let mut writer = hound::WavWriter::create(&path, float).unwrap();
        loud.iter().for_each(|&x| writer.write_sample(x).unwrap());
        writer.finalize().unwrap();
        let wanted = fbank.features(&loud, None).unwrap_err().to_string();
        assert!(wanted.contains("frame 12 "), "{wanted}");
        assert_eq!(error(&fbank, &path), format!("{}: {wanted}", path.display()));
    }
}
