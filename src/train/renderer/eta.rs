//! Where a training is, and how long it still takes by what its steps and dev tests took so far.

use std::time::{Duration, Instant};

/// What goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Steps,
    Test,
    Other,
}

/// Times of one kind of work.
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

/// The place of a training in its epochs and steps, and the times that this process has seen.
#[derive(Debug, Clone)]
pub(super) struct Eta {
    /// Epochs in all; 0 before the training begins.
    pub epochs: usize,
    /// The epoch that goes on, from 1; one more than `epochs` at the end.
    pub epoch: usize,
    /// Steps of an epoch; 0 as long as they are unknown.
    pub steps: usize,
    /// Steps of this epoch that are done.
    pub step: usize,
    validate_every: usize,
    doing: Doing,
    /// When the step or test that goes on began.
    since: Instant,
    /// The first step pays for what is paid once: threads started, kernels compiled.
    first: Option<Duration>,
    others: Times,
    tests: Times,
}

impl Eta {
    /// Before the training: a dev test each `validate_every` epochs and at the end.
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

    /// The training begins, in epoch `epoch` of `epochs`.
    pub fn start(&mut self, epochs: usize, epoch: usize, now: Instant) {
        (self.epochs, self.epoch, self.step) = (epochs, epoch, 0);
        self.go_on(Doing::Other, now);
    }

    /// The pass of an epoch over the training data begins, or what an interruption left of it.
    pub fn train(&mut self, steps: usize, now: Instant) {
        (self.steps, self.step) = (steps, 0);
        self.go_on(Doing::Steps, now);
    }

    /// One more step is done, the `step`th of its epoch.
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

    /// An epoch is done, with its test and what was saved after it.
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

    /// Whether a dev test goes on.
    pub fn is_testing(&self) -> bool {
        self.doing == Doing::Test
    }

    /// Whether all epochs are done.
    pub fn is_done(&self) -> bool {
        self.epochs > 0 && self.epoch > self.epochs
    }

    /// Epochs done, with the part of this one.
    pub fn place(&self) -> f64 {
        let part = if self.steps == 0 { 0.0 } else { self.step as f64 / self.steps as f64 };
        (self.epoch - 1) as f64 + part
    }

    /// The part of all steps that is done, 0 to 1.
    pub fn fraction(&self) -> f64 {
        if self.epochs == 0 { 0.0 } else { (self.place() / self.epochs as f64).min(1.0) }
    }

    /// Time left, unknown before the first step. As long as no dev test has been timed, tests are
    /// left out. A training that its patience ends early takes less.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let step = self.others.mean().or(self.first)?;
        let test = self.tests.mean().unwrap_or_default();
        let passed = now.saturating_duration_since(self.since);
        // Work that takes longer than usual is taken to end at any moment.
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
        // From the second step on the first one, which compiled kernels, counts no more.
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
        // What is left before the epoch's test and after the epoch. The first test is not known
        // before it is over.
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
    fn a_training_that_goes_on_in_mid_epoch_has_only_the_rest_before_it() {
        let mut c = Clocked::new(1);
        c.eta.start(4, 3, c.at(0.0));
        c.eta.train(10, c.at(0.0));
        c.eta.step(7, c.at(2.0));
        c.eta.step(8, c.at(4.0));
        assert_eq!(c.left(4.0), Some(2.0 * 12.0));
        // One that was done has nothing before it.
        let mut done = Clocked::new(1);
        done.eta.start(4, 5, done.at(0.0));
        assert!(done.eta.is_done());
        assert_eq!((done.left(0.0), done.eta.fraction()), (None, 1.0));
    }
}
