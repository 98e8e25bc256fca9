//! The events of a training, for tests. Its steps take a second each, and the dev test after each
//! epoch five seconds.

use std::time::{Duration, Instant};

use super::board::{Board, Plan};
use super::feed::Event;

/// Examples of a step.
pub(super) const BATCH: usize = 4;

/// The metrics of a training.
pub(super) fn metrics() -> Vec<Event> {
    let metric = |name: &str, unit: Option<&str>, higher_is_better| Event::Metric {
        name: name.to_owned(),
        unit: unit.map(str::to_owned),
        higher_is_better,
    };
    vec![
        metric("loss", None, false),
        metric("accuracy", Some("%"), true),
        metric("margin", None, true),
        metric("lr", None, false),
        metric("EER", Some("%"), false),
        metric("minDCF(0.01)", None, false),
    ]
}

/// Events with their times in seconds, from epoch `from.0` on, of which `from.1` steps are done.
/// Step n of the training has a loss of 5 - n/100 and an accuracy of n/2 %; epoch e has an EER of
/// 10 - e %.
pub(super) fn training(epochs: usize, steps: usize, from: (usize, usize)) -> Vec<(f64, Event)> {
    let mut all: Vec<(f64, Event)> = metrics().into_iter().map(|m| (0.0, m)).collect();
    let mut time = 0.0;
    all.push((time, Event::Start { epochs, epoch: from.0 }));
    for epoch in from.0..=epochs {
        all.push((time, Event::Train { examples: steps * BATCH }));
        let done = if epoch == from.0 { from.1 } else { 0 };
        for step in done + 1..=steps {
            time += 1.0;
            let n = ((epoch - 1) * steps + step) as f64;
            let values = [5.0 - n / 100.0, n / 2.0, 0.2, 1e-3];
            all.extend(
                values
                    .into_iter()
                    .enumerate()
                    .map(|(metric, value)| (time, Event::Step { metric, value })),
            );
            all.push((time, Event::Done { examples: step * BATCH }));
        }
        all.push((time, Event::Trained));
        all.push((time, Event::Test));
        time += 5.0;
        all.push((time, Event::Tested { metric: 4, value: 10.0 - epoch as f64 }));
        all.push((time, Event::Tested { metric: 5, value: 0.5 }));
        all.push((time, Event::Epoch(epoch)));
    }
    all.push((time, Event::End));
    all
}

/// The board after the first event for which `last` holds, and the time of that event.
pub(super) fn until(
    epochs: usize,
    steps: usize,
    from: (usize, usize),
    last: impl Fn(&Event) -> bool,
) -> (Board, Instant) {
    let begun = Instant::now();
    let plan = Plan {
        title: "runs/quickstart".to_owned(),
        batch_size: BATCH,
        validate_every: 1,
        ..Plan::default()
    };
    let mut board = Board::new(plan, begun);
    for (seconds, event) in training(epochs, steps, from) {
        let now = begun + Duration::from_secs_f64(seconds);
        board.take(&event, now);
        if last(&event) {
            return (board, now);
        }
    }
    panic!("the training has no such event");
}
