//! Draws the dashboard. It is pure: a board and a few settings make a frame.
//!
//! ```text
//! runs/voxceleb                    2 warnings
//! epoch 3/14  step 120/400  ████░░░░░░░  16 %
//! elapsed 1m02s, 11m left
//! warning: the last one
//! ┌table───┐┌chart───────────┐
//! └────────┘└────────────────┘
//! keys
//! ```

use std::time::Instant;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use ratatui::widgets::{Block, Widget};

use super::chart;
use super::table::Table;
use crate::train::renderer::board::Board;
use crate::train::renderer::text;

/// What the dashboard shows besides the board.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// The current time.
    pub now: Instant,
    /// Index of the metric in the chart.
    pub chosen: usize,
    /// Whether a stop has been requested.
    pub stopping: bool,
    /// Number of warnings.
    pub warnings: usize,
    /// The last warning.
    pub warning: Option<String>,
    /// Whether colours are wanted.
    pub colours: bool,
}

/// Styles of the dashboard's parts, with or without colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Styles {
    /// Headings.
    pub strong: Style,
    /// Values of steps, and progress.
    pub train: Style,
    /// Values of dev tests.
    pub dev: Style,
    /// Warnings, and the note of a stop.
    pub alert: Style,
}

impl Styles {
    fn new(colours: bool) -> Self {
        let colour = |c: Color| if colours { Style::new().fg(c) } else { Style::new() };
        Self {
            strong: Style::new().add_modifier(Modifier::BOLD),
            train: colour(Color::Cyan),
            dev: colour(Color::Yellow),
            alert: colour(Color::LightRed).add_modifier(Modifier::BOLD),
        }
    }
}

/// Rows above the table: title, position, times.
const HEAD: u16 = 3;
/// The least width and height of a chart with its frame.
const CHART: (u16, u16) = (26, 6);

const KEYS: [&str; 3] = [
    "Ctrl-C or q: stop after this step, everything saved   ←→: metric",
    "Ctrl-C or q: stop, all saved  ←→: metric",
    "q: stop  ←→: metric",
];
const KEYS_WITHOUT_CHART: [&str; 3] = [
    "Ctrl-C or q: stop after this step, everything saved",
    "Ctrl-C or q: stop, all saved",
    "q: stop",
];
const STOPPING: [&str; 3] = [
    "stopping after this step; press again to stop at once",
    "stopping; press again to stop at once",
    "stopping",
];
const STOPPING_IN_TEST: [&str; 3] = [
    "stopping after this dev test; press again to stop at once",
    "stopping; press again to stop at once",
    "stopping",
];

/// Draws a board. A frame without area stays empty.
pub(super) fn view(board: &Board, look: &Look, frame: &mut Frame) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    let styles = Styles::new(look.colours);
    let table = Table::new(board);
    let last = area.height - 1;
    // The last warning gets a row only if the whole table fits beside it.
    let warning = look.warning.as_deref().filter(|_| last.saturating_sub(HEAD) > table.height());
    let top = HEAD + u16::from(warning.is_some());
    let middle = Rect::new(area.x, area.y + top.min(last), area.width, last.saturating_sub(top));
    let (rows, curve) = divide(middle, &table);
    let mut page = Page { area, buffer: frame.buffer_mut() };
    head(board, look, &styles, last, &mut page);
    if let Some(warning) = warning {
        page.put(0, HEAD, warning, styles.alert);
    }
    let width = usize::from(area.width);
    let (keys, style) = match (look.stopping, board.eta.is_testing()) {
        (true, true) => (text::fitting(&STOPPING_IN_TEST, width), styles.alert),
        (true, false) => (text::fitting(&STOPPING, width), styles.alert),
        (false, _) if curve.is_some() => (text::fitting(&KEYS, width), Style::new()),
        (false, _) => (text::fitting(&KEYS_WITHOUT_CHART, width), Style::new()),
    };
    page.put(0, last, keys, style);
    table.draw(rows, &styles, page.buffer);
    if let Some(area) = curve {
        chart::draw(board, look.chosen, area, &styles, page.buffer);
    }
}

/// Draws those rows above the table that lie above the `last` row.
fn head(board: &Board, look: &Look, styles: &Styles, last: u16, page: &mut Page) {
    let warnings = match look.warnings {
        0 => String::new(),
        1 => "1 warning".to_owned(),
        n => format!("{n} warnings"),
    };
    if last > 0 {
        let room = page.right(0, &warnings, styles.alert);
        page.put(0, 0, &shortened(&board.title, room), styles.strong);
    }
    if last > 1 {
        let percent = format!("{:.0} %", (100.0 * board.eta.fraction()).floor());
        let room = usize::from(page.right(1, &percent, Style::new()));
        let position = board.position();
        let used = position.chars().count() + 2;
        page.put(0, 1, &shortened(&position, room as u16), Style::new());
        if room > used {
            page.put(used as u16, 1, &bar(board.eta.fraction(), room - used), styles.train);
        }
    }
    if last > 2 {
        let times = match board.eta.left(look.now) {
            Some(_) => format!("elapsed {}", board.times(look.now)),
            None => format!("elapsed {}, time left not known yet", board.times(look.now)),
        };
        page.put(0, 2, &times, Style::new());
    }
}

/// Divides the middle between table and chart: side by side, one below the other, or the table
/// alone.
fn divide(middle: Rect, table: &Table) -> (Rect, Option<Rect>) {
    let (mut width, mut height) = (table.width(), table.height());
    if middle.width >= width + 2 && middle.height >= height + 2 {
        (width, height) = (width + 2, height + 2);
    }
    let Rect { x, y, .. } = middle;
    if middle.width >= width + CHART.0 && middle.height >= CHART.1.max(height) {
        let chart = Rect::new(x + width, y, middle.width - width, middle.height);
        return (Rect::new(x, y, width, middle.height), Some(chart));
    }
    if middle.width >= CHART.0 && middle.height >= height + CHART.1 {
        let chart = Rect::new(x, y + height, middle.width, middle.height - height);
        return (Rect::new(x, y, middle.width, height), Some(chart));
    }
    (middle, None)
}

/// A progress bar in `width` columns that is readable without colours.
fn bar(fraction: f64, width: usize) -> String {
    let full = ((fraction * width as f64) as usize).min(width);
    "█".repeat(full) + &"░".repeat(width - full)
}

/// A text in at most `width` columns. An ellipsis stands for what is cut off.
pub(super) fn shortened(text: &str, width: u16) -> String {
    let fits = |t: &str, room: usize| Span::raw(t).width() <= room;
    let width = usize::from(width);
    if fits(text, width) {
        return text.to_owned();
    }
    let mut kept = text.to_owned();
    while !kept.is_empty() && !fits(&kept, width.saturating_sub(1)) {
        kept.pop();
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// A frame with a title.
pub(super) fn framed(title: &str) -> Block<'static> {
    Block::bordered().title(format!(" {title} "))
}

/// The screen, to put text into its rows.
struct Page<'a> {
    area: Rect,
    buffer: &'a mut Buffer,
}

impl Page<'_> {
    /// Puts text into row `y` from column `x` on.
    fn put(&mut self, x: u16, y: u16, text: &str, style: Style) {
        let room = self.area.width.saturating_sub(x);
        Span::styled(shortened(text, room), style)
            .render(Rect::new(self.area.x + x, self.area.y + y, room, 1), self.buffer);
    }

    /// Puts text at the end of row `y`, if it fits. Returns the number of columns left before the
    /// text and a gap.
    fn right(&mut self, y: u16, text: &str, style: Style) -> u16 {
        let width = Span::raw(text).width() as u16;
        if width == 0 || width + 2 > self.area.width {
            return self.area.width;
        }
        self.put(self.area.width - width, y, text, style);
        self.area.width - width - 2
    }
}
