//! Training losses of finished runs, overlaid: does one change alter how a network learns?
//!
//!     cargo bench --bench curves -- OUT.svg TITLE LABEL=RUN...
//!
//! RUN is the folder of a run (with its `metrics.jsonl`); runs of one label, such as seeds, share a
//! colour. Prints each epoch's mean of a label.

use std::collections::BTreeMap;
use std::path::Path;

use plotters::prelude::*;

const COLOURS: [RGBColor; 4] =
    [RGBColor(196, 78, 82), RGBColor(76, 114, 176), RGBColor(204, 155, 80), RGBColor(85, 168, 104)];

/// Loss by epoch.
fn losses(run: &str) -> Vec<(f64, f64)> {
    let path = Path::new(run).join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let point = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        (value["epoch"].as_f64().unwrap(), value["loss"].as_f64().unwrap())
    };
    text.lines().map(point).collect()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [out, title, runs @ ..] = args.as_slice() else { return }; // as `cargo test` calls it
    let mut labels: Vec<&str> = Vec::new();
    let mut curves = Vec::new();
    for run in runs {
        let (label, folder) = run.split_once('=').expect("LABEL=RUN");
        let place = labels.iter().position(|l| *l == label).unwrap_or_else(|| {
            labels.push(label);
            labels.len() - 1
        });
        curves.push((place, losses(folder)));
    }
    for (place, label) in labels.iter().enumerate() {
        let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        for (epoch, loss) in curves.iter().filter(|c| c.0 == place).flat_map(|c| &c.1) {
            let sum = sums.entry(*epoch as u64).or_default();
            *sum = (sum.0 + loss, sum.1 + 1.0);
        }
        let means: Vec<String> =
            sums.iter().map(|(epoch, (sum, n))| format!("{epoch}:{:.3}", sum / n)).collect();
        println!("{label}: {}", means.join(" "));
    }
    draw(out, title, &labels, &curves);
}

fn draw(out: &str, title: &str, labels: &[&str], curves: &[(usize, Vec<(f64, f64)>)]) {
    let points = || curves.iter().flat_map(|c| &c.1);
    let (most, last) = points().fold((0.0f64, 1.0f64), |(y, x), p| (y.max(p.1), x.max(p.0)));
    let root = SVGBackend::new(out, (720, 420)).into_drawing_area();
    root.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(1.0..last, 0.0..1.05 * most)
        .unwrap();
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("epoch")
        .y_desc("training loss")
        .draw()
        .unwrap();
    for (place, label) in labels.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        for (i, (_, curve)) in curves.iter().filter(|c| c.0 == place).enumerate() {
            let series = chart
                .draw_series(LineSeries::new(curve.iter().copied(), colour.stroke_width(1)))
                .unwrap();
            if i == 0 {
                let mark = move |(x, y)| {
                    PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
                };
                series.label(*label).legend(mark);
            }
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .border_style(BLACK.mix(0.2))
        .draw()
        .unwrap();
    root.present().unwrap();
}
