//! The breakdown for people: a table, and bars side by side.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Breakdown, Measured, Setting};
use crate::error::{Error, Result};

/// A step, its account, and what was counted.
pub type Row = (Setting, Breakdown, Option<Measured>);

/// What the most bytes at one time consist of.
fn parts(b: &Breakdown) -> [(&'static str, usize); 5] {
    [
        ("weights", b.weights),
        ("optimizer", b.optimizer),
        ("gradients", b.at_peak.gradients),
        ("activations", b.at_peak.activations),
        ("workspace", b.at_peak.workspace),
    ]
}

/// Bytes with a binary unit.
pub fn human(bytes: usize) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.2} GiB", mib / 1024.0) }
}

/// One column for each step.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, cells: Vec<String>| {
        text += &format!("{name:<26}");
        cells.iter().for_each(|c| text += &format!(" {c:>22}"));
        text += "\n";
    };
    let every = |of: &dyn Fn(&Breakdown) -> usize| rows.iter().map(|r| human(of(&r.1))).collect::<Vec<_>>();
    line("", rows.iter().map(|r| r.0.label()).collect());
    line("weights", every(&|b| b.weights));
    line("optimizer state", every(&|b| b.optimizer));
    line("gradients", every(&|b| b.gradients));
    line("held between the passes", every(&|b| b.activations));
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|r| &r.1.stages).map(|(name, _)| name.as_str()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let bytes = |r: &Row| r.1.stages.iter().find(|s| s.0 == name).map_or("-".into(), |s| human(s.1));
        line(&format!("  {name}"), rows.iter().map(bytes).collect());
    }
    line("  head", every(&|b| b.head));
    line("at the peak", rows.iter().map(|r| format!("in {}", r.1.place)).collect());
    for (i, (name, _)) in parts(&rows[0].1).into_iter().enumerate() {
        line(&format!("  {name}"), every(&|b| parts(b)[i].1));
    }
    line("peak", every(&|b| b.peak));
    if rows.len() > 1 {
        let first = rows[0].1.peak as f64;
        line("  times less", rows.iter().map(|r| format!("{:.1}", first / r.1.peak as f64)).collect());
    }
    if rows.iter().any(|r| r.2.is_some()) {
        let counted = |of: &dyn Fn(&Measured) -> usize| {
            rows.iter().map(|r| r.2.as_ref().map_or("-".into(), |m| human(of(m)))).collect::<Vec<_>>()
        };
        line("counted: resident", counted(&|m| m.resident));
        line("counted: held", counted(&|m| m.held));
        line("counted: peak", counted(&|m| m.peak));
        let off = |r: &Row| {
            r.2.as_ref().map_or("-".into(), |m| format!("{:+.1} %", 100.0 * (r.1.peak as f64 / m.peak as f64 - 1.0)))
        };
        line("  account against it", rows.iter().map(off).collect());
    }
    text
}

/// A bar for each step, stacked from what is in use at the peak.
pub fn svg(rows: &[Row], title: &str) -> Result<String> {
    const COLOURS: [RGBColor; 5] = [
        RGBColor(76, 114, 176),
        RGBColor(129, 114, 178),
        RGBColor(196, 78, 82),
        RGBColor(85, 168, 104),
        RGBColor(204, 185, 116),
    ];
    let failed = |e: &dyn std::fmt::Display| Error::Undefined(format!("cannot draw: {e}"));
    let (width, height) = (220 + 150 * rows.len() as i32, 520);
    let most = rows.iter().map(|r| r.1.peak).max().unwrap_or(1).max(1) as f64;
    let (floor, ceiling) = (height - 56, 72);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width as u32, height as u32)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| failed(&e))?;
        let font = |size: i32| ("sans-serif", size).into_font().color(&BLACK);
        let text = |words: String, size: i32, h: HPos, at: (i32, i32)| {
            root.draw(&Text::new(words, at, font(size).pos(Pos::new(h, VPos::Center)))).map_err(|e| failed(&e))
        };
        text(title.to_owned(), 18, HPos::Left, (16, 24))?;
        for (i, (_, breakdown, _)) in rows.iter().enumerate() {
            let left = 32 + 150 * i as i32;
            let mut below = 0.0;
            for ((_, bytes), colour) in parts(breakdown).into_iter().zip(COLOURS) {
                let y = |bytes: f64| floor - (bytes / most * f64::from(floor - ceiling)).round() as i32;
                let above = below + bytes as f64;
                let corners = [(left, y(above)), (left + 100, y(below))];
                root.draw(&Rectangle::new(corners, colour.filled())).map_err(|e| failed(&e))?;
                below = above;
            }
            let top = floor - (breakdown.peak as f64 / most * f64::from(floor - ceiling)) as i32;
            text(human(breakdown.peak), 14, HPos::Center, (left + 50, top - 12))?;
            text(rows[i].0.label(), 12, HPos::Center, (left + 50, floor + 16))?;
        }
        for (i, ((name, _), colour)) in parts(&rows[0].1).into_iter().zip(COLOURS).enumerate() {
            let (x, y) = (48 + 150 * rows.len() as i32, ceiling + 26 * i as i32);
            root.draw(&Rectangle::new([(x, y), (x + 16, y + 16)], colour.filled())).map_err(|e| failed(&e))?;
            text(name.to_owned(), 14, HPos::Left, (x + 26, y + 8))?;
        }
        root.present().map_err(|e| failed(&e))?;
    }
    Ok(svg)
}
