//! The breakdown as bars.

use plotters::prelude::{BLACK, Color, RGBColor};

use super::{PARTS, Row, human, parts};
use crate::canvas::{self, Canvas, GREY, HPos, PALE, width};
use crate::error::Result;

const COLOURS: [RGBColor; PARTS.len()] = [
    RGBColor(76, 114, 176),
    RGBColor(129, 114, 178),
    RGBColor(196, 78, 82),
    RGBColor(85, 168, 104),
    RGBColor(204, 185, 116),
];

/// The small parts get a panel if a part is at least so many times as large as all of them.
const DWARFED: usize = 5;

/// Pixels: the edge, title with legend, a panel's heading, a bar with its distance, a panel's axis,
/// and the longest bar.
const EDGE: i32 = 16;
const HEAD: i32 = 84;
const HEADING: i32 = 20;
const PITCH: i32 = 28;
const AXIS: i32 = 44;
const LONGEST: i32 = 440;
/// Size of letters.
const LETTERS: i32 = 14;

/// A bar for each step, with the bytes in use at the peak. If some parts are too small to be seen
/// beside the others, a second panel shows those alone.
///
/// # Errors
/// None unless plotters fails.
pub fn svg(rows: &[Row], title: &str) -> Result<String> {
    let every: Vec<usize> = (0..PARTS.len()).collect();
    let mut panels = vec![("in use at the peak".to_owned(), every)];
    if let Some(small) = dwarfed(rows) {
        let large: Vec<&str> =
            (0..PARTS.len()).filter(|i| !small.contains(i)).map(|i| PARTS[i]).collect();
        panels.push((format!("the same without {}", large.join(" and ")), small));
    }
    let names = rows.iter().map(|r| width(&r.setting.label(), LETTERS)).max().unwrap_or(0);
    let bars = PITCH * i32::try_from(rows.len()).unwrap_or(0);
    let left = EDGE + names + 12;
    let size = (left + LONGEST + 96, HEAD + (HEADING + bars + AXIS) * panels.len() as i32);
    canvas::svg((size.0 as u32, size.1 as u32), |canvas| {
        canvas.text(
            &canvas::shortened(title, 18, size.0 - 2 * EDGE),
            18,
            BLACK,
            HPos::Left,
            (EDGE, 24),
        )?;
        legend(canvas)?;
        for ((heading, shown), i) in panels.iter().zip(0..) {
            panel(canvas, rows, heading, shown, (left, HEAD + (HEADING + bars + AXIS) * i))?;
        }
        Ok(())
    })
}

/// The colours' names, in a line.
fn legend(canvas: &Canvas) -> Result<()> {
    let mut x = EDGE;
    for (name, colour) in PARTS.into_iter().zip(COLOURS) {
        canvas.rectangle([(x, 48), (x + 14, 62)], colour.filled())?;
        canvas.text(name, LETTERS, BLACK, HPos::Left, (x + 20, 55))?;
        x += 20 + width(name, LETTERS) + 20;
    }
    Ok(())
}

/// The parts that are too small to be seen beside a larger one. Its maximum is at least
/// [`DWARFED`] times the maximum of their sum.
fn dwarfed(rows: &[Row]) -> Option<Vec<usize>> {
    let most = |shown: &[usize]| rows.iter().map(|r| sum(r, shown)).max().unwrap_or(0);
    let mut left: Vec<usize> = (0..PARTS.len()).collect();
    left.sort_by_key(|&i| most(&[i]));
    while let Some(largest) = left.pop() {
        let rest = most(&left);
        if rest > 0 && DWARFED * rest <= most(&[largest]) {
            left.sort_unstable();
            return Some(left);
        }
    }
    None
}

/// Bytes of these parts.
fn sum(row: &Row, shown: &[usize]) -> usize {
    shown.iter().map(|&i| parts(&row.account)[i]).sum()
}

/// A heading, bars stacked from the parts `shown`, and their axis; `at` is the upper end of the
/// axis' zero.
fn panel(
    canvas: &Canvas,
    rows: &[Row],
    heading: &str,
    shown: &[usize],
    at: (i32, i32),
) -> Result<()> {
    let (left, top) = (at.0, at.1 + HEADING);
    let bottom = top + PITCH * i32::try_from(rows.len()).unwrap_or(0);
    let most = rows.iter().map(|r| sum(r, shown)).max().unwrap_or(0).max(1) as f64;
    let (bytes, unit) = if most < f64::from(1 << 30) { (1 << 20, "MiB") } else { (1 << 30, "GiB") };
    canvas.text(&format!("{heading}, {unit}"), LETTERS, BLACK, HPos::Left, (left, at.1 + 8))?;
    let x = |value: f64| left + (f64::from(LONGEST) * value / most).round() as i32;
    let (step, digits) = step(most / f64::from(bytes));
    for k in 0..=(most / f64::from(bytes) / step) as i32 {
        let mark = step * f64::from(k);
        let at = x(mark * f64::from(bytes));
        canvas.line(&[(at, top), (at, bottom + 4)], PALE)?;
        canvas.text(&format!("{mark:.digits$}"), LETTERS, GREY, HPos::Center, (at, bottom + 14))?;
    }
    for (row, i) in rows.iter().zip(0..) {
        let (y0, y1) = (top + PITCH * i + 5, top + PITCH * (i + 1) - 5);
        canvas.text(
            &row.setting.label(),
            LETTERS,
            BLACK,
            HPos::Right,
            (left - 8, (y0 + y1) / 2),
        )?;
        let mut from = 0;
        for &part in shown {
            let upto = from + parts(&row.account)[part];
            let (x0, x1) = (x(from as f64), x(upto as f64));
            if x1 > x0 {
                canvas.rectangle([(x0, y0), (x1, y1)], COLOURS[part].filled())?;
            }
            from = upto;
        }
        canvas.text(
            &human(from),
            LETTERS,
            BLACK,
            HPos::Left,
            (x(from as f64) + 8, (y0 + y1) / 2),
        )?;
    }
    canvas.line(&[(left, top), (left, bottom), (left + LONGEST, bottom)], GREY)
}

/// The distance of marks on an axis of this length, 1, 2 or 5 times a power of ten, such that there
/// are at most 7; and the digits behind the point that they need.
fn step(length: f64) -> (f64, usize) {
    let power = (length / 6.0).log10().floor();
    let digits = (-power).max(0.0) as usize;
    let steps = [1.0, 2.0, 5.0].map(|k| k * 10f64.powf(power));
    match steps.into_iter().find(|s| length / s <= 6.0) {
        Some(step) => (step, digits),
        None => (10f64.powf(power + 1.0), digits.saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::row;
    use super::*;

    const MIB: usize = 1 << 20;

    /// Rectangles of this colour: left end, top and width.
    fn bars(svg: &str, colour: RGBColor) -> Vec<(i32, i32, i32)> {
        let colour = format!("fill=\"#{:02X}{:02X}{:02X}\"", colour.0, colour.1, colour.2);
        let rectangles = svg.lines().filter(|l| l.starts_with("<rect ") && l.contains(&colour));
        let number = |line: &str, name: &str| {
            let value = line.split(&format!(" {name}=\"")).nth(1).unwrap();
            value.split('"').next().unwrap().parse::<i32>().unwrap()
        };
        rectangles.map(|l| (number(l, "x"), number(l, "y"), number(l, "width"))).collect()
    }

    #[test]
    fn small_parts_get_a_panel_of_their_own() {
        let rows = [
            row("resnet293", "sgd", [120 * MIB, 110 * MIB, 6 * MIB, 110_000 * MIB, 64 * MIB]),
            row("rev2-resnet293", "sgd", [125 * MIB, 115 * MIB, 6 * MIB, 2200 * MIB, 60 * MIB]),
        ];
        let svg = svg(&rows, "a step").unwrap();
        assert!(svg.contains("in use at the peak, GiB") && svg.contains("rev2-resnet293"), "{svg}");
        assert!(svg.contains("the same without activations, MiB"), "{svg}");
        // Legend, and one bar for each step in the first panel alone.
        assert_eq!(bars(&svg, COLOURS[3]).len(), 3, "{svg}");
        // In the second panel every part of every step can be seen, and its bars have no gaps.
        let lowest = bars(&svg, COLOURS[3]).iter().map(|b| b.1).max().unwrap();
        let small: Vec<Vec<_>> = [0, 1, 2, 4]
            .map(|i| {
                bars(&svg, COLOURS[i]).into_iter().filter(|b| b.1 > lowest).collect::<Vec<_>>()
            })
            .into();
        assert!(small.iter().all(|part| part.len() == 2), "{svg}");
        for pair in small.windows(2) {
            for (a, b) in pair[0].iter().zip(&pair[1]) {
                assert_eq!((a.0 + a.2, a.1), (b.0, b.1), "{svg}");
            }
        }
        let whole = |step: usize| small.iter().map(|part| part[step].2).sum::<i32>();
        assert_eq!((whole(0), whole(1)), (431, LONGEST));
        assert!(
            svg.contains("300.0 MiB") && svg.contains("306.0 MiB") && svg.contains("107.71 GiB"),
            "{svg}"
        );
    }

    #[test]
    fn parts_of_one_size_need_one_panel() {
        let even = [row("resnet10", "sgd", [30 * MIB, 30 * MIB, 20 * MIB, 50 * MIB, 20 * MIB])];
        assert_eq!(dwarfed(&even), None);
        let svg = svg(&even, "a step").unwrap();
        assert!(svg.contains("in use at the peak, MiB") && !svg.contains("without"), "{svg}");
        assert_eq!(bars(&svg, COLOURS[0]).len(), 2, "{svg}");
        // Two large parts leave the small ones.
        let two = row("resnet10", "sgd", [3, 3, 2, 500, 400]);
        assert_eq!(dwarfed(&[two]), Some(vec![0, 1, 2]));
        assert_eq!(dwarfed(&[row("resnet10", "sgd", [0, 0, 0, 9, 0])]), None);
        assert_eq!(dwarfed(&[]), None);
    }

    #[test]
    fn axes_have_round_marks() {
        for (length, wanted, digits) in [
            (1.0, 0.2, 1),
            (6.0, 1.0, 0),
            (7.0, 2.0, 0),
            (108.3, 20.0, 0),
            (310.0, 100.0, 0),
            (0.02, 0.005, 3),
        ] {
            let (step, found) = step(length);
            assert!(
                (step / wanted - 1.0).abs() < 1e-9 && found == digits,
                "{length}: {step} {found}"
            );
        }
        for i in 1..2000 {
            let length = 0.01 * 1.01f64.powi(i);
            let marks = (length / step(length).0) as usize + 1;
            assert!((3..=7).contains(&marks), "{length}: {marks}");
        }
    }
}
