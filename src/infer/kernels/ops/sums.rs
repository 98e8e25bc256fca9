//! Sums in f64.

use super::Level;
use crate::lanes::Lanes;

/// Sums that are kept side by side.
pub(super) const BLOCK: usize = 64;

vectorised! {
    /// The sum of all values.
    pub(super) fn sum<FUSED>(x: &[f32]) -> f64 {
        Lanes::<16>::sum2(x, x, |x, _| f64::from(x))
    }
}

vectorised! {
    /// The sum of the squares of what is above or below the mean.
    pub(super) fn sum_squares<FUSED>(x: &[f32], mean: f32) -> f64 {
        Lanes::<16>::sum2(x, x, |x, _| {
            let off = f64::from(x - mean);
            off * off
        })
    }
}

vectorised! {
    /// Adds each value to its own sum.
    pub(super) fn add<FUSED>(sums: &mut [f64; BLOCK], x: &[f32]) {
        sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += f64::from(x));
    }
}

vectorised! {
    /// Adds the square of what is above or below its own mean to its own sum.
    pub(super) fn add_squares<FUSED>(sums: &mut [f64; BLOCK], x: &[f32], means: &[f32; BLOCK]) {
        for ((sum, &x), &mean) in sums.iter_mut().zip(x).zip(means) {
            let off = f64::from(x - mean);
            *sum += off * off;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::for_levels;
    use super::*;

    #[test]
    fn sums_are_those_of_f64() {
        for_levels(|level| {
            for n in [0, 1, 16, 63, 64] {
                let x: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin() + 100.0).collect();
                let wanted: f64 = x.iter().map(|&v| f64::from(v)).sum();
                let squares: f64 = x.iter().map(|&v| f64::from(v - 100.0).powi(2)).sum();
                assert!((sum(level, &x) - wanted).abs() <= 1e-9);
                assert!((sum_squares(level, &x, 100.0) - squares).abs() <= 1e-9);
                let (mut sums, mut all) = ([1.0; BLOCK], [1.0; BLOCK]);
                add(level, &mut sums, &x);
                add_squares(level, &mut all, &x, &[100.0; BLOCK]);
                for i in 0..BLOCK {
                    let v = x.get(i).map_or(0.0, |&v| f64::from(v));
                    let off = x.get(i).map_or(0.0, |&v| f64::from(v - 100.0));
                    assert_eq!((sums[i], all[i]), (1.0 + v, 1.0 + off * off));
                }
            }
        });
    }
}
