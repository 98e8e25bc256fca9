//! Samples that are in memory, as a file's blocks.

use super::blocks::Blocks;
use crate::error::Result;

/// Samples of a block.
const BLOCK: usize = 1 << 16;

/// One channel of samples.
pub(super) struct Held {
    samples: Vec<f32>,
    rate: u32,
    /// Samples before the next block.
    given: usize,
}

impl Held {
    /// Samples at a rate, Hz.
    pub fn new(samples: Vec<f32>, rate: u32) -> Self {
        Self { samples, rate, given: 0 }
    }
}

impl Blocks for Held {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn length(&self) -> Option<u64> {
        Some(self.samples.len() as u64)
    }

    fn more(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        let left = &self.samples[self.given..];
        let block = &left[..left.len().min(BLOCK)];
        samples.extend_from_slice(block);
        self.given += block.len();
        Ok(!block.is_empty())
    }

    fn rewind(&mut self) {
        self.given = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::BLOCK;
    use crate::audio::{Source, resample};

    fn read(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, String> {
        let source = Source::of_samples(Path::new("samples"), samples.to_vec(), from, to);
        let mut source = source.map_err(|e| e.to_string())?;
        source.read(usize::MAX).map_err(|e| e.to_string())
    }

    #[test]
    fn samples_come_back_and_at_other_rates_are_resampled() {
        let samples: Vec<f32> = (0..3 * BLOCK + 7).map(|i| (i as f32 * 0.05).sin()).collect();
        assert_eq!(read(&samples, 16_000, 16_000).unwrap(), samples);
        for from in [8000, 44_100, 48_000] {
            let wanted = resample(&samples, from, 16_000).unwrap();
            assert_eq!(read(&samples, from, 16_000).unwrap(), wanted, "{from} Hz");
        }
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        assert!(read(&[], 16_000, 16_000).unwrap_err().contains("holds no samples"));
        let error = read(&[0.0, f32::NAN], 8000, 16_000).unwrap_err();
        assert!(error.contains("sample 1 is NaN"), "{error}");
        for rate in [0, 5, 1_000_000] {
            let error = read(&[0.5; 400], rate, 16_000).unwrap_err();
            assert!(error.contains("not a rate of audio"), "{rate}: {error}");
        }
    }
}
