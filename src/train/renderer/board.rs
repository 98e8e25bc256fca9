//! The state of a running training. It is pure: events and times come from outside.

use std::time::Instant;

use super::curve::Curve;
use super::eta::Eta;
use super::feed::Event;
use super::past::Past;
use super::text;

/// Facts that burn-train does not pass to a renderer.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// The run's folder.
    pub title: String,
    /// Examples of a step.
    pub batch_size: usize,
    /// Number of epochs from one dev test to the next.
    pub validate_every: usize,
    /// Metrics of earlier epochs.
    pub past: Vec<Past>,
    /// Of a resumed epoch: the number of steps done before, and the sums of their metrics by name.
    pub made: Option<(usize, Vec<(&'static str, f64)>)>,
}

/// One metric.
#[derive(Debug, Clone)]
pub(super) struct Metric {
    /// Name.
    pub name: String,
    /// Unit.
    pub unit: Option<String>,
    higher_is_better: bool,
    /// The last step's value.
    pub last: Option<f64>,
    /// Whether `last` is not on the curve yet.
    fresh: bool,
    /// Sum and number of the values of this epoch.
    sum: (f64, usize),
    /// Values of steps, over epochs.
    pub curve: Curve,
    /// Value and epoch of the last dev test.
    pub tested: Option<(f64, usize)>,
    /// Value and epoch of the best dev test.
    pub best: Option<(f64, usize)>,
    /// Values of dev tests, over epochs.
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

    /// Mean over this epoch's steps so far. None for a metric that follows a schedule.
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
    /// The run's folder.
    pub title: String,
    /// Metrics in the order of their registration.
    pub metrics: Vec<Metric>,
    /// Progress and time left.
    pub eta: Eta,
    batch_size: usize,
    past: Vec<Past>,
    made: Option<(usize, Vec<(&'static str, f64)>)>,
    begun: Instant,
}

impl Board {
    /// The state before the training.
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

    /// Applies an event.
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

    /// Gives the metrics their values from earlier epochs.
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

    /// The metrics of an epoch: `loss 2.131  accuracy 41.20 %  EER 8.01 %`. A metric of steps shows
    /// its mean, or its last value if it follows a schedule.
    pub fn summary(&self, epoch: usize) -> String {
        let known = self.metrics.iter().filter_map(|m| {
            let step = if m.sum.1 > 0 { m.mean().or(m.last) } else { None };
            let value = step.or(m.tested.filter(|t| t.1 == epoch).map(|t| t.0))?;
            Some(format!("{} {}", m.name, m.text(value)))
        });
        known.collect::<Vec<_>>().join("  ")
    }

    /// Time since the training began, and the time left if it is known and not zero:
    /// `1m02s, 11m left`.
    pub fn times(&self, now: Instant) -> String {
        let passed = text::duration(now.saturating_duration_since(self.begun));
        match self.eta.left(now).filter(|left| !left.is_zero()) {
            Some(left) => format!("{passed}, {} left", text::rough(left)),
            None => passed,
        }
    }

    /// The progress of the training: `epoch 3/14  step 120/400`.
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
mod tests;
