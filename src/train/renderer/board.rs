//! What is known of a training while it runs. Pure: events and times come from outside.

use std::time::Instant;

use super::curve::Curve;
use super::eta::Eta;
use super::feed::Event;
use super::past::Past;
use super::text;

/// What burn-train does not tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// The run.
    pub title: String,
    /// Examples of a step.
    pub batch_size: usize,
    /// Epochs from one dev test to the next.
    pub validate_every: usize,
    /// Earlier epochs.
    pub past: Vec<Past>,
    /// Steps of a resumed epoch that were made before, and the sums of their metrics by name.
    pub made: Option<(usize, Vec<(&'static str, f64)>)>,
}

/// One metric.
#[derive(Debug, Clone)]
pub(super) struct Metric {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: Option<String>,
    higher_is_better: bool,
    /// The last step's value.
    pub last: Option<f64>,
    /// Whether `last` is not on the curve yet.
    fresh: bool,
    /// Sum and number of this epoch's values.
    sum: (f64, usize),
    /// Values of steps over epochs.
    pub curve: Curve,
    /// The last dev test's value and its epoch.
    pub tested: Option<(f64, usize)>,
    /// The best dev test's.
    pub best: Option<(f64, usize)>,
    /// Values of dev tests over epochs.
    pub tests: Vec<(f64, f64)>,
}

impl Metric {
    fn new(name: &str, unit: Option<&str>, higher_is_better: bool) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.map(str::to_owned),
            higher_is_better,
            last: None,
            fresh: false,
            sum: (0.0, 0),
            curve: Curve::default(),
            tested: None,
            best: None,
            tests: Vec::new(),
        }
    }

    fn step(&mut self, value: f64) {
        self.last = Some(value);
        self.fresh = true;
        self.sum = (self.sum.0 + value, self.sum.1 + 1);
    }

    /// Puts the last step's value on the curve, once.
    fn place(&mut self, place: f64) {
        if let Some(value) = self.last.filter(|_| self.fresh) {
            self.curve.push(place, value);
        }
        self.fresh = false;
    }

    fn test(&mut self, value: f64, epoch: usize) {
        self.tested = Some((value, epoch));
        if !value.is_finite() {
            return;
        }
        self.tests.push((epoch as f64, value));
        let better =
            self.best.is_none_or(
                |(best, _)| if self.higher_is_better { value > best } else { value < best },
            );
        if better {
            self.best = Some((value, epoch));
        }
    }

    /// Mean over this epoch's steps so far; none for a metric that follows a schedule.
    pub fn mean(&self) -> Option<f64> {
        let (sum, count) = self.sum;
        (count > 0 && !text::is_scheduled(&self.name)).then(|| sum / count as f64)
    }

    /// A value of this metric with its unit.
    pub fn text(&self, value: f64) -> String {
        text::value(&self.name, self.unit.as_deref(), value)
    }
}

/// The state of a training.
#[derive(Debug, Clone)]
pub(super) struct Board {
    /// The run.
    pub title: String,
    /// Metrics in the order of their registration.
    pub metrics: Vec<Metric>,
    /// Place and time.
    pub eta: Eta,
    batch_size: usize,
    past: Vec<Past>,
    made: Option<(usize, Vec<(&'static str, f64)>)>,
    begun: Instant,
}

impl Board {
    /// Before the training.
    pub fn new(plan: Plan, now: Instant) -> Self {
        Self {
            title: plan.title,
            metrics: Vec::new(),
            eta: Eta::new(plan.validate_every, now),
            batch_size: plan.batch_size.max(1),
            past: plan.past,
            made: plan.made,
            begun: now,
        }
    }

    /// Takes note of an event.
    pub fn take(&mut self, event: &Event, now: Instant) {
        match *event {
            Event::Metric { ref name, ref unit, higher_is_better } => {
                self.metrics.push(Metric::new(name, unit.as_deref(), higher_is_better));
            }
            Event::Start { epochs, epoch } => {
                self.begun = now;
                self.eta.start(epochs, epoch, now);
                self.recall();
            }
            Event::Train { examples } => {
                self.metrics.iter_mut().for_each(|m| m.sum = (0.0, 0));
                if let Some((steps, sums)) = self.made.take() {
                    for (name, sum) in sums {
                        self.metrics
                            .iter_mut()
                            .filter(|m| m.name == name)
                            .for_each(|m| m.sum = (sum, steps));
                    }
                }
                self.eta.train(examples / self.batch_size, now);
            }
            Event::Step { metric, value } => self.metrics[metric].step(value),
            Event::Done { examples } => {
                self.eta.step(examples / self.batch_size, now);
                let place = self.eta.place();
                self.metrics.iter_mut().for_each(|m| m.place(place));
            }
            Event::Trained => self.eta.trained(now),
            Event::Test => self.eta.test(now),
            Event::Tested { metric, value } => self.metrics[metric].test(value, self.eta.epoch),
            Event::Epoch(epoch) => self.eta.epoch(epoch, now),
            Event::End => {}
        }
    }

    /// Gives the metrics their values of earlier epochs.
    fn recall(&mut self) {
        for past in std::mem::take(&mut self.past) {
            if let Some(metric) = self.metrics.iter_mut().find(|m| m.name == past.name) {
                match past.dev {
                    true => metric.test(past.value, past.epoch),
                    false => metric.curve.push(past.epoch as f64, past.value),
                }
            }
        }
    }

    /// The metrics of an epoch: `loss 2.131  accuracy 41.20 %  EER 8.01 %`. Metrics of steps are
    /// means, or the last value where a schedule sets it.
    pub fn summary(&self, epoch: usize) -> String {
        let known = self.metrics.iter().filter_map(|m| {
            let step = if m.sum.1 > 0 { m.mean().or(m.last) } else { None };
            let value = step.or(m.tested.filter(|t| t.1 == epoch).map(|t| t.0))?;
            Some(format!("{} {}", m.name, m.text(value)))
        });
        known.collect::<Vec<_>>().join("  ")
    }

    /// Time since the training began and, where it is known and not zero, time left:
    /// `1m02s, 11m left`.
    pub fn times(&self, now: Instant) -> String {
        let passed = text::duration(now.saturating_duration_since(self.begun));
        match self.eta.left(now).filter(|left| !left.is_zero()) {
            Some(left) => format!("{passed}, {} left", text::rough(left)),
            None => passed,
        }
    }

    /// Where the training is: `epoch 3/14  step 120/400`.
    pub fn position(&self) -> String {
        let Eta { epoch, epochs, step, steps, .. } = self.eta;
        if epochs == 0 {
            "starting".to_owned()
        } else if self.eta.is_done() {
            format!("epoch {epochs}/{epochs}  done")
        } else if self.eta.is_testing() {
            format!("epoch {epoch}/{epochs}  dev test")
        } else if steps == 0 {
            format!("epoch {epoch}/{epochs}")
        } else {
            format!("epoch {epoch}/{epochs}  step {step}/{steps}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn an_epoch_has_the_means_of_its_steps_and_its_own_test() {
        let (board, now) = example::until(3, 10, (1, 0), |e| *e == Event::Epoch(2));
        // Steps 11 to 20 have losses 4.89 to 4.80; the test after epoch 2 an EER of 8 %.
        assert_eq!(
            board.summary(2),
            "loss 4.845  accuracy 7.75 %  margin 0.2  lr 1.0e-3  EER 8.00 %  minDCF(0.01) 0.500"
        );
        assert_eq!(board.times(now), "30s, 15s left");
        // An epoch without a test shows none of an earlier one.
        assert!(!board.summary(3).contains("EER"));
    }

    #[test]
    fn the_place_is_told_at_every_moment() {
        let position =
            |last: &dyn Fn(&Event) -> bool| example::until(3, 10, (1, 0), last).0.position();
        assert_eq!(position(&|e| matches!(e, Event::Metric { .. })), "starting");
        assert_eq!(position(&|e| matches!(e, Event::Start { .. })), "epoch 1/3");
        assert_eq!(
            position(&|e| *e == Event::Done { examples: 7 * example::BATCH }),
            "epoch 1/3  step 7/10"
        );
        assert_eq!(position(&|e| *e == Event::Test), "epoch 1/3  dev test");
        assert_eq!(position(&|e| *e == Event::Epoch(1)), "epoch 2/3  step 0/10");
        assert_eq!(position(&|e| *e == Event::End), "epoch 3/3  done");
    }

    #[test]
    fn time_left_is_known_from_the_first_step_on() {
        let times = |last: &dyn Fn(&Event) -> bool| {
            let (board, now) = example::until(3, 100, (1, 0), last);
            board.times(now)
        };
        assert_eq!(times(&|e| matches!(e, Event::Start { .. })), "0s");
        assert_eq!(times(&|e| *e == Event::Done { examples: 20 * example::BATCH }), "20s, 5m left");
        assert_eq!(times(&|e| *e == Event::End), "5m15s");
    }

    #[test]
    fn curves_run_over_epochs_and_the_best_test_is_kept() {
        let (board, _) = example::until(4, 10, (2, 5), |e| *e == Event::Epoch(3));
        let loss = board.metrics[0].curve.points();
        assert_eq!((loss.len(), loss[0].0, loss[14].0), (15, 1.6, 3.0));
        let eer = &board.metrics[4];
        assert_eq!(eer.tests, [(2.0, 8.0), (3.0, 7.0)]);
        assert_eq!((eer.best, eer.tested), (Some((7.0, 3)), Some((7.0, 3))));
        // Only tests have tests, only steps have steps.
        assert!(eer.last.is_none() && board.metrics[0].best.is_none());
    }

    #[test]
    fn worse_tests_do_not_replace_the_best_and_better_is_a_matter_of_the_metric() {
        let best = |higher_is_better: bool, values: [f64; 4]| {
            let mut metric = Metric::new("EER", Some("%"), higher_is_better);
            values.iter().zip(1..).for_each(|(&v, epoch)| metric.test(v, epoch));
            (metric.best, metric.tested.map(|t| t.1))
        };
        assert_eq!(best(false, [8.0, 6.0, 7.0, f64::NAN]), (Some((6.0, 2)), Some(4)));
        assert_eq!(best(true, [8.0, 6.0, 9.0, 8.5]), (Some((9.0, 3)), Some(4)));
    }

    #[test]
    fn a_resumed_run_remembers_its_earlier_epochs() {
        let now = Instant::now();
        let dev = |epoch: usize, value: f64| Past { epoch, name: "EER", value, dev: true };
        let past =
            vec![dev(1, 5.0), Past { epoch: 1, name: "loss", value: 3.0, dev: false }, dev(2, 6.0)];
        let mut board = Board::new(Plan { batch_size: 4, past, ..Plan::default() }, now);
        example::metrics().iter().for_each(|m| board.take(m, now));
        board.take(&Event::Start { epochs: 4, epoch: 3 }, now);
        assert_eq!(board.metrics[4].best, Some((5.0, 1)));
        assert_eq!(board.metrics[0].curve.points(), [(1.0, 3.0)]);
        // What this process has not seen is not in its lines.
        assert_eq!(board.summary(3), "");
    }

    #[test]
    fn a_resumed_epoch_has_the_mean_of_all_its_steps() {
        let now = Instant::now();
        let made = Some((3, vec![("loss", 9.0), ("accuracy", 60.0)]));
        let mut board = Board::new(Plan { batch_size: 4, made, ..Plan::default() }, now);
        example::metrics().iter().for_each(|m| board.take(m, now));
        board.take(&Event::Start { epochs: 4, epoch: 2 }, now);
        board.take(&Event::Train { examples: 16 }, now);
        board.take(&Event::Step { metric: 0, value: 1.0 }, now);
        assert_eq!((board.metrics[0].mean(), board.metrics[1].mean()), (Some(2.5), Some(20.0)));
        // The next epoch is all its own.
        board.take(&Event::Train { examples: 16 }, now);
        assert_eq!(board.metrics[0].mean(), None);
    }
}
