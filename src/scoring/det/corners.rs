//! Picks the points of a curve that a plot can tell apart.

use rayon::prelude::*;

use crate::scoring::probit::probit;
use crate::scoring::{Curve, Point};

/// The operating points with a place on the axes, at most one in each cell of 1/1000 probit, and
/// the last of them.
pub(super) fn corners(curve: &Curve) -> Vec<Point> {
    // It compares counts, since n times 1/n need not be 1.
    let some = |rate: f64, of: usize| {
        let count = (rate * of as f64).round();
        count > 0.0 && count < of as f64
    };
    let is_shown = |p: &Point| some(p.fpr, curve.nontargets) && some(p.fnr, curve.targets);
    let cell = |p: &Point| [p.fpr, p.fnr].map(|rate| (1000.0 * probit(rate)) as i64);
    // From each part: its first point, each point in another cell than the point before, and, apart
    // from these, its last point.
    let part = |part: usize| {
        let (mut kept, mut at, mut last) = (Vec::new(), None, None);
        for p in curve.part(part).filter(is_shown) {
            let cell = Some(cell(&p));
            if cell != at {
                kept.push(p);
                at = cell;
            }
            last = Some(p);
        }
        (kept, last)
    };
    let parts: Vec<(Vec<Point>, Option<Point>)> =
        (0..curve.parts()).into_par_iter().map(part).collect();
    let mut kept: Vec<Point> = Vec::new();
    let mut last: Option<Point> = None;
    for (points, end) in parts {
        let goes_on =
            last.zip(points.first()).is_some_and(|(before, first)| cell(&before) == cell(first));
        kept.extend(points.into_iter().skip(usize::from(goes_on)));
        last = end.or(last);
    }
    if kept.last() != last.as_ref() {
        kept.extend(last);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn some_curve() -> Curve<'static> {
        let mut stream = Stream::new(3, "test", &[]);
        let trial = |i: usize| {
            let target = i.is_multiple_of(5);
            (stream.normal() + if target { 2.0 } else { 0.0 }, target)
        };
        Curve::new((0..6000).map(trial)).unwrap()
    }

    /// The parts change nothing: the points are those of a pass over all.
    #[test]
    fn corners_are_where_the_cell_changes() {
        let curve = some_curve();
        let some =
            |rate: f64, of: usize| (1.0..of as f64 - 0.5).contains(&(rate * of as f64).round());
        let (mut wanted, mut cell): (Vec<Point>, _) = (Vec::new(), None);
        let shown: Vec<Point> = curve
            .points()
            .filter(|p| some(p.fpr, curve.nontargets) && some(p.fnr, curve.targets))
            .collect();
        for p in &shown {
            let at = Some([p.fpr, p.fnr].map(|rate| (1000.0 * probit(rate)) as i64));
            if at != cell {
                wanted.push(*p);
            }
            cell = at;
        }
        if wanted.last() != shown.last() {
            wanted.extend(shown.last());
        }
        assert!(curve.parts() > 20 && wanted.len() < shown.len());
        assert_eq!(corners(&curve), wanted);
    }
}
