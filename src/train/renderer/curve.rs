//! A curve of any length in a bounded number of points.

/// Points kept at most; more than a terminal has columns for.
const MOST: usize = 1024;

/// Points in the order in which they came. When there are too many, each two neighbours become
/// their mean, and so do as many of the points that follow.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    points: Vec<(f64, f64)>,
    /// How many of the points that come make one that is kept.
    stride: usize,
    open: Vec<(f64, f64)>,
}

impl Default for Curve {
    fn default() -> Self {
        Self { points: Vec::new(), stride: 1, open: Vec::new() }
    }
}

impl Curve {
    /// Adds a point. One that is not finite has no place on a chart and is left out.
    pub fn push(&mut self, x: f64, y: f64) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        self.open.push((x, y));
        if self.open.len() < self.stride {
            return;
        }
        self.points.push(mean(&self.open));
        self.open.clear();
        if self.points.len() == MOST {
            self.points = self.points.chunks(2).map(mean).collect();
            self.stride *= 2;
        }
    }

    /// The points kept.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let sum = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
    (sum.0 / n, sum.1 / n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_curve_is_kept_whole_and_what_is_not_finite_is_left_out() {
        let mut curve = Curve::default();
        [(1.0, 2.0), (2.0, f64::NAN), (3.0, 4.0)].into_iter().for_each(|(x, y)| curve.push(x, y));
        assert_eq!(curve.points(), [(1.0, 2.0), (3.0, 4.0)]);
    }

    proptest! {
        /// On a straight line every mean lies on the line, so thinning is seen to lose neither
        /// order nor place.
        #[test]
        fn a_long_curve_stays_on_its_line(count in 1usize..20_000) {
            let mut curve = Curve::default();
            (0..count).for_each(|i| curve.push(i as f64, 2.0 * i as f64 + 1.0));
            let points = curve.points();
            prop_assert!(points.len() < MOST && points.len() >= count.min(MOST / 2));
            prop_assert!(points.iter().all(|p| (p.1 - 2.0 * p.0 - 1.0).abs() < 1e-6));
            prop_assert!(points.windows(2).all(|p| p[0].0 < p[1].0));
            // What is not shown yet is less than one kept point stands for.
            prop_assert!(count as f64 - points[points.len() - 1].0 <= 2.0 * count as f64 / (MOST / 2) as f64 + 1.0);
        }
    }
}
