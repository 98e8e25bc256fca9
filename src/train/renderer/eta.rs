//! The progress of a training, and the time left, estimated from its steps and dev tests so far.

use std::time::{Duration, Instant};

/// The work in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Steps,
    Test,
    Other,
}

/// The times that one kind of work took.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    total: Duration,
    count: u32,
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.total += time;
        self.count += 1;
    }

    fn mean(&self) -> Option<Duration> {
        (self.count > 0).then(|| self.total / self.count)
    }
}

/// The progress of a training in epochs and steps, and the times measured in this process.
#[derive(Debug, Clone)]
pub(super) struct Eta {
    /// Number of epochs; 0 before the training begins.
    pub epochs: usize,
    /// The current epoch, from 1; `epochs + 1` at the end.
    pub epoch: usize,
    /// Steps of an epoch; 0 while unknown.
    pub steps: usize,
    /// Steps done in this epoch.
    pub step: usize,
    validate_every: usize,
    doing: Doing,
    /// When the current step or test began.
    since: Instant,
    /// Time of the first step, which also starts threads and compiles kernels.
    first: Option<Duration>,
    /// Times of the other steps.
    others: Times,
    tests: Times,
}

impl Eta {
    /// The state before the training. There is a dev test every `validate_every` epochs and at the
    /// end.
    pub fn new(validate_every: usize, now: Instant) -> Self {
        Self {
            epochs: 0,
            epoch: 1,
            steps: 0,
            step: 0,
            validate_every: validate_every.max(1),
            doing: Doing::Other,
            since: now,
            first: None,
            others: Times::default(),
            tests: Times::default(),
        }
    }

    /// The training begins in epoch `epoch` of `epochs`.
    pub fn start(&mut self, epochs: usize, epoch: usize, now: Instant) {
        (self.epochs, self.epoch, self.step) = (epochs, epoch, 0);
        self.go_on(Doing::Other, now);
    }

    /// An epoch's pass over the training data begins, or the rest of it after an interruption.
    pub fn train(&mut self, steps: usize, now: Instant) {
        (self.steps, self.step) = (steps, 0);
        self.go_on(Doing::Steps, now);
    }

    /// The `step`th step of the epoch is done.
    pub fn step(&mut self, step: usize, now: Instant) {
        let took = now.saturating_duration_since(self.since);
        match self.first {
            None => self.first = Some(took),
            Some(_) => self.others.add(took),
        }
        self.step = step;
        self.since = now;
    }

    /// The pass over the training data is done.
    pub fn trained(&mut self, now: Instant) {
        self.go_on(Doing::Other, now);
    }

    /// A dev test begins.
    pub fn test(&mut self, now: Instant) {
        self.go_on(Doing::Test, now);
    }

    /// An epoch is done, with its test and its checkpoint.
    pub fn epoch(&mut self, epoch: usize, now: Instant) {
        if self.doing == Doing::Test {
            self.tests.add(now.saturating_duration_since(self.since));
        }
        (self.epoch, self.step) = (epoch + 1, 0);
        self.go_on(Doing::Other, now);
    }

    fn go_on(&mut self, doing: Doing, now: Instant) {
        (self.doing, self.since) = (doing, now);
    }

    /// Whether a dev test is running.
    pub fn is_testing(&self) -> bool {
        self.doing == Doing::Test
    }

    /// Whether all epochs are done.
    pub fn is_done(&self) -> bool {
        self.epochs > 0 && self.epoch > self.epochs
    }

    /// Epochs done, and the fraction of this one.
    pub fn place(&self) -> f64 {
        let part = if self.steps == 0 { 0.0 } else { self.step as f64 / self.steps as f64 };
        (self.epoch - 1) as f64 + part
    }

    /// The fraction of all steps that is done, 0 to 1.
    pub fn fraction(&self) -> f64 {
        if self.epochs == 0 { 0.0 } else { (self.place() / self.epochs as f64).min(1.0) }
    }

    /// Time left. It is unknown before the first step, and leaves tests out until one has been
    /// timed. A training that stops early takes less.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let step = self.others.mean().or(self.first)?;
        let test = self.tests.mean().unwrap_or_default();
        let passed = now.saturating_duration_since(self.since);
        // Work that takes longer than usual counts as nearly done.
        let spent = match self.doing {
            Doing::Steps => passed.min(step),
            Doing::Test => passed.min(test),
            Doing::Other => Duration::ZERO,
        };
        let seconds = |time: Duration, count: usize| time.as_secs_f64() * count as f64;
        let all = seconds(step, self.steps_left()) + seconds(test, self.tests_left());
        Duration::try_from_secs_f64((all - spent.as_secs_f64()).max(0.0)).ok()
    }

    fn steps_left(&self) -> usize {
        match self.epochs.checked_sub(self.epoch) {
            Some(later) => self.steps.saturating_sub(self.step) + later * self.steps,
            None => 0,
        }
    }

    fn tests_left(&self) -> usize {
        (self.epoch..=self.epochs)
            .filter(|e| e.is_multiple_of(self.validate_every) || *e == self.epochs)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An `Eta` with a clock.
    struct Clocked {
        eta: Eta,
        begun: Instant,
    }

    impl Clocked {
        fn new(validate_every: usize) -> Self {
            let begun = Instant::now();
            Self { eta: Eta::new(validate_every, begun), begun }
        }

        fn at(&self, seconds: f64) -> Instant {
            self.begun + Duration::from_secs_f64(seconds)
        }

        fn left(&self, seconds: f64) -> Option<f64> {
            self.eta.left(self.at(seconds)).map(|d| (d.as_secs_f64() * 1000.0).round() / 1000.0)
        }
    }

    #[test]
    fn time_left_comes_from_the_steps_behind_the_first_one() {
        let mut c = Clocked::new(1);
        assert_eq!(c.left(0.0), None);
        c.eta.start(3, 1, c.at(0.0));
        c.eta.train(10, c.at(0.0));
        assert_eq!(c.left(30.0), None, "nothing is known before the first step");
        c.eta.step(1, c.at(60.0));
        assert_eq!(c.left(60.0), Some(60.0 * 29.0));
        // From the second step on, the first one, which compiled kernels, no longer counts.
        c.eta.step(2, c.at(61.0));
        assert_eq!(c.left(61.0), Some(28.0));
        c.eta.step(3, c.at(64.0));
        assert_eq!(c.left(64.0), Some(2.0 * 27.0));
        // Between steps the clock runs, but not past the end of the step.
        assert_eq!(c.left(65.0), Some(53.0));
        assert_eq!(c.left(500.0), Some(52.0));
        assert!((c.eta.place() - 0.3).abs() < 1e-12 && (c.eta.fraction() - 0.1).abs() < 1e-12);
    }

    /// Two steps of a second an epoch; tests of ten seconds after epochs 2, 4 and 5.
    #[test]
    fn dev_tests_count_where_they_are_made() {
        let mut c = Clocked::new(2);
        c.eta.start(5, 1, c.at(0.0));
        let mut t = 0.0;
        // Time left before each epoch's test and after the epoch. The time of a test is unknown
        // until the first one is over.
        let expected = [(8.0, 8.0), (6.0, 26.0), (24.0, 24.0), (22.0, 12.0), (10.0, 0.0)];
        for (epoch, (before, after)) in (1..).zip(expected) {
            c.eta.train(2, c.at(t));
            for step in 1..=2 {
                t += 1.0;
                c.eta.step(step, c.at(t));
            }
            c.eta.trained(c.at(t));
            assert_eq!(c.left(t), Some(before), "before the test of epoch {epoch}");
            if [2, 4, 5].contains(&epoch) {
                c.eta.test(c.at(t));
                assert!(c.eta.is_testing());
                t += 10.0;
            }
            c.eta.epoch(epoch, c.at(t));
            assert_eq!(c.left(t), Some(after), "after epoch {epoch}");
        }
        assert!(c.eta.is_done());
        assert_eq!(c.eta.fraction(), 1.0);
    }

    #[test]
    fn a_training_resumed_in_mid_epoch_has_only_the_rest_left() {
        let mut c = Clocked::new(1);
        c.eta.start(4, 3, c.at(0.0));
        c.eta.train(10, c.at(0.0));
        c.eta.step(7, c.at(2.0));
        c.eta.step(8, c.at(4.0));
        assert_eq!(c.left(4.0), Some(2.0 * 12.0));
        // A finished training has nothing left.
        let mut done = Clocked::new(1);
        done.eta.start(4, 5, done.at(0.0));
        assert!(done.eta.is_done());
        assert_eq!((done.left(0.0), done.eta.fraction()), (None, 1.0));
    }
}
