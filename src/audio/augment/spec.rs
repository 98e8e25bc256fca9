//! SpecAugment (arXiv 1904.08779, sections 2: time and frequency masking; no warping).

use serde::{Deserialize, Serialize};

use crate::rng::Stream;

/// How much to mask. Widths are drawn from 0 to the maximum, both inclusive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpecAugment {
    /// Number of time masks.
    pub time_masks: usize,
    /// Widest time mask, frames.
    pub time_width: usize,
    /// Number of frequency masks.
    pub mel_masks: usize,
    /// Widest frequency mask, mel filters.
    pub mel_width: usize,
}

impl Default for SpecAugment {
    fn default() -> Self {
        Self { time_masks: 1, time_width: 20, mel_masks: 1, mel_width: 10 }
    }
}

/// Sets random stripes of mean-subtracted features `[frames, mels]` to 0, their mean.
pub fn mask(features: &mut [f32], mels: usize, config: &SpecAugment, stream: &mut Stream) {
    let frames = features.len() / mels.max(1);
    if frames == 0 {
        return;
    }
    let mut stripe = |widest: usize, room: usize| {
        let width = stream.below(widest.min(room) + 1);
        let start = stream.below(room - width + 1);
        start..start + width
    };
    for _ in 0..config.time_masks {
        let t = stripe(config.time_width, frames);
        features[t.start * mels..t.end * mels].fill(0.0);
    }
    for _ in 0..config.mel_masks {
        let m = stripe(config.mel_width, mels);
        features.chunks_exact_mut(mels).for_each(|frame| frame[m.clone()].fill(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_stripes_within_their_widths() {
        let (frames, mels) = (50, 20);
        let config = SpecAugment { time_masks: 1, time_width: 5, mel_masks: 1, mel_width: 3 };
        let mut any = false;
        for seed in 0..50 {
            let mut x = vec![1.0f32; frames * mels];
            mask(&mut x, mels, &config, &mut Stream::new(seed, "test", &[]));
            let rows = (0..frames)
                .filter(|&t| x[t * mels..(t + 1) * mels].iter().all(|&v| v == 0.0))
                .count();
            let columns =
                (0..mels).filter(|&m| (0..frames).all(|t| x[t * mels + m] == 0.0)).count();
            assert!(rows <= 5 && columns <= 3);
            let zeros = x.iter().filter(|&&v| v == 0.0).count();
            assert_eq!(zeros, rows * mels + columns * frames - rows * columns);
            any |= zeros > 0;
        }
        assert!(any);
    }

    #[test]
    fn masks_wider_than_the_features_fit() {
        let config = SpecAugment { time_masks: 3, time_width: 500, mel_masks: 3, mel_width: 500 };
        let mut zeros = 0;
        for seed in 0..50 {
            let mut x = [1.0f32; 12];
            mask(&mut x, 4, &config, &mut Stream::new(seed, "test", &[]));
            zeros += x.iter().filter(|&&v| v == 0.0).count();
        }
        assert!(zeros > 12, "{zeros}");
        mask(&mut [], 4, &config, &mut Stream::new(0, "test", &[]));
    }
}
