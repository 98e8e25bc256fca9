//! The legend of a DET plot, in a corner that the curve leaves free.

use plotters::prelude::*;

use super::axes::{LEFT, SIDE, TOP, Warped, within};
use crate::canvas::{Canvas, GREY, HPos, PALE, Spot, width};
use crate::error::Result;
use crate::scoring::{Cost, Interval, Point};

/// Colour of the curve. Its band has a lighter one ([`light`]).
pub(super) const CURVE: RGBColor = RGBColor(76, 114, 176);
/// Colour of the mark of EER.
pub(super) const EER: RGBColor = RGBColor(196, 78, 82);
/// Colours of the outlines.
const OUTLINES: [RGBColor; 4] =
    [RGBColor(60, 130, 80), RGBColor(190, 120, 30), RGBColor(129, 114, 178), RGBColor(70, 70, 70)];

/// Height of a row, in pixels.
const ROW: i32 = 20;
/// Size of the letters.
pub(super) const LETTERS: i32 = 15;

/// Colour of a curve's band.
pub(super) fn light(curve: RGBColor) -> RGBAColor {
    curve.mix(0.2)
}

/// The outline of the minDCF mark of this number, in its own colour.
pub(super) fn outline(number: usize) -> Sign {
    Sign::Outline(number, OUTLINES[number % OUTLINES.len()])
}

/// A sign in the plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sign {
    /// A filled circle: EER.
    Dot(RGBColor),
    /// The minDCF mark of this number: an outline of a triangle, a square, a diamond or a triangle
    /// upside down. Outlines stay visible where they coincide.
    Outline(usize, RGBColor),
    /// The area around a curve of this colour.
    Band(RGBColor),
    /// A piece of a curve.
    Line(RGBColor),
    /// A piece of a dashed curve.
    Dashed(RGBColor),
}

impl Sign {
    /// Draws the sign around a place.
    pub fn draw(self, canvas: &Canvas, (x, y): Spot) -> Result<()> {
        let outline = |colour: RGBColor, corners: &[Spot]| {
            let around = corners.iter().chain(corners.first());
            let path: Vec<Spot> = around.map(|(dx, dy)| (x + dx, y + dy)).collect();
            canvas.line(&path, colour.stroke_width(2))
        };
        match self {
            Self::Dot(colour) => canvas.dot((x, y), 4, colour),
            Self::Line(colour) => canvas.line(&[(x - 9, y), (x + 9, y)], colour.stroke_width(2)),
            Self::Dashed(colour) => [-9, 2].into_iter().try_for_each(|from| {
                canvas.line(&[(x + from, y), (x + from + 7, y)], colour.stroke_width(2))
            }),
            Self::Band(colour) => canvas.area(
                &[(x - 9, y - 5), (x + 9, y - 5), (x + 9, y + 5), (x - 9, y + 5)],
                light(colour),
            ),
            Self::Outline(n, colour) => match n % 4 {
                0 => outline(colour, &[(-7, 6), (7, 6), (0, -7)]),
                1 => outline(colour, &[(-6, -6), (6, -6), (6, 6), (-6, 6)]),
                2 => outline(colour, &[(-8, 0), (0, -8), (8, 0), (0, 8)]),
                _ => outline(colour, &[(-7, -6), (7, -6), (0, 7)]),
            },
        }
    }
}

/// `EER 3.21 % (2.9 to 3.6)`.
pub(super) fn eer(rate: f64, interval: Option<Interval>) -> String {
    let range = interval.map_or(String::new(), |Interval { low, high }| {
        let digits = if high < 0.01 { 2 } else { 1 };
        format!(" ({:.digits$} to {:.digits$})", 100.0 * low, 100.0 * high)
    });
    format!("EER {:.2} %{range}", 100.0 * rate)
}

/// `minDCF(0.01) 0.321 (0.29 to 0.36)`, and if it has no mark, why.
pub(super) fn min_dcf(
    application: &Cost,
    cost: f64,
    interval: Option<Interval>,
    at: &Point,
    marked: bool,
) -> String {
    let range = interval.map_or(String::new(), |i| format!(" ({:.2} to {:.2})", i.low, i.high));
    let unmarked = match marked {
        true => "",
        false if at.fpr == 0.0 && at.fnr == 0.0 => ", no errors",
        false if at.fpr == 0.0 && at.fnr >= 1.0 => ", all rejected",
        false => ", off the axes",
    };
    format!("minDCF({application}) {cost:.3}{range}{unmarked}")
}

/// Draws rows of signs and words in the first corner that neither `lines` nor `band` reach, else in
/// the first that `lines` do not reach. The order is upper right, where a good curve is not, lower
/// left, lower right, upper left.
pub(super) fn draw(
    canvas: &Canvas,
    rows: &[(Sign, String)],
    lines: &[&[Spot]],
    band: &[Spot],
) -> Result<()> {
    let wide = 44 + rows.iter().map(|r| width(&r.1, LETTERS)).max().unwrap_or(0);
    let high = 10 + ROW * i32::try_from(rows.len()).unwrap_or(0);
    let (left, right) = (LEFT + 10, LEFT + SIDE - 10 - wide);
    let (top, bottom) = (TOP + 10, TOP + SIDE - 10 - high);
    let corners = [(right, top), (left, bottom), (right, bottom), (left, top)];
    let free = |paths: &[&[Spot]]| {
        let around = |(x, y): Spot| [(x - 8, y - 8), (x + wide + 8, y + high + 8)];
        corners.into_iter().find(|&corner| !paths.iter().any(|path| touches(path, around(corner))))
    };
    let all = [lines, &[band]].concat();
    let (x, y) = free(&all).or_else(|| free(lines)).unwrap_or(corners[0]);
    let frame = [(x, y), (x + wide, y + high)];
    canvas.rectangle(frame, WHITE.mix(0.85).filled())?;
    canvas.rectangle(frame, PALE.stroke_width(1))?;
    for ((sign, words), row) in rows.iter().zip(0..) {
        let middle = y + 5 + ROW * row + ROW / 2;
        sign.draw(canvas, (x + 18, middle))?;
        canvas.text(words, LETTERS, GREY, HPos::Left, (x + 34, middle))?;
    }
    Ok(())
}

/// Whether a path passes a rectangle.
fn touches(path: &[Spot], [(x0, y0), (x1, y1)]: [Spot; 2]) -> bool {
    let path: Vec<Warped> = path.iter().map(|&(x, y)| (x.into(), y.into())).collect();
    !within(&path, false, [x0.into(), x1.into()], [y0.into(), y1.into()]).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::svg;

    /// The position of the legend's first word.
    fn place(paths: &[&[Spot]], band: &[Spot]) -> (i32, i32) {
        let rows =
            [(Sign::Dot(EER), "EER".to_owned()), (outline(0), "minDCF(0.01) 0.1".to_owned())];
        let svg = svg((640, 640), |canvas| draw(canvas, &rows, paths, band)).unwrap();
        let text = svg.split("<text ").nth(1).unwrap();
        let number = |name: &str| {
            let value = text.split(&format!("{name}=\"")).nth(1).unwrap();
            value.split('"').next().unwrap().parse::<i32>().unwrap()
        };
        (number("x"), number("y"))
    }

    #[test]
    fn the_legend_avoids_the_curve() {
        let middle = (LEFT + SIDE / 2, TOP + SIDE / 2);
        let right = |p: (i32, i32)| (p.0 > middle.0, p.1 < middle.1);
        let (low, high) = (LEFT + SIDE, TOP);
        let diagonal: &[Spot] = &[(LEFT, TOP), (LEFT + SIDE, TOP + SIDE)];
        assert_eq!(right(place(&[diagonal], &[])), (true, true));
        // A path through the upper right without a corner there.
        let across: &[Spot] = &[(low - 300, high), (low, high + 300)];
        assert_eq!(right(place(&[across], &[])), (true, true), "it passes below");
        let across: &[Spot] = &[(low - 60, high), (low, high + 60)];
        assert_eq!(right(place(&[across, diagonal], &[])), (false, false));
        // A band through all corners leaves the choice to the curve.
        let (near, far) = ((LEFT + 30, TOP + 30), (LEFT + SIDE - 30, TOP + SIDE - 30));
        let around: &[Spot] = &[near, (far.0, near.1), far, (near.0, far.1), near];
        assert_eq!(right(place(&[across, diagonal], around)), (false, false));
        assert_eq!(right(place(&[diagonal], around)), (true, true));
    }

    #[test]
    fn words_of_the_legend() {
        let interval = Some(Interval { low: 0.0291, high: 0.0363 });
        assert_eq!(eer(0.03214, interval), "EER 3.21 % (2.9 to 3.6)");
        assert_eq!(
            eer(0.0045, Some(Interval { low: 0.0031, high: 0.0058 })),
            "EER 0.45 % (0.31 to 0.58)"
        );
        assert_eq!(eer(0.03214, None), "EER 3.21 %");
        let at = |fpr, fnr| Point { threshold: 0.0, fnr, fpr };
        let words = min_dcf(
            &Cost::at_prior(0.01),
            0.3211,
            Some(Interval { low: 0.29, high: 0.361 }),
            &at(0.001, 0.2),
            true,
        );
        assert_eq!(words, "minDCF(0.01) 0.321 (0.29 to 0.36)");
        assert_eq!(
            min_dcf(&Cost::at_prior(0.05), 0.0, None, &at(0.0, 0.0), false),
            "minDCF(0.05) 0.000, no errors"
        );
        assert_eq!(
            min_dcf(&Cost::at_prior(0.05), 1.0, None, &at(0.0, 1.0), false),
            "minDCF(0.05) 1.000, all rejected"
        );
        assert_eq!(
            min_dcf(&Cost::at_prior(0.05), 0.97, None, &at(0.0, 0.97), false),
            "minDCF(0.05) 0.970, off the axes"
        );
    }
}
