//! The dashboard's table of metrics: those of steps, then those of dev tests.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::view::{Styles, framed, shortened};
use crate::train::renderer::board::{Board, Metric};

/// The kind of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Heading,
    Step,
    Test,
}

/// A table of three columns.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<(Kind, [String; 3])>,
    widths: [usize; 3],
}

/// The longest name of a metric; longer ones are cut.
const LONGEST: u16 = 20;
/// The least widths, which the metrics of every training need, so that the table does not move.
const LEAST: [usize; 3] = [12, 8, 12];

impl Table {
    /// A table of the metrics that have values.
    pub fn new(board: &Board) -> Self {
        let mut rows = vec![row(Kind::Heading, ["train", "last", "epoch mean"])];
        rows.extend(board.metrics.iter().filter_map(step));
        if rows.len() == 1 {
            rows.push(row(Kind::Step, ["no step yet", "", ""]));
        }
        rows.push(row(Kind::Heading, ["dev", "last", "best (epoch)"]));
        let before = rows.len();
        rows.extend(board.metrics.iter().filter_map(test));
        if rows.len() == before {
            rows.push(row(Kind::Test, ["no test yet", "", ""]));
        }
        let mut widths = LEAST;
        for (_, cells) in &rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(Span::raw(cell.as_str()).width());
            }
        }
        Self { rows, widths }
    }

    /// Width without a frame, in columns.
    pub fn width(&self) -> u16 {
        u16::try_from(self.widths.iter().sum::<usize>() + 4).unwrap_or(u16::MAX)
    }

    /// Height without a frame, in rows.
    pub fn height(&self) -> u16 {
        self.rows.len() as u16
    }

    /// Draws the rows, with a frame if the area has room for one.
    pub fn draw(&self, area: Rect, styles: &Styles, buffer: &mut Buffer) {
        let mut inner = area;
        if area.width >= self.width() + 2 && area.height >= self.height() + 2 {
            let block = framed("metrics");
            inner = block.inner(area);
            block.render(area, buffer);
        }
        for (y, (kind, cells)) in (inner.y..inner.bottom()).zip(&self.rows) {
            let style = match kind {
                Kind::Heading => styles.strong,
                Kind::Step => styles.train,
                Kind::Test => styles.dev,
            };
            let [name, middle, last] = self.widths;
            let text = format!("{:<name$}  {:>middle$}  {:>last$}", cells[0], cells[1], cells[2]);
            let (label, values) = text.split_at(cells[0].len());
            let label_style = if *kind == Kind::Heading { style } else { Style::new() };
            let line =
                Line::from(vec![Span::styled(label, label_style), Span::styled(values, style)]);
            line.render(Rect::new(inner.x, y, inner.width, 1), buffer);
        }
    }
}

fn row(kind: Kind, cells: [&str; 3]) -> (Kind, [String; 3]) {
    (kind, cells.map(str::to_owned))
}

fn step(metric: &Metric) -> Option<(Kind, [String; 3])> {
    let last = metric.text(metric.last?);
    let mean = metric.mean().map(|m| metric.text(m)).unwrap_or_default();
    Some((Kind::Step, [shortened(&metric.name, LONGEST), last, mean]))
}

fn test(metric: &Metric) -> Option<(Kind, [String; 3])> {
    let last = metric.text(metric.tested?.0);
    let best = metric
        .best
        .map(|(value, epoch)| format!("{} ({epoch})", metric.text(value)))
        .unwrap_or_default();
    Some((Kind::Test, [shortened(&metric.name, LONGEST), last, best]))
}
