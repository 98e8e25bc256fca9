//! Shows a training without a dashboard, on standard error: a line for each epoch, and between
//! them a progress bar on a terminal, or a line about once a minute elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use kdam::{Bar, BarExt};

use super::board::Board;
use super::feed::{Event, Sink};
use super::text;
use crate::terminal::errln;

/// The longest time without a line where there is no bar.
const SILENCE: Duration = Duration::from_secs(60);

/// The kinds of display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    /// A line for each epoch, and a bar between them.
    Bar,
    /// Lines only.
    Lines,
}

/// Shows a training in lines.
pub(super) struct Lines {
    board: Board,
    shown: Shown,
    bar: Option<Bar>,
    last_line: Instant,
}

impl Lines {
    /// Shows nothing if `quiet`, a bar if standard error is a terminal, otherwise lines only.
    pub fn new(quiet: bool, board: Board) -> Self {
        let shown = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Shown::Nothing,
            (false, true) => Shown::Bar,
            (false, false) => Shown::Lines,
        };
        Self { board, shown, bar: None, last_line: Instant::now() }
    }

    /// The line that an event calls for.
    fn line(&mut self, event: &Event, now: Instant) -> Option<String> {
        let epochs = self.board.eta.epochs;
        let silence = now.saturating_duration_since(self.last_line) >= SILENCE;
        let (epoch, place) = match *event {
            Event::Start { .. } => {
                self.last_line = now;
                return None;
            }
            Event::Epoch(epoch) => (epoch, None),
            Event::Done { .. } if silence && self.shown == Shown::Lines => {
                let eta = &self.board.eta;
                (eta.epoch, Some(format!("{} %", 100 * eta.step / eta.steps.max(1))))
            }
            Event::Metric { .. }
            | Event::Train { .. }
            | Event::Step { .. }
            | Event::Done { .. }
            | Event::Trained
            | Event::Test
            | Event::Tested { .. }
            | Event::End => return None,
        };
        self.last_line = now;
        let head = Some(format!("epoch {epoch}/{epochs}"));
        let parts = [head, place, Some(self.board.summary(epoch)), Some(self.board.times(now))];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|p| !p.is_empty()).collect();
        Some(parts.join("  "))
    }

    /// Draws, moves or removes the bar.
    fn draw(&mut self, event: &Event, now: Instant) {
        let eta = &self.board.eta;
        match event {
            Event::Train { .. } if eta.steps > 1 => {
                let desc = format!("epoch {}/{}", eta.epoch, eta.epochs);
                let mut bar = kdam::tqdm!(total = eta.steps, desc = desc, leave = false);
                match bar.refresh() {
                    Ok(()) => self.bar = Some(bar),
                    Err(_) => self.give_up(),
                }
            }
            Event::Done { .. } => {
                if let Some(bar) = &mut self.bar {
                    let width = kdam::term::width().map_or(80, usize::from);
                    let postfix = behind(&self.board, now, room(width, bar.desc.len(), eta.steps));
                    if !postfix.is_empty() {
                        bar.set_postfix(postfix);
                    }
                    if bar.update_to(eta.step).is_err() {
                        self.give_up();
                    }
                }
            }
            Event::Trained | Event::End => self.clear(),
            Event::Metric { .. }
            | Event::Start { .. }
            | Event::Train { .. }
            | Event::Step { .. }
            | Event::Test
            | Event::Tested { .. }
            | Event::Epoch(_) => {}
        }
    }

    /// Drops the bar after a failed write: the terminal is gone. The training goes on, and printing
    /// lines that nobody sees does no harm.
    fn give_up(&mut self) {
        (self.bar, self.shown) = (None, Shown::Lines);
    }

    /// Removes the bar, and returns the cursor to the start of the line. kdam leaves it at the end.
    fn clear(&mut self) {
        if let Some(mut bar) = self.bar.take() {
            let _ = bar.clear();
            let _ = bar.writer.print(b"\r");
        }
    }
}

/// The columns left for our text, the dots in
/// `DESC:  40%|█| 120/400 [00:10<00:15, 12.34it/s, ...]`. A bar wider than the terminal would
/// leave a line at each move.
fn room(width: usize, desc: usize, steps: usize) -> usize {
    let digits = steps.checked_ilog10().unwrap_or(0) as usize + 1;
    width.saturating_sub(desc + 2 * digits + 44)
}

/// The epoch's metrics and the time left, as much as fits into `room` columns.
fn behind(board: &Board, now: Instant, room: usize) -> String {
    let left = match board.eta.left(now) {
        Some(left) => format!("{} left", text::rough(left)),
        None => String::new(),
    };
    let with = |metrics: &str| match (metrics, left.as_str()) {
        ("", alone) | (alone, "") => alone.to_owned(),
        (metrics, left) => format!("{metrics}, {left}"),
    };
    let summary = board.summary(board.eta.epoch);
    let first = summary.split("  ").next().unwrap_or_default();
    text::fitting(&[&with(&summary), &with(first), &left, ""], room).to_owned()
}

impl Sink for Lines {
    fn take(&mut self, event: Event, now: Instant) {
        self.board.take(&event, now);
        if self.shown == Shown::Bar {
            self.draw(&event, now);
        }
        if self.shown != Shown::Nothing
            && let Some(line) = self.line(&event, now)
        {
            errln!("{line}");
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;
    use crate::train::renderer::board::Plan;

    /// The lines of a training.
    fn told(shown: Shown, epochs: usize, steps: usize, from: (usize, usize)) -> Vec<String> {
        let begun = Instant::now();
        let plan = Plan { batch_size: example::BATCH, validate_every: 1, ..Plan::default() };
        let mut lines =
            Lines { board: Board::new(plan, begun), shown, bar: None, last_line: begun };
        let mut told = Vec::new();
        for (seconds, event) in example::training(epochs, steps, from) {
            let now = begun + Duration::from_secs_f64(seconds);
            lines.board.take(&event, now);
            told.extend(lines.line(&event, now));
        }
        told
    }

    #[test]
    fn each_epoch_is_a_line_with_units_and_time_left() {
        assert_eq!(
            told(Shown::Lines, 2, 10, (1, 0)),
            [
                "epoch 1/2  loss 4.945  accuracy 2.75 %  margin 0.2  lr 1.0e-3  EER 9.00 %  \
                 minDCF(0.01) 0.500  15s, 15s left",
                "epoch 2/2  loss 4.845  accuracy 7.75 %  margin 0.2  lr 1.0e-3  EER 8.00 %  \
                 minDCF(0.01) 0.500  30s"
            ]
        );
    }

    #[test]
    fn a_long_epoch_has_a_line_a_minute_where_there_is_no_bar() {
        let lines = told(Shown::Lines, 1, 200, (1, 0));
        let heads: Vec<String> =
            lines.iter().map(|l| l.split("  ").take(2).collect::<Vec<_>>().join("  ")).collect();
        assert_eq!(
            heads,
            ["epoch 1/1  30 %", "epoch 1/1  60 %", "epoch 1/1  90 %", "epoch 1/1  loss 3.995"]
        );
        assert!(lines[0].ends_with("  1m00s, 3m left"), "{}", lines[0]);
        assert!(lines[0].contains("loss 4.695  accuracy 15.25 %"), "{}", lines[0]);
        assert_eq!(told(Shown::Bar, 1, 200, (1, 0)).len(), 1);
    }

    #[test]
    fn a_resumed_epoch_goes_on_where_it_stopped() {
        let lines = told(Shown::Lines, 3, 100, (2, 20));
        assert!(lines[0].starts_with("epoch 2/3  80 %"), "{}", lines[0]);
        assert!(lines[0].ends_with("1m00s, 2m left"), "{}", lines[0]);
        assert!(lines[1].starts_with("epoch 2/3  loss 3.395"), "{}", lines[1]);
    }

    #[test]
    fn a_bar_says_as_much_as_there_is_room_for() {
        let (board, now) =
            example::until(3, 100, (1, 0), |e| *e == Event::Done { examples: 50 * example::BATCH });
        let at = |width| behind(&board, now, room(width, "epoch 1/3".len(), 100));
        assert_eq!(at(120), "loss 4.745  accuracy 12.75 %  margin 0.2  lr 1.0e-3, 5m left");
        assert_eq!(at(80), "loss 4.745, 5m left");
        assert_eq!(at(70), "5m left");
        assert_eq!(at(40), "");
    }
}
