//! A curve of any length in a bounded number of points.
//!
//! When there are too many points, pairs of neighbours become their mean.

/// The most points kept: more than a terminal has columns.
const MOST: usize = 1024;

/// Points in the order in which they came. Each kept point is the mean of `stride` points.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    points: Vec<(f64, f64)>,
    /// How many points make one kept point. It doubles when the kept points become too many.
    stride: usize,
    /// Fewer than `stride` points, which wait for the others.
    open: Vec<(f64, f64)>,
}

impl Default for Curve {
    fn default() -> Self {
        Self { points: Vec::new(), stride: 1, open: Vec::new() }
    }
}

impl Curve {
    /// Adds a point, unless it is not finite: that has no place on a chart.
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
    fn a_short_curve_is_kept_whole_without_points_that_are_not_finite() {
        let mut curve = Curve::default();
        [(1.0, 2.0), (2.0, f64::NAN), (3.0, 4.0)].into_iter().for_each(|(x, y)| curve.push(x, y));
        assert_eq!(curve.points(), [(1.0, 2.0), (3.0, 4.0)]);
    }

    proptest! {
        /// Means of points on a straight line lie on the line too, so the test sees whether
        /// thinning keeps order and place.
        #[test]
        fn a_long_curve_stays_on_its_line(count in 1usize..20_000) {
            let mut curve = Curve::default();
            (0..count).for_each(|i| curve.push(i as f64, 2.0 * i as f64 + 1.0));
            let points = curve.points();
            prop_assert!(points.len() < MOST && points.len() >= count.min(MOST / 2));
            prop_assert!(points.iter().all(|p| (p.1 - 2.0 * p.0 - 1.0).abs() < 1e-6));
            prop_assert!(points.windows(2).all(|p| p[0].0 < p[1].0));
            // The points that are not shown yet are fewer than one kept point stands for.
            let hidden = count as f64 - points[points.len() - 1].0;
            prop_assert!(hidden <= 2.0 * count as f64 / (MOST / 2) as f64 + 1.0);
        }
    }
}
