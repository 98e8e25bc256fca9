//! The detection error trade-off curve: misses against false accepts, both axes warped by the
//! normal quantile (Martin et al., "The DET curve in assessment of detection task performance",
//! Eurospeech 1997).

mod axes;
mod corners;
mod dashes;
mod legend;
mod overlay;

use std::fmt::Write as _;
use std::io::{self, Write};

use plotters::prelude::{BLACK, Color};

use self::axes::{Axes, LEFT, SIDE, TOP, Warped, within};
use self::corners::corners;
use self::legend::{CURVE, EER, Sign, light, outline};
pub use self::overlay::{DET_SYSTEMS, DetSystem, det_systems_svg};
use super::band::SHOWN;
use super::parts::write_parts;
use super::probit::probit;
use super::{BandPoint, Cost, Curve, Eer, Intervals, Point};
use crate::canvas::{self, Canvas, GREY, HPos, Spot, shortened};
use crate::error::Result;

/// What a DET plot shows besides the curve.
#[derive(Debug, Clone, Copy)]
pub struct DetPlot<'a> {
    /// The title.
    pub title: &'a str,
    /// 95 % intervals: a band around the curve, and ranges in the legend. Those of minDCF are shown
    /// if there is one for each of `costs`.
    pub intervals: Option<&'a Intervals>,
    /// The applications whose minDCF points are marked.
    pub costs: &'a [Cost],
}

/// The curve as SVG text, 640 pixels wide and high.
///
/// The curve has the points at which some but not all targets are missed and some but not all
/// nontargets accepted, since 0 and 1 have no place on the axes. EER and minDCF points have marks;
/// a mark with a rate of 0 lies on the border. The axes are equal and as long as the curve needs.
///
/// # Errors
/// Those of the drawing library.
pub fn det_svg(curve: &Curve, plot: &DetPlot) -> Result<String> {
    let corners = corners(curve);
    let eer = curve.eer();
    let best: Vec<Point> = plot.costs.iter().map(|cost| curve.at_min_cost(cost)).collect();
    let [lowest, highest] = reach(curve, &corners, eer.rate, &best);
    let axes = Axes::around(lowest, highest);
    let path = warped(&corners);
    let line = axes.clip(&path, false);
    let area = plot.intervals.map_or(Vec::new(), |i| axes.clip(&band(&i.band, &path), true));
    canvas::svg((640, 640), |canvas| {
        canvas.text(
            &shortened(plot.title, 20, 600),
            20,
            BLACK,
            HPos::Center,
            (LEFT + SIDE / 2, 20),
        )?;
        let trials = format!("{} targets, {} nontargets", curve.targets, curve.nontargets);
        canvas.text(&trials, 14, GREY, HPos::Center, (LEFT + SIDE / 2, 40))?;
        axes.draw(canvas)?;
        if area.len() > 2 {
            canvas.area(&area, light(CURVE))?;
        }
        match line[..] {
            [] => remark(canvas, &eer)?,
            [only] => canvas.dot(only, 2, CURVE)?,
            _ => canvas.line(&line, CURVE.stroke_width(2))?,
        }
        let mut rows = vec![(Sign::Dot(EER), legend::eer(eer.rate, plot.intervals.map(|i| i.eer)))];
        let mut spots: Vec<Spot> = Vec::new();
        for (k, (p, cost)) in best.iter().zip(plot.costs).enumerate() {
            let spot = place(&axes, p);
            let sign = outline(k);
            spot.map_or(Ok(()), |at| sign.draw(canvas, at))?;
            spots.extend(spot);
            let interval =
                plot.intervals.filter(|i| i.min_dcf.len() == best.len()).map(|i| i.min_dcf[k]);
            rows.push((
                sign,
                legend::min_dcf(cost, curve.min_cost(cost).cost, interval, p, spot.is_some()),
            ));
        }
        if let Some(at) = axes.mark(eer.rate, eer.rate).filter(|_| eer.rate > 0.0) {
            Sign::Dot(EER).draw(canvas, at)?;
            spots.push(at);
        }
        if area.len() > 2
            && let Some(intervals) = plot.intervals
        {
            rows.push((
                Sign::Band(CURVE),
                format!("95 % interval, {} speakers resampled", intervals.speakers),
            ));
        }
        let lines: Vec<&[Spot]> = std::iter::once(&line[..]).chain(spots.chunks(1)).collect();
        legend::draw(canvas, &rows, &lines, &area)
    })
}

/// Writes the curve as comma-separated text: threshold, false-accept rate, miss rate.
///
/// # Errors
/// Those of `out`.
pub fn det_csv(curve: &Curve, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"threshold,fpr,fnr\n")?;
    let lines = |part: usize| {
        let mut text = String::new();
        for p in curve.part(part) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{},{},{}", p.threshold, p.fpr, p.fnr);
        }
        text
    };
    write_parts(out, curve.parts(), &lines, &mut |_| ())
}

/// The points in probits.
fn warped(corners: &[Point]) -> Vec<Warped> {
    corners.iter().map(|p| (probit(p.fpr), probit(p.fnr))).collect()
}

/// The pixel of the mark of a minDCF point; none without errors, or off the axes.
fn place(axes: &Axes, p: &Point) -> Option<Spot> {
    axes.mark(p.fpr, p.fnr).filter(|_| p.fpr > 0.0 || p.fnr > 0.0)
}

/// The rates that axes must hold for the curve, and for the marks that have a place on them.
fn reach(curve: &Curve, corners: &[Point], eer: f64, best: &[Point]) -> [f64; 2] {
    let rates = best.iter().flat_map(|p| [p.fpr, p.fnr]).chain([eer]);
    let marks: Vec<f64> = rates.filter(|r| *r > 0.0 && *r <= SHOWN[1]).collect();
    // Misses rise and false accepts fall along the curve.
    let end = match (corners.first(), corners.last()) {
        (Some(first), Some(last)) => first.fnr.min(last.fpr),
        _ => 0.5 / curve.targets.max(curve.nontargets) as f64,
    };
    // Some of the curve beyond EER is shown too.
    [marks.iter().copied().fold(end, f64::min), marks.iter().copied().fold(1.5 * eer, f64::max)]
}

/// The outline of the band as far as the curve goes.
fn band(points: &[BandPoint], path: &[Warped]) -> Vec<Warped> {
    // Beyond every axis, as 0 and 1 are, but with a finite probit.
    const BEYOND: [f64; 2] = [1e-9, 1.0 - 1e-9];
    let (Some(first), Some(last)) = (path.first(), path.last()) else { return Vec::new() };
    let warp = |fpr: f64, miss: f64| (probit(fpr), probit(miss.clamp(BEYOND[0], BEYOND[1])));
    let high = points.iter().map(|b| warp(b.fpr, b.high));
    let low = points.iter().rev().map(|b| warp(b.fpr, b.low));
    let outline: Vec<Warped> = high.chain(low).collect();
    within(&outline, true, [last.0, first.0], [f64::NEG_INFINITY, f64::INFINITY])
}

/// Says why there is no curve.
fn remark(canvas: &Canvas, eer: &Eer) -> Result<()> {
    let x = LEFT + SIDE / 2;
    if eer.rate == 0.0 {
        let words = format!("no errors at the threshold {:.4}", eer.threshold);
        return canvas.text(
            &shortened(&words, 18, SIDE),
            18,
            BLACK,
            HPos::Center,
            (x, TOP + SIDE / 2),
        );
    }
    let words = "at every threshold all or none of the targets or nontargets are accepted";
    canvas.text(words, 14, GREY, HPos::Center, (x, TOP + SIDE - 30))
}

#[cfg(test)]
mod tests;
