//! The front-end as nodes: samples in, features out. Everything up to the spectrum is linear, and
//! becomes one convolution: scale, mean removal, pre-emphasis, window, cosines and sines.

use super::builder::{Builder, Window};
use super::proto::Data;
use crate::audio::Fbank;
use crate::error::{Error, Result};
use crate::model_file::Frontend;

/// Most samples of a frame: their convolution takes 64 MiB.
const LONGEST: usize = 4096;

/// Refuses front-ends that the graph cannot have.
///
/// # Errors
/// Frames that reach beyond the audio; very long ones.
fn check(frontend: &Frontend) -> Result<()> {
    let (config, length) = (&frontend.fbank, frontend.fbank.frame_length());
    let what = match config.snip_edges {
        false => "snip_edges = false mirrors the audio at its ends".to_owned(),
        true if length > LONGEST => format!("frames of {length} samples, {LONGEST} at most"),
        true => return Ok(()),
    };
    Err(Error::invalid(format!(
        "fbank: {what}: a graph of ONNX does not compute that; export with features as input"
    )))
}

/// Writes the nodes behind samples `[B, N]`, full scale = 1. Returns the name of the features
/// `[B, mels, T]`, whose mean over time is subtracted where the front-end does so.
///
/// # Errors
/// Those of [`check`] and of [`Fbank::new`].
pub(super) fn features(b: &mut Builder, frontend: &Frontend, samples: &str) -> Result<String> {
    check(frontend)?;
    let fbank = Fbank::new(frontend.fbank.clone())?;
    let config = fbank.config();
    let (length, shift) = (config.frame_length(), config.frame_shift());
    let bins = Bins::of(&fbank);
    let (count, mels) = (bins.count(), config.mels);

    let axis = b.ints(&[1]);
    let x = b.op("Unsqueeze", &[samples, &axis]);
    let waves = Data::F32(bins.waves(&fbank));
    let waves = b.tensor("frontend.waves".to_owned(), &[2 * count, 1, length], waves);
    let window = Window { kernel: &[length], stride: &[shift], ..Window::TAP };
    let x = b.convolve(&x, &waves, None, &window);
    let x = b.op("Mul", &[&x, &x]);
    // Real and imaginary parts.
    let x = b.reshape(&x, &[0, 2, count as i64, -1]);
    let x = b.sum(&x, &[1]);
    let x = b.reshape(&x, &[0, count as i64, -1]);
    let x = if config.power { x } else { b.op("Sqrt", &[&x]) };
    let filters = Data::F32(bins.filters(&fbank));
    let filters = b.tensor("frontend.filters".to_owned(), &[mels, count], filters);
    let x = b.op("MatMul", &[&filters, &x]);
    let x = match config.log {
        true => {
            let floor = b.number(f64::from(Fbank::FLOOR));
            let x = b.op("Max", &[&x, &floor]);
            b.op("Log", &[&x])
        }
        false => x,
    };
    Ok(if frontend.cmn { b.centred(&x, &[2]) } else { x })
}

/// The bins of the spectrum that filters use: from the first to before the end.
struct Bins {
    first: usize,
    end: usize,
}

impl Bins {
    fn of(fbank: &Fbank) -> Self {
        let first = fbank.filters().map(|(first, _)| first).min().unwrap_or(0);
        let end = fbank.filters().map(|(first, weights)| first + weights.len()).max().unwrap_or(0);
        Self { first, end }
    }

    fn count(&self) -> usize {
        self.end - self.first
    }

    /// `[2 * bins, length]`: what the samples of a frame are multiplied by to become the real part
    /// of each bin, then the imaginary part.
    fn waves(&self, fbank: &Fbank) -> Vec<f32> {
        let config = fbank.config();
        let (length, preemphasis) = (config.frame_length(), f64::from(config.preemphasis));
        let padded = length.next_power_of_two();
        let window = config.window.values(length);
        let mut all = Vec::with_capacity(2 * self.count() * length);
        for function in [f64::cos, f64::sin] {
            for bin in self.first..self.end {
                let wave: Vec<f64> = window
                    .iter()
                    .enumerate()
                    .map(|(i, &w)| {
                        // Whole turns are left out before anything is rounded.
                        let turn = (bin * i % padded) as f64 / padded as f64;
                        f64::from(w) * function(std::f64::consts::TAU * turn)
                    })
                    .collect();
                // Part of a sample is subtracted from the one behind it, and the first from itself.
                let emphasised = |i: usize| {
                    let behind = wave.get(i + 1).copied().unwrap_or(0.0);
                    let own = if i == 0 { wave[0] } else { 0.0 };
                    wave[i] - preemphasis * (own + behind)
                };
                let mut row: Vec<f64> = (0..length).map(emphasised).collect();
                if config.remove_dc_offset {
                    let mean = row.iter().sum::<f64>() / length as f64;
                    row.iter_mut().for_each(|x| *x -= mean);
                }
                all.extend(row.iter().map(|x| (x * config.scale) as f32));
            }
        }
        all
    }

    /// `[mels, bins]`.
    fn filters(&self, fbank: &Fbank) -> Vec<f32> {
        let mut filters = vec![0.0; fbank.config().mels * self.count()];
        for (row, (first, weights)) in filters.chunks_exact_mut(self.count()).zip(fbank.filters()) {
            row[first - self.first..][..weights.len()].copy_from_slice(weights);
        }
        filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{self, FbankConfig};
    use crate::rng::Stream;

    /// What the nodes compute, in f32, without CMN.
    fn computed(fbank: &Fbank, samples: &[f32]) -> Vec<f32> {
        let (config, bins) = (fbank.config(), Bins::of(fbank));
        let (waves, filters) = (bins.waves(fbank), bins.filters(fbank));
        let (length, shift) = (config.frame_length(), config.frame_shift());
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let frames = 0..config.frames_of(samples.len());
        let of_frame = |f: usize| -> Vec<f32> {
            let frame = &samples[f * shift..][..length];
            let parts: Vec<f32> = waves.chunks(length).map(|row| product(row, frame)).collect();
            let (real, imaginary) = parts.split_at(bins.count());
            let power: Vec<f32> = real.iter().zip(imaginary).map(|(r, i)| r * r + i * i).collect();
            let mels = filters.chunks(bins.count()).map(|row| product(row, &power));
            mels.map(|mel| mel.max(Fbank::FLOOR).ln()).collect()
        };
        frames.flat_map(of_frame).collect()
    }

    #[test]
    fn features_are_those_of_the_filter_bank() {
        let mut stream = Stream::new(1, "waveform", &[]);
        let samples: Vec<f32> = (0..4000).map(|_| 0.1 * stream.normal() as f32).collect();
        for config in [
            FbankConfig::default(),
            FbankConfig {
                window: audio::Window::Povey,
                high_freq: -400.0,
                ..FbankConfig::default()
            },
            FbankConfig { preemphasis: 0.0, scale: 1.0, ..FbankConfig::default() },
            FbankConfig { remove_dc_offset: false, mels: 40, ..FbankConfig::default() },
        ] {
            let fbank = Fbank::new(config).unwrap();
            let wanted = fbank.features(&samples, None).unwrap();
            let found = computed(&fbank, &samples);
            assert_eq!(found.len(), wanted.len());
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3;
            assert!(found.iter().zip(&wanted).all(near), "{:?}", fbank.config());
        }
    }

    #[test]
    fn mirrored_ends_are_refused() {
        let fbank = FbankConfig { snip_edges: false, ..FbankConfig::default() };
        let error = check(&Frontend { fbank, cmn: true }).unwrap_err().to_string();
        assert!(error.contains("snip_edges"), "{error}");
        check(&Frontend::default()).unwrap();
    }
}
