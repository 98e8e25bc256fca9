//! Samples at full scale.

/// 1.5 steps of 16 bits: so far from the peak a sample still is at it.
const NEAR: f32 = 1.5 / 32_768.0;
/// A lower peak is not that of clipped samples: 3 dB below full scale.
const LEAST: f32 = 0.7;
/// Fewer samples in a row are a peak that was not clipped.
const RUN: usize = 3;

/// Clipped samples of either sign.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clipping {
    above: Side,
    below: Side,
}

/// Clipped samples of one sign.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    /// The largest value, 1 at most.
    peak: f32,
    /// Samples at it, in runs.
    count: usize,
}

impl Clipping {
    /// Those of a window.
    pub fn of(samples: &[f32]) -> Self {
        Self { above: Side::of(samples, 1.0), below: Side::of(samples, -1.0) }
    }

    /// Adds those of the next window. What is at the peak of one window alone does not count if
    /// the other has a higher one.
    pub fn add(&mut self, later: Self) {
        self.above.add(later.above);
        self.below.add(later.below);
    }

    /// Number of clipped samples.
    pub fn count(&self) -> usize {
        self.above.count + self.below.count
    }
}

impl Side {
    fn of(samples: &[f32], sign: f32) -> Self {
        let peak = samples.iter().fold(0.0f32, |peak, &x| peak.max(sign * x)).min(1.0);
        if peak < LEAST {
            return Self { peak, count: 0 };
        }
        let is_at_peak = |x: f32| sign * x >= peak - NEAR;
        let runs = samples.chunk_by(|&a, &b| is_at_peak(a) == is_at_peak(b));
        let clipped = runs.filter(|run| run.len() >= RUN && is_at_peak(run[0]));
        Self { peak, count: clipped.map(<[f32]>::len).sum() }
    }

    fn add(&mut self, later: Self) {
        if later.peak > self.peak + NEAR {
            *self = later;
        } else if later.peak >= self.peak - NEAR {
            self.peak = self.peak.max(later.peak);
            self.count += later.count;
        }
    }
}
