//! Draws perturbation against size.

use plotters::prelude::*;

use crate::error::{Error, Result};

/// An SVG of points (megabytes, summed perturbation), smallest first. The perturbation's axis is
/// logarithmic: points without a perturbation are left out.
///
/// # Errors
/// No point has a perturbation above 0.
pub fn frontier_svg(points: &[(f64, f64)], title: &str) -> Result<String> {
    let failed = |e: &dyn std::fmt::Display| Error::Undefined(format!("cannot draw sizes: {e}"));
    let line: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.1 > 0.0).collect();
    let (Some(first), Some(last)) = (line.first(), line.last()) else {
        return Err(failed(&"no size has a perturbation"));
    };
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (720, 480)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| failed(&e))?;
        let (width, height) = (0.0..last.0 * 1.05, (last.1 / 1.5..first.1 * 1.5).log_scale());
        let mut chart = ChartBuilder::on(&root)
            .caption(format!("{title}: bits by layer"), ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(width, height)
            .map_err(|e| failed(&e))?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("file, MB")
            .y_desc("summed perturbation")
            .y_label_formatter(&|y| format!("{y:.0e}"))
            .draw()
            .map_err(|e| failed(&e))?;
        chart
            .draw_series(LineSeries::new(line.iter().copied(), BLUE.stroke_width(2)))
            .map_err(|e| failed(&e))?;
        chart
            .draw_series(line.iter().map(|&p| Circle::new(p, 2, BLUE.filled())))
            .map_err(|e| failed(&e))?;
        root.present().map_err(|e| failed(&e))?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_drawn() {
        let svg = frontier_svg(&[(1.0, 3.0), (2.0, 0.5), (3.0, 1e-4)], "net").unwrap();
        assert!(svg.contains("net: bits by layer") && svg.matches("<circle").count() == 3, "{svg}");
        assert!(frontier_svg(&[], "net").is_err() && frontier_svg(&[(1.0, 0.0)], "net").is_err());
    }
}
