//! What changes from iteration to iteration: learning rate and margin. Both are pure functions of
//! the iteration, so a resumed run needs no state of theirs.

mod exponential_decrease;
mod margin;

pub use exponential_decrease::ExponentialDecrease;
pub use margin::{Increase, MarginSchedule};

/// Learning rate and margin of a training, by iteration.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedules {
    /// Learning rates, each with its first iteration. The first one begins at iteration 0.
    rates: Vec<(usize, ExponentialDecrease)>,
    margin: MarginSchedule,
}

/// The values of one iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scheduled {
    /// Learning rate.
    pub rate: f64,
    /// Margin.
    pub margin: f64,
}

impl Schedules {
    /// One learning rate and one margin for the whole training.
    pub fn new(rate: ExponentialDecrease, margin: MarginSchedule) -> Self {
        Self { rates: vec![(0, rate)], margin }
    }

    /// The same, but the learning rate begins anew in each stage. `lengths` are the iterations of
    /// the stages, in order. A stage has the learning rate of a training of its length.
    #[must_use]
    pub fn restarted(self, lengths: &[usize]) -> Self {
        let mut first = 0;
        let rates = lengths.iter().map(|&iterations| {
            let begun = first;
            first += iterations;
            (begun, ExponentialDecrease { iterations, ..self.rates[0].1.clone() })
        });
        let rates: Vec<_> = rates.collect();
        match rates.is_empty() {
            true => self,
            false => Self { rates, ..self },
        }
    }

    /// Learning rate and margin of an iteration, from 0.
    pub fn at(&self, iteration: usize) -> Scheduled {
        let begun = self.rates.partition_point(|(first, _)| *first <= iteration);
        let (first, rate) = &self.rates[begun - 1];
        Scheduled { rate: rate.at(iteration - first), margin: self.margin.at(iteration) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(iterations: usize) -> ExponentialDecrease {
        ExponentialDecrease {
            initial: 0.1,
            last: 0.001,
            iterations,
            warm_up: 3,
            scale_ratio: 2.0,
            warm_from_zero: true,
        }
    }

    #[test]
    fn both_are_those_of_their_schedules() {
        let margin = MarginSchedule {
            initial: 0.0,
            last: 0.2,
            start: 5,
            fixed: 15,
            increase: Increase::Linear,
        };
        let schedules = Schedules::new(rate(20), margin.clone());
        for t in 0..25 {
            let wanted = Scheduled { rate: rate(20).at(t), margin: margin.at(t) };
            assert_eq!(schedules.at(t), wanted, "{t}");
        }
    }

    #[test]
    fn a_stage_has_the_rate_of_a_training_of_its_length() {
        let margin = MarginSchedule::constant(0.2);
        let whole = Schedules::new(rate(30), margin);
        assert_eq!(whole.clone().restarted(&[]), whole);
        let staged = whole.restarted(&[10, 5, 15]);
        for t in 0..30 {
            let (iterations, first) = match t {
                0..10 => (10, 0),
                10..15 => (5, 10),
                _ => (15, 15),
            };
            let wanted = Scheduled { rate: rate(iterations).at(t - first), margin: 0.2 };
            assert_eq!(staged.at(t), wanted, "{t}");
        }
    }
}
