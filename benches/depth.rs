//! Memory of a training step over depth: a reversible ResNet of basic blocks with more and more
//! blocks in its first stage, recomputed and taped.
//!
//!     cargo bench --bench depth            # prints the table, writes assets/depth.svg
//!
//! The bytes are counted over whole steps (width 32, 80 mels, 4 crops of 200 frames). The peak
//! includes the weights, gradients and momentum of the added blocks.

use burn::tensor::Device;
use plotters::prelude::*;
use revox::backend::reversible::Execution;
use revox::memory::{Measured, Setting, measure};
use revox::train::OptimizerConfig;
use revox::zoo::Architecture;

#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

const BLOCKS: [usize; 6] = [1, 2, 4, 8, 16, 32];
const LINES: [(&str, &str, Execution); 4] = [
    ("Type I, taped", "rev1-resnet34", Execution::Taped),
    ("Type II, taped", "rev2-resnet34", Execution::Taped),
    ("Type I, reversible", "rev1-resnet34", Execution::Reversible),
    ("Type II, reversible", "rev2-resnet34", Execution::Reversible),
];

fn step(name: &str, execution: Execution, blocks: usize) -> Measured {
    let mut arch = Architecture::named(name).unwrap();
    arch.reversible.blocks = Some([blocks, 1, 1, 1]);
    arch.reversible.inner = Some(1.0);
    let optimizer = OptimizerConfig::default();
    let setting = Setting {
        execution: Some(execution),
        batch: 4,
        speakers: 1000,
        ..Setting::new(arch, optimizer)
    };
    measure(&setting, &Device::default()).unwrap()
}

fn main() {
    // `cargo test --benches` passes `--test`: it is enough that the bench builds.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    // The first step also starts threads.
    step("rev1-resnet34", Execution::Reversible, 1);
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    println!("held between the passes / peak of the step, MiB");
    let names: Vec<String> = LINES.iter().map(|l| format!("{} ", l.0)).collect();
    println!("| blocks | {}|", names.join("| "));
    println!("|{}", "---|".repeat(LINES.len() + 1));
    let mut curves = vec![Vec::new(); LINES.len()];
    for blocks in BLOCKS {
        let row: Vec<String> = LINES
            .iter()
            .zip(&mut curves)
            .map(|(&(_, name, execution), curve)| {
                let counted = step(name, execution, blocks);
                curve.push((blocks as f64, mib(counted.peak)));
                format!("{:.1} / {:.1}", mib(counted.held), mib(counted.peak))
            })
            .collect();
        println!("| {blocks} | {} |", row.join(" | "));
    }
    draw(&curves);
}

fn draw(curves: &[Vec<(f64, f64)>]) {
    let most = curves.iter().flatten().fold(0.0f64, |m, p| m.max(p.1));
    let root = SVGBackend::new("assets/depth.svg", (720, 420)).into_drawing_area();
    root.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&root)
        .caption("peak of a training step, MiB, over blocks in the first stage", ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..33.0, 0.0..1.05 * most)
        .unwrap();
    chart.configure_mesh().light_line_style(WHITE).x_desc("blocks").draw().unwrap();
    let colours = [
        RGBColor(196, 78, 82),
        RGBColor(204, 155, 80),
        RGBColor(76, 114, 176),
        RGBColor(85, 168, 104),
    ];
    for ((line, curve), colour) in LINES.iter().zip(curves).zip(colours) {
        chart
            .draw_series(LineSeries::new(curve.iter().copied(), colour.stroke_width(2)))
            .unwrap()
            .label(line.0)
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
            });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK.mix(0.2))
        .draw()
        .unwrap();
    root.present().unwrap();
}
