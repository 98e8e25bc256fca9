//! Drawing in pixels, as SVG text.

use plotters::coord::Shift;
use plotters::prelude::*;
pub(crate) use plotters::style::text_anchor::HPos;
use plotters::style::text_anchor::{Pos, VPos};

use crate::error::{Error, Result};
use crate::terminal::printable;

/// A place, in pixels from the upper left corner.
pub(crate) type Spot = (i32, i32);

/// Colour of axes and remarks.
pub(crate) const GREY: RGBColor = RGBColor(110, 110, 110);
/// Colour of lines behind the data.
pub(crate) const PALE: RGBColor = RGBColor(225, 225, 225);

/// A white sheet. Its methods fail only if plotters does.
pub(crate) struct Canvas<'a>(DrawingArea<SVGBackend<'a>, Shift>);

/// The SVG text of what `fill` draws on a sheet of `size` pixels (width, height).
pub(crate) fn svg(size: (u32, u32), fill: impl FnOnce(&Canvas) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let canvas = Canvas(SVGBackend::with_string(&mut text, size).into_drawing_area());
        canvas.0.fill(&WHITE).map_err(failed)?;
        fill(&canvas)?;
        canvas.0.present().map_err(failed)?;
    }
    Ok(text)
}

fn failed(e: impl std::fmt::Display) -> Error {
    Error::Undefined(format!("cannot draw: {e}"))
}

/// An upper estimate of a text's width in pixels. SVG leaves the font to the viewer.
pub(crate) fn width(words: &str, size: i32) -> i32 {
    size * i32::try_from(words.chars().count()).unwrap_or(i32::MAX / 100) / 2
}

/// The text, cut where it would take more than `most` pixels.
pub(crate) fn shortened(words: &str, size: i32, most: i32) -> String {
    if width(words, size) <= most {
        return words.to_owned();
    }
    let fit = usize::try_from(2 * most / size).unwrap_or(0);
    words.chars().take(fit.saturating_sub(1)).chain(['…']).collect()
}

impl Canvas<'_> {
    /// A line of text, `size` high and vertically centred on `at`. `side` is where `at` lies in it.
    pub fn text(
        &self,
        words: &str,
        size: i32,
        colour: RGBColor,
        side: HPos,
        at: Spot,
    ) -> Result<()> {
        let style =
            ("sans-serif", size).into_font().color(&colour).pos(Pos::new(side, VPos::Center));
        // Control characters are not allowed in XML.
        self.0.draw(&Text::new(printable(words).into_owned(), at, style)).map_err(failed)
    }

    /// A line of text that reads upwards, centred on `at`.
    pub fn upright(&self, words: &str, size: i32, colour: RGBColor, at: Spot) -> Result<()> {
        let font = ("sans-serif", size).into_font().transform(FontTransform::Rotate270);
        let style = font.color(&colour).pos(Pos::new(HPos::Center, VPos::Center));
        self.0.draw(&Text::new(words.to_owned(), at, style)).map_err(failed)
    }

    /// A line from place to place.
    pub fn line(&self, path: &[Spot], style: impl Into<ShapeStyle>) -> Result<()> {
        self.0.draw(&PathElement::<Spot>::new(path, style)).map_err(failed)
    }

    /// A filled area.
    pub fn area(&self, outline: &[Spot], colour: RGBAColor) -> Result<()> {
        self.0.draw(&Polygon::<Spot>::new(outline, colour)).map_err(failed)
    }

    /// A rectangle between two opposite corners.
    pub fn rectangle(&self, corners: [Spot; 2], style: impl Into<ShapeStyle>) -> Result<()> {
        self.0.draw(&Rectangle::new(corners, style)).map_err(failed)
    }

    /// A filled circle.
    pub fn dot(&self, at: Spot, radius: i32, colour: RGBColor) -> Result<()> {
        self.0.draw(&Circle::new(at, radius, colour.filled())).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_words_become_svg() {
        let svg = svg((100, 50), |canvas| {
            canvas.line(&[(1, 2), (3, 4)], BLACK)?;
            canvas.area(&[(0, 0), (9, 0), (9, 9)], RED.mix(0.5))?;
            canvas.rectangle([(5, 5), (7, 8)], BLUE.filled())?;
            canvas.dot((50, 25), 3, RED)?;
            canvas.upright("up", 12, GREY, (4, 20))?;
            canvas.text("a<b\u{1b}", 12, GREY, HPos::Left, (4, 20))
        })
        .unwrap();
        assert!(
            svg.starts_with("<svg width=\"100\" height=\"50\"")
                && svg.trim_end().ends_with("</svg>"),
            "{svg}"
        );
        for part in
            ["points=\"1,2 3,4 \"", "<polygon", "<circle", "rotate(270, 4, 20)", "a&lt;b\\u001b"]
        {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert_eq!(svg.matches("<rect").count(), 2, "the sheet and the rectangle: {svg}");
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(shortened("short", 20, 100), "short");
        let cut = shortened(&"ü".repeat(1000), 20, 100);
        assert_eq!(cut, format!("{}…", "ü".repeat(9)));
        assert!(width(&cut, 20) <= 100);
    }
}
