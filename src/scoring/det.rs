//! The detection error trade-off curve: misses against false accepts, both axes warped by the normal quantile.

use plotters::prelude::*;

use super::{Curve, Eer, Point};
use crate::error::{Error, Result};

/// Axis ends and ticks, as rates.
const TICKS: [f64; 12] = [0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95];

/// Quantile of the standard normal distribution (Acklam's rational approximation, relative error below 1.2e-9).
pub(super) fn probit(p: f64) -> f64 {
    const A: [f64; 6] = [
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.357751867269,
        -30.66479806614716,
        2.506628277459239,
    ];
    const B: [f64; 5] =
        [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572];
    const C: [f64; 6] = [
        -0.007784894002430293,
        -0.3223964580411365,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416];
    let poly = |c: &[f64], x: f64| c.iter().fold(0.0, |acc, k| acc * x + k);
    if p > 0.5 {
        return -probit(1.0 - p);
    }
    if p < 0.02425 {
        let q = (-2.0 * p.ln()).sqrt();
        return poly(&C, q) / (poly(&D, q) * q + 1.0);
    }
    let q = p - 0.5;
    let r = q * q;
    poly(&A, r) * q / (poly(&B, r) * r + 1.0)
}

/// The curve as SVG text, with the EER point marked.
pub fn det_svg(curve: &Curve, title: &str) -> Result<String> {
    let failed = |e: &dyn std::fmt::Display| Error::Undefined(format!("cannot draw the DET curve: {e}"));
    let (first, last) = (TICKS[0], TICKS[TICKS.len() - 1]);
    let warp = |p: f64| probit(p.clamp(first, last));
    let eer = curve.eer();
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (640, 640)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| failed(&e))?;
        let axis = probit(first)..probit(last);
        let mut chart = ChartBuilder::on(&root)
            .caption(format!("{title}: EER {:.2} %", 100.0 * eer.rate), ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d(axis.clone(), axis)
            .map_err(|e| failed(&e))?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(0)
            .y_labels(0)
            .x_desc("false accept rate, %")
            .y_desc("miss rate, %")
            .draw()
            .map_err(|e| failed(&e))?;
        let ends = (probit(first), probit(last));
        let grid = RGBColor(225, 225, 225);
        for tick in TICKS {
            let t = probit(tick);
            let label = format!("{}", 100.0 * tick);
            let lines = [vec![(t, ends.0), (t, ends.1)], vec![(ends.0, t), (ends.1, t)]];
            chart.draw_series(lines.into_iter().map(|l| PathElement::new(l, grid))).map_err(|e| failed(&e))?;
            let (x, y) = (chart.backend_coord(&(t, ends.0)), chart.backend_coord(&(ends.0, t)));
            let style = ("sans-serif", 12).into_font();
            let place = |x: i32, y: i32| Text::new(label.clone(), (x, y), style.clone());
            root.draw(&place(x.0 - 8, x.1 + 6)).map_err(|e| failed(&e))?;
            root.draw(&place(y.0 - 36, y.1 - 6)).map_err(|e| failed(&e))?;
        }
        let line: Vec<(f64, f64)> = thin(curve).iter().map(|p| (warp(p.fpr), warp(p.fnr))).collect();
        chart.draw_series(LineSeries::new(line, BLUE.stroke_width(2))).map_err(|e| failed(&e))?;
        let mark = (warp(eer.rate), warp(eer.rate));
        chart.draw_series([Circle::new(mark, 5, RED.filled())]).map_err(|e| failed(&e))?;
        root.present().map_err(|e| failed(&e))?;
    }
    Ok(svg)
}

/// The curve as comma-separated text: threshold, false-accept rate, miss rate.
pub fn det_csv(curve: &Curve) -> String {
    let mut text = String::from("threshold,fpr,fnr\n");
    for p in curve.points() {
        text += &format!("{},{},{}\n", p.threshold, p.fpr, p.fnr);
    }
    text
}

/// The corners that a plot can show: at most one point in each step of 1/2000 along either warped axis.
fn thin(curve: &Curve) -> Vec<Point> {
    let cell = |p: &Point| {
        let one = |x: f64| (probit(x.clamp(TICKS[0], TICKS[TICKS.len() - 1])) * 400.0) as i64;
        (one(p.fpr), one(p.fnr))
    };
    let mut kept: Vec<Point> = Vec::new();
    for p in curve.points() {
        if kept.last().is_none_or(|k| cell(k) != cell(p)) {
            kept.push(*p);
        }
    }
    kept
}

/// One line for a person: `EER 3.21 %`.
impl std::fmt::Display for Eer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{:.2} %", 100.0 * self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles from tables of the normal distribution.
    #[test]
    fn probit_is_the_normal_quantile() {
        for (p, z) in [(0.5, 0.0), (0.975, 1.959_963_985), (0.001, -3.090_232_306), (0.2, -0.841_621_234)] {
            assert!((probit(p) - z).abs() < 1e-7, "{p}");
        }
    }

    #[test]
    fn the_plot_is_svg_with_a_curve() {
        let trials = (0..500).map(|i| (f64::from(i * 37 % 500) + if i % 5 == 0 { 120.0 } else { 0.0 }, i % 5 == 0));
        let curve = Curve::new(trials).unwrap();
        let svg = det_svg(&curve, "test").unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("polyline") && svg.contains("EER"), "{svg}");
        assert_eq!(det_csv(&curve).lines().count(), curve.points().len() + 1);
    }
}
