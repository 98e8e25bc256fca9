//! The square of a DET plot: two equal axes in normal quantiles (probits), and clipping to them.

use plotters::prelude::Color;

use crate::canvas::{Canvas, GREY, HPos, PALE, Spot};
use crate::error::Result;
use crate::scoring::band::SHOWN;
use crate::scoring::probit::probit;

/// A false-accept rate and a miss rate, in probits.
pub(super) type Warped = (f64, f64);

/// The square, in pixels.
pub(super) const LEFT: i32 = 80;
pub(super) const TOP: i32 = 52;
pub(super) const SIDE: i32 = 532;

/// Rates that can end or divide an axis, and their labels in percent. Earlier entries take
/// precedence where there is no room for all labels.
const TICKS: [(f64, &str); 18] = [
    (0.01, "1"),
    (0.1, "10"),
    (0.001, "0.1"),
    (0.0001, "0.01"),
    (SHOWN[0], "0.001"),
    (0.4, "40"),
    (0.2, "20"),
    (0.05, "5"),
    (0.02, "2"),
    (0.005, "0.5"),
    (0.002, "0.2"),
    (0.6, "60"),
    (0.8, "80"),
    (SHOWN[1], "95"),
    (0.0005, "0.05"),
    (0.0002, "0.02"),
    (0.00005, "0.005"),
    (0.00002, "0.002"),
];

/// The least distance of two labels, in pixels.
const ROOM: f64 = 28.0;

/// Both axes: they are equal, so that EER lies on the diagonal.
pub(super) struct Axes {
    /// The ends, in probits.
    low: f64,
    high: f64,
}

impl Axes {
    /// Axes from below the rate `lowest` (and at most 1 %) to `highest` or above (and at least
    /// 40 %). Both ends stay within [`SHOWN`].
    pub fn around(lowest: f64, highest: f64) -> Self {
        let ticks = TICKS.map(|t| t.0).into_iter();
        let low = ticks.clone().filter(|t| *t < lowest && *t <= 0.01).fold(SHOWN[0], f64::max);
        let high = ticks.filter(|t| *t >= highest && *t >= 0.4).fold(SHOWN[1], f64::min);
        Self { low: probit(low), high: probit(high) }
    }

    /// Pixels between the lower end and a probit.
    fn along(&self, probit: f64) -> f64 {
        f64::from(SIDE) * (probit - self.low) / (self.high - self.low)
    }

    /// The pixel of a pair of rates.
    fn spot(&self, (x, y): Warped) -> Spot {
        (LEFT + self.along(x).round() as i32, TOP + SIDE - self.along(y).round() as i32)
    }

    /// The part of a path, or of an outline (`closed`), that lies within the axes, in pixels.
    pub fn clip(&self, path: &[Warped], closed: bool) -> Vec<Spot> {
        let range = [self.low, self.high];
        let mut spots: Vec<Spot> =
            within(path, closed, range, range).into_iter().map(|p| self.spot(p)).collect();
        spots.dedup();
        spots
    }

    /// The pixel of a mark for two rates. A rate below the lower end goes on the border, since a
    /// rate of 0 has no place of its own. None if a rate is above the upper end.
    pub fn mark(&self, fpr: f64, fnr: f64) -> Option<Spot> {
        let (x, y) = (probit(fpr).max(self.low), probit(fnr).max(self.low));
        (x <= self.high && y <= self.high).then(|| self.spot((x, y)))
    }

    /// The labelled rates: each one's place along an axis, in pixels, and its label.
    fn ticks(&self) -> Vec<(i32, &'static str)> {
        let mut chosen: Vec<(f64, &'static str)> = Vec::new();
        for (rate, label) in TICKS {
            let at = self.along(probit(rate));
            let inside = (-0.5..f64::from(SIDE) + 0.5).contains(&at);
            if inside && chosen.iter().all(|c| (c.0 - at).abs() >= ROOM) {
                chosen.push((at, label));
            }
        }
        chosen.into_iter().map(|(at, label)| (at.round() as i32, label)).collect()
    }

    /// Draws grid, diagonal, labels and frame.
    pub fn draw(&self, canvas: &Canvas) -> Result<()> {
        let (right, bottom) = (LEFT + SIDE, TOP + SIDE);
        for (at, label) in self.ticks() {
            let (x, y) = (LEFT + at, bottom - at);
            canvas.line(&[(x, TOP), (x, bottom)], PALE)?;
            canvas.line(&[(LEFT, y), (right, y)], PALE)?;
            canvas.text(label, 14, GREY, HPos::Center, (x, bottom + 14))?;
            canvas.text(label, 14, GREY, HPos::Right, (LEFT - 10, y))?;
        }
        canvas.line(&[(LEFT, bottom), (right, TOP)], PALE)?;
        canvas.rectangle([(LEFT, TOP), (right, bottom)], GREY.stroke_width(1))?;
        canvas.text(
            "false-accept rate, %",
            16,
            GREY,
            HPos::Center,
            (LEFT + SIDE / 2, bottom + 38),
        )?;
        canvas.upright("miss rate, %", 16, GREY, (24, TOP + SIDE / 2))
    }
}

/// The part of a path, or of an outline (`closed`), between two bounds of x and two of y. Lines
/// that cross a bound end on it.
pub(super) fn within(path: &[Warped], closed: bool, x: [f64; 2], y: [f64; 2]) -> Vec<Warped> {
    let path = cut(path, closed, |p| p.0 - x[0]);
    let path = cut(&path, closed, |p| x[1] - p.0);
    let path = cut(&path, closed, |p| p.1 - y[0]);
    cut(&path, closed, |p| y[1] - p.1)
}

/// One step of Sutherland and Hodgman's clipping: keeps points whose `distance` from a bound is not
/// negative.
fn cut(path: &[Warped], closed: bool, distance: impl Fn(Warped) -> f64) -> Vec<Warped> {
    let mut kept = Vec::with_capacity(path.len());
    for (i, &from) in path.iter().enumerate() {
        let before = distance(from);
        if before >= 0.0 {
            kept.push(from);
        }
        let to = match path.get(i + 1) {
            Some(&next) => next,
            None if closed => path[0],
            None => break,
        };
        let after = distance(to);
        if (before < 0.0) != (after < 0.0) {
            let u = before / (before - after);
            kept.push((from.0 + u * (to.0 - from.0), from.1 + u * (to.1 - from.1)));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &[Warped], b: &[Warped]) -> bool {
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| (a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12)
    }

    #[test]
    fn a_path_is_cut_by_interpolation() {
        let unit = [0.0, 1.0];
        let path = [(-1.0, 3.0), (0.5, 0.5), (2.0, -0.25)];
        // It enters through the top and leaves through the right.
        let inside = within(&path, false, unit, unit);
        assert!(close(&inside, &[(0.2, 1.0), (0.5, 0.5), (1.0, 0.25)]), "{inside:?}");
        assert!(within(&[(-1.0, 0.5), (-0.5, 0.2)], false, unit, unit).is_empty());
        let triangle = [(-1.0, 0.0), (3.0, 0.0), (1.0, 4.0)];
        let inside = within(&triangle, true, unit, unit);
        assert!(close(&inside, &[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]), "{inside:?}");
    }

    #[test]
    fn axes_hold_what_is_asked_for_and_their_labels_have_room() {
        for (lowest, highest, ends) in [
            (0.003, 0.05, (0.002, 0.4)),
            (0.002, 0.41, (0.001, 0.6)),
            (1e-7, 0.99, (1e-5, 0.95)),
            (0.3, 0.3, (0.01, 0.4)),
        ] {
            let axes = Axes::around(lowest, highest);
            assert_eq!(
                (axes.low, axes.high),
                (probit(ends.0), probit(ends.1)),
                "{lowest} {highest}"
            );
            let mut ticks = axes.ticks();
            ticks.sort_unstable();
            assert!(
                ticks.len() > 3 && ticks.windows(2).all(|w| w[1].0 - w[0].0 >= 27),
                "{ticks:?}"
            );
            assert!(ticks[0].0 >= 0 && ticks[ticks.len() - 1].0 <= SIDE, "{ticks:?}");
        }
        let axes = Axes::around(0.003, 0.05);
        assert_eq!(axes.mark(0.0, 0.4), Some((LEFT, TOP)));
        assert_eq!(axes.mark(0.4, 1e-6), Some((LEFT + SIDE, TOP + SIDE)));
        assert_eq!(axes.mark(0.5, 0.1), None);
    }
}
