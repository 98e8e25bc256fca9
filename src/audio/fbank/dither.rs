//! Dither: Gaussian noise on every sample of every frame, as in Kaldi.
//!
//! Drawing each of these numbers would take ten times as long as the features. So the numbers are
//! in a table, which is the same in every run, and each frame draws the place where its noise
//! begins. The noise of different frames is independent, except for the few frames whose noise
//! comes from overlapping parts of the table.

use std::sync::LazyLock;

use crate::rng::Stream;

/// Numbers of the table: of the pairs of frames of 400 samples, one in 160 shares some.
const NUMBERS: usize = 1 << 17;

static TABLE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let mut draw = Stream::new(0, "dither table", &[]);
    let pairs = (0..NUMBERS / 2).map(|_| draw.normal_pair());
    pairs.flat_map(|(a, b)| [a as f32, b as f32]).collect()
});

/// The noise that a filter bank adds to frames. Sample `i` of a frame gets number `offset + i` of
/// the table, times [`dither`](super::FbankConfig::dither), after the sample was scaled.
pub struct Dither;

impl Dither {
    /// Standard normal numbers.
    pub fn table() -> &'static [f32] {
        &TABLE
    }

    /// Draws the offsets of the next frames, each of `length` samples. They are those that
    /// [`Fbank::compute`](super::Fbank::compute) draws from the same stream.
    ///
    /// # Panics
    /// If a frame is longer than the table.
    pub fn offsets(frames: usize, length: usize, noise: &mut Stream) -> Vec<usize> {
        (0..frames).map(|_| Self::offset(length, noise)).collect()
    }

    fn offset(length: usize, noise: &mut Stream) -> usize {
        assert!(length <= NUMBERS, "frames of {length} samples, {NUMBERS} numbers");
        noise.below(NUMBERS + 1 - length)
    }

    /// Adds the noise of the next frame.
    pub(super) fn add(frame: &mut [f32], amount: f32, noise: &mut Stream) {
        let start = Self::offset(frame.len(), noise);
        let numbers = &Self::table()[start..][..frame.len()];
        frame.iter_mut().zip(numbers).for_each(|(x, n)| *x += amount * n);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fbank, FbankConfig};
    use super::*;

    const LENGTH: usize = 400;

    /// Noise of frames in a row, without samples.
    fn frames(count: usize, seed: u64) -> Vec<[f32; LENGTH]> {
        let mut draw = Stream::new(seed, "test", &[]);
        let noise = || {
            let mut frame = [0.0; LENGTH];
            Dither::add(&mut frame, 1.0, &mut draw);
            frame
        };
        std::iter::repeat_with(noise).take(count).collect()
    }

    #[test]
    fn the_table_is_standard_normal() {
        let moment = |power: i32| {
            let sum: f64 = Dither::table().iter().map(|&x| f64::from(x).powi(power)).sum();
            sum / NUMBERS as f64
        };
        // Five standard deviations.
        for (power, wanted, far) in
            [(1, 0.0, 0.014), (2, 1.0, 0.02), (3, 0.0, 0.054), (4, 3.0, 0.14)]
        {
            let found = moment(power);
            assert!((found - wanted).abs() < far, "moment {power} is {found}");
        }
        // Neither does a number tell the next one.
        let pairs = Dither::table().windows(2);
        let product = pairs.map(|p| f64::from(p[0] * p[1])).sum::<f64>() / NUMBERS as f64;
        assert!(product.abs() < 0.014, "{product}");
    }

    #[test]
    fn noise_of_neighbouring_frames_is_uncorrelated() {
        let frames = frames(1000, 1);
        let correlation = |shift: usize| {
            let of = |pair: &[[f32; LENGTH]]| -> f64 {
                let terms = pair[0][shift..].iter().zip(&pair[1]).map(|(a, b)| f64::from(a * b));
                terms.sum::<f64>() / (LENGTH - shift) as f64
            };
            frames.windows(2).map(of).sum::<f64>() / (frames.len() - 1) as f64
        };
        // At a shift of 160 these are the same samples of the audio.
        for shift in [0, 1, 160] {
            assert!(correlation(shift).abs() < 0.013, "{shift}: {}", correlation(shift));
        }
        let first = frames[0];
        assert!(frames[1..].iter().all(|frame| *frame != first));
    }

    #[test]
    fn offsets_are_those_of_the_frames() {
        for length in [1, LENGTH, 1 << 16, NUMBERS] {
            let offsets = Dither::offsets(20, length, &mut Stream::new(4, "test", &[]));
            let mut draw = Stream::new(4, "test", &[]);
            for offset in offsets {
                let mut frame = vec![1.0; length];
                Dither::add(&mut frame, 0.5, &mut draw);
                let numbers = &Dither::table()[offset..offset + length];
                assert!(frame.iter().zip(numbers).all(|(x, n)| *x == 1.0 + 0.5 * n), "{length}");
            }
        }
    }

    /// The plain twin draws a number for every sample of every frame.
    #[test]
    fn features_are_distributed_as_with_independent_numbers() {
        let (count, mels) = (2000, 80);
        let fbank = Fbank::new(FbankConfig { dither: 1.0, ..Default::default() }).unwrap();
        let silence = vec![0.0; fbank.config().samples_for(count)];
        let ours = fbank.compute(&silence, Some(&mut Stream::new(2, "test", &[])));
        // One frame after the other, so no two of them share a sample.
        let plain = Fbank::new(FbankConfig { frame_shift_ms: 25.0, ..Default::default() }).unwrap();
        let mut draw = Stream::new(3, "test", &[]);
        let noise: Vec<f32> =
            (0..count * LENGTH).map(|_| draw.normal() as f32 / 32_768.0).collect();
        let wanted = plain.compute(&noise, None);
        assert_eq!((ours.len(), wanted.len()), (count * mels, count * mels));
        let moments = |features: &[f32], mel: usize| {
            let values = || features.iter().skip(mel).step_by(mels).map(|&x| f64::from(x));
            let mean = values().sum::<f64>() / count as f64;
            let variance = values().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
            (mean, variance.sqrt())
        };
        let mut total = 0.0;
        for mel in 0..mels {
            let ((mean, spread), (mean_wanted, spread_wanted)) =
                (moments(&ours, mel), moments(&wanted, mel));
            assert!((mean - mean_wanted).abs() < 0.35, "{mel}: {mean} and {mean_wanted}");
            assert!((spread - spread_wanted).abs() < 0.25, "{mel}: {spread}, {spread_wanted}");
            total += mean - mean_wanted;
        }
        assert!((total / mels as f64).abs() < 0.04, "{total}");
    }
}
