//! Tests what the dashboard draws, at several sizes of the terminal.

use std::cell::Cell;
use std::io::{self, Write};
use std::time::Instant;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::view::{Look, shortened, view};
use super::{Gate, UP, give_back, lock};
use crate::train::renderer::board::Board;
use crate::train::renderer::example;
use crate::train::renderer::feed::Event;

fn look(now: Instant) -> Look {
    Look { now, chosen: 0, stopping: false, warnings: 0, warning: None, colours: true }
}

/// The rows of a screen of `width` columns and `height` rows.
fn rows(board: &Board, look: &Look, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(board, look, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>()).collect()
}

/// A training in the middle of its third epoch, after two dev tests.
fn middle() -> (Board, Instant) {
    let seen = Cell::new(0);
    example::until(14, 400, (1, 0), |e| {
        seen.set(seen.get() + usize::from(matches!(e, Event::Train { .. })));
        seen.get() == 3 && *e == Event::Done { examples: 120 * example::BATCH }
    })
}

fn assert_all(rows: &[String], wanted: &[&str]) {
    for w in wanted {
        assert!(rows.iter().any(|r| r.contains(w)), "`{w}` is not in\n{}", rows.join("\n"));
    }
}

/// What every size must show.
const ALWAYS: [&str; 12] = [
    "runs/quickstart",
    "epoch 3/14  step 120/400",
    "16 %",
    "elapsed 15m30s, 1h19m left",
    "epoch mean",
    "loss",
    "460.00 %",
    "margin",
    "1.0e-3",
    "8.00 %",
    "8.00 % (2)",
    "minDCF(0.01)",
];

#[test]
fn everything_is_whole_at_every_size() {
    let (board, now) = middle();
    for (width, height) in [(80, 24), (40, 12), (200, 60), (60, 30)] {
        let rows = rows(&board, &look(now), width, height);
        assert_all(&rows, &ALWAYS);
        assert!(!rows.concat().contains('…'), "{width} x {height}\n{}", rows.join("\n"));
        assert!(rows[usize::from(height) - 1].starts_with("Ctrl-C or q: stop"));
    }
}

#[test]
fn the_usual_terminal_has_a_chart_and_the_whole_line_of_keys() {
    let (board, now) = middle();
    let rows = rows(&board, &look(now), 80, 24);
    assert_eq!(
        rows[23].trim_end(),
        "Ctrl-C or q: stop after this step, everything saved   ←→: metric"
    );
    assert_all(&rows, &[" loss, train ", "┌", "└", "epoch"]);
    assert!(
        rows.concat().chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)),
        "{}",
        rows.join("\n")
    );
    assert!(rows[1].contains('█') && rows[1].contains('░'), "{}", rows[1]);
}

#[test]
fn a_small_terminal_has_the_table_and_the_keys_that_work() {
    let (board, now) = middle();
    let rows = rows(&board, &look(now), 40, 12);
    assert_eq!(rows[11].trim_end(), "Ctrl-C or q: stop, all saved");
    assert!(rows[3].starts_with("train") && rows[8].starts_with("dev"), "{}", rows.join("\n"));
}

#[test]
fn each_metric_can_be_drawn() {
    let (board, now) = middle();
    for (chosen, title) in [
        " loss, train ",
        " accuracy in %, train ",
        " margin, train ",
        " lr, train ",
        " EER in %, dev ",
    ]
    .into_iter()
    .enumerate()
    {
        assert_all(&rows(&board, &Look { chosen, ..look(now) }, 80, 24), &[title]);
    }
    let eer = rows(&board, &Look { chosen: 4, ..look(now) }, 80, 24);
    assert_all(&eer, &["9.00 %", "8.00 %", "•"]);
}

#[test]
fn before_the_first_step_values_are_unknown() {
    let (board, now) = example::until(14, 400, (1, 0), |e| matches!(e, Event::Train { .. }));
    let rows = rows(&board, &look(now), 80, 24);
    assert_all(
        &rows,
        &[
            "epoch 1/14  step 0/400",
            "0 %",
            "elapsed 0s, time left not known yet",
            "no step yet",
            "no test yet",
        ],
    );
}

#[test]
fn a_requested_stop_is_confirmed() {
    let (board, now) = middle();
    let stopping = Look { stopping: true, ..look(now) };
    let last = |board: &Board, width| rows(board, &stopping, width, 24)[23].trim_end().to_owned();
    assert_eq!(last(&board, 80), "stopping after this step; press again to stop at once");
    assert_eq!(last(&board, 40), "stopping; press again to stop at once");
    let (board, _) = example::until(14, 400, (1, 0), |e| *e == Event::Test);
    assert_eq!(last(&board, 80), "stopping after this dev test; press again to stop at once");
}

#[test]
fn warnings_are_counted_and_the_last_is_shown_where_there_is_room() {
    let (board, now) = middle();
    let warning = Some(format!("warning: {}", "step 7: values are not finite; ".repeat(5)));
    let warned = Look { warnings: 2, warning, ..look(now) };
    let usual = rows(&board, &warned, 80, 24);
    assert!(usual[0].ends_with("2 warnings"), "{}", usual[0]);
    assert!(usual[3].starts_with("warning: step 7") && usual[3].ends_with('…'), "{}", usual[3]);
    assert_all(&usual, &ALWAYS);
    let small = rows(&board, &warned, 40, 12);
    assert!(small[0].ends_with("2 warnings"), "{}", small[0]);
    assert_all(&small, &ALWAYS);
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let (board, now) = middle();
    for colours in [true, false] {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let look = Look { colours, warnings: 1, warning: Some("warning: x".into()), ..look(now) };
        terminal.draw(|frame| view(&board, &look, frame)).unwrap();
        let coloured = |c: &ratatui::buffer::Cell| c.fg != Color::Reset || c.bg != Color::Reset;
        assert_eq!(terminal.backend().buffer().content().iter().any(coloured), colours);
    }
}

#[test]
fn the_smallest_terminals_do_not_panic() {
    let (board, now) = middle();
    let warned = Look { warnings: 1, warning: Some("warning: x".into()), ..look(now) };
    for width in 1..60 {
        for height in 1..30 {
            rows(&board, &warned, width, height);
        }
    }
}

#[test]
fn long_texts_are_cut_at_a_character() {
    assert_eq!(shortened("runs/quickstart", 15), "runs/quickstart");
    assert_eq!(shortened("runs/quickstart", 8), "runs/qu…");
    assert_eq!(shortened("声声声", 4), "声…");
    assert_eq!(shortened("abc", 1), "…");
    assert_eq!(shortened("abc", 0), "");
}

#[test]
fn control_characters_of_a_title_do_not_reach_the_terminal() {
    let (mut board, now) = middle();
    board.title = "runs/\u{1b}[2Jx".to_owned();
    assert!(!rows(&board, &look(now), 80, 24).concat().contains('\u{1b}'));
}

/// A terminal that fails after its first frame. It counts writes.
struct Failing {
    writes: usize,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        if self.writes == 1 { Ok(bytes.len()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One test, since there is one `UP`.
#[test]
fn a_dashboard_that_is_gone_writes_nothing_more() {
    let mut gate = Gate::new(Vec::new());
    let mut write = |up: bool| {
        *lock(&UP) = up;
        gate.write_all(b"\x1b[2J").unwrap();
        gate.flush().unwrap();
        assert!(gate.frame.is_empty());
        gate.out.len()
    };
    assert_eq!([write(true), write(true)], [4, 8]);
    assert_eq!(write(false), 8, "the terminal has been given back");

    *lock(&UP) = true;
    let mut gate = Gate::new(Failing { writes: 0 });
    let frames = [(); 4].map(|()| {
        gate.write_all(b"x").unwrap();
        gate.flush().is_ok()
    });
    assert_eq!(frames, [true, false, true, true]);
    assert_eq!(gate.out.writes, 2, "nothing is written after the failure");

    // Nothing to give back: this would leave the alternate screen of the tests' terminal.
    *lock(&UP) = false;
    give_back();
    assert!(!*lock(&UP));
}
