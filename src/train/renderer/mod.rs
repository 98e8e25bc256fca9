//! What a training shows while it runs: a dashboard, a progress bar on a terminal, or lines.
//!
//! `feed` turns burn-train's calls into events, `board` keeps the state that follows from them, and
//! `lines` or `dashboard` shows it.

#[cfg_attr(not(feature = "tui"), allow(dead_code, reason = "lines show less than the dashboard"))]
mod board;
#[cfg_attr(not(feature = "tui"), allow(dead_code, reason = "only the dashboard draws curves"))]
mod curve;
#[cfg(feature = "tui")]
mod dashboard;
#[cfg_attr(not(feature = "tui"), allow(dead_code, reason = "only the dashboard draws progress"))]
mod eta;
#[cfg(test)]
mod example;
mod feed;
mod lines;
mod past;
mod text;

use std::time::Instant;

use burn::train::renderer::MetricsRenderer;

use super::checkpoint::State;
use super::strategy::METRICS;
use super::{Recipe, RunOptions};
use board::{Board, Plan};
use feed::Feed;
use lines::Lines;

/// The dashboard if it is wanted and the terminal can show it, otherwise lines.
pub(super) fn renderer(
    options: &RunOptions,
    recipe: &Recipe,
    state: &State,
) -> Box<dyn MetricsRenderer> {
    let board = || {
        let plan = Plan {
            title: options.out.display().to_string(),
            batch_size: recipe.train.batch_size,
            validate_every: recipe.train.validate_every,
            past: past::read(&options.out.join(METRICS)),
            made: Some((
                state.batch,
                vec![("loss", state.loss_sum), ("accuracy", 100.0 * state.accuracy_sum)],
            )),
        };
        Board::new(plan, Instant::now())
    };
    #[cfg(feature = "tui")]
    if options.dashboard {
        match dashboard::Dashboard::open(board(), options.stop.clone()) {
            Ok(dashboard) => return Box::new(Feed::new(dashboard)),
            Err(e) => crate::terminal::note!(
                "no dashboard on this terminal ({e}); progress follows in lines"
            ),
        }
    }
    Box::new(Feed::new(Lines::new(options.quiet, board())))
}
