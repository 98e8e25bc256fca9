//! The grid of false-accept rates at which the interval around a DET curve is computed.

use super::probit::{cumulative, probit};

/// Number of false-accept rates of the grid.
pub(super) const GRID: usize = 64;

/// The lowest and the highest rate that a DET plot can show.
pub(super) const SHOWN: [f64; 2] = [1e-5, 0.95];

/// The 95 % interval of the miss rate at one false-accept rate.
///
/// That miss rate belongs to the lowest threshold that accepts at most `fpr` of the nontargets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandPoint {
    /// The false-accept rate, 0 to 1.
    pub fpr: f64,
    /// Lower end of the miss rate, 0 to 1.
    pub low: f64,
    /// Upper end of the miss rate, 0 to 1.
    pub high: f64,
}

/// Ascending false-accept rates in equal steps of their normal quantile, from half a false accept
/// among `nontargets` trials, but at least 1e-5, to 95 %.
pub(super) fn grid(nontargets: usize) -> [f64; GRID] {
    let low = probit((0.5 / nontargets.max(1) as f64).max(SHOWN[0]));
    let step = (probit(SHOWN[1]) - low) / (GRID - 1) as f64;
    std::array::from_fn(|k| cumulative(low + step * k as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_equal_steps_of_quantiles() {
        for (nontargets, first) in [(1, 0.5), (1000, 5e-4), (10_000_000, 1e-5)] {
            let grid = grid(nontargets);
            assert!((grid[0] / first - 1.0).abs() < 1e-6, "{}", grid[0]);
            assert!((grid[GRID - 1] - 0.95).abs() < 1e-6, "{}", grid[GRID - 1]);
            let steps: Vec<f64> = grid.windows(2).map(|w| probit(w[1]) - probit(w[0])).collect();
            assert!(steps.iter().all(|s| *s > 0.0 && (s - steps[0]).abs() < 1e-6), "{steps:?}");
        }
    }
}
