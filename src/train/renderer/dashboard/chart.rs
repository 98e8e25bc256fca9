//! The dashboard's chart: one metric over the epochs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::Span;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

use super::view::{Styles, framed, shortened};
use crate::train::renderer::board::{Board, Metric};

/// Charts of fewer rows have no label in the middle of their axis.
const LOW: u16 = 8;

/// Draws the metric with index `chosen` in a frame: its steps as a line, its dev tests as points.
pub(super) fn draw(board: &Board, chosen: usize, area: Rect, styles: &Styles, buffer: &mut Buffer) {
    let Some(metric) = board.metrics.get(chosen) else {
        framed("metrics").render(area, buffer);
        return;
    };
    let (steps, tests) = (metric.curve.points(), metric.tests.as_slice());
    let block = framed(&shortened(&title(metric), area.width.saturating_sub(4)));
    let all = || steps.iter().chain(tests);
    let (Some(xs), Some(ys)) = (span(all().map(|p| p.0)), bounds(all().map(|p| p.1))) else {
        let inner = block.inner(area);
        block.render(area, buffer);
        Span::raw("nothing to draw yet").render(inner, buffer);
        return;
    };
    let line = |points, style: Style| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(style)
            .data(points)
    };
    let dots = Dataset::default()
        .marker(Marker::Dot)
        .graph_type(GraphType::Scatter)
        .style(styles.dev)
        .data(tests);
    let middle = (ys[0] + ys[1]) / 2.0;
    let labels = match area.height < LOW {
        true => vec![ys[0], ys[1]],
        false => vec![ys[0], middle, ys[1]],
    };
    Chart::new(vec![line(steps, styles.train), line(tests, styles.dev), dots])
        .block(block)
        .x_axis(Axis::default().title("epoch").bounds(xs).labels(xs.map(epochs)))
        .y_axis(Axis::default().bounds(ys).labels(labels.into_iter().map(|y| metric.text(y))))
        .render(area, buffer);
}

/// `EER in %, dev`.
fn title(metric: &Metric) -> String {
    let unit = metric.unit.as_ref().map(|u| format!(" in {u}")).unwrap_or_default();
    let split = match (metric.curve.points().is_empty(), metric.tests.is_empty()) {
        (true, true) => "",
        (false, true) => ", train",
        (true, false) => ", dev",
        (false, false) => ", train and dev",
    };
    format!("{}{unit}{split}", metric.name)
}

/// The least and the greatest value.
fn extremes(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    let [low, high] =
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)]);
    (low <= high).then_some([low, high])
}

/// The bounds of values. They are never equal, even if all values are.
fn bounds(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    let [low, high] = extremes(values)?;
    let apart = if low == high { (0.1 * low.abs()).max(1e-9) } else { 0.0 };
    Some([low - apart, high + apart])
}

/// The bounds of places on the axis of epochs. The lower one is the end of an epoch.
fn span(places: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    let [low, high] = extremes(places)?;
    let low = low.floor();
    Some([if low == high { low - 1.0 } else { low }, high])
}

/// The label of a place on the axis of epochs.
fn epochs(place: f64) -> String {
    if place.fract() == 0.0 { format!("{place:.0}") } else { format!("{place:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_all_values_and_are_never_equal() {
        assert_eq!(bounds([3.0, -1.0, 2.0].into_iter()), Some([-1.0, 3.0]));
        assert_eq!(bounds(std::iter::empty()), None);
        for value in [0.0, 0.2, -5.0, 1e30] {
            let [low, high] = bounds([value].into_iter()).unwrap();
            assert!(low < value && value < high, "{value}");
        }
    }

    #[test]
    fn places_begin_with_an_epoch() {
        assert_eq!(span([0.0025, 2.3].into_iter()), Some([0.0, 2.3]));
        assert_eq!(span([2.0, 4.0].into_iter()), Some([2.0, 4.0]));
        assert_eq!(span([1.0].into_iter()), Some([0.0, 1.0]));
    }

    #[test]
    fn places_are_short() {
        assert_eq!([0.0, 3.0, 2.25].map(epochs), ["0", "3", "2.25"]);
    }
}
