//! WeSpeaker's `MarginScheduler` (`wespeaker/utils/schedulers.py`).

use serde::{Deserialize, Serialize};

/// The curve between the two margins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Increase {
    /// 1 - 0.001^u over the fraction u of the rise: fast first, then slow.
    #[default]
    Exp,
    /// u.
    Linear,
}

/// `initial` before iteration `start`, `last` from iteration `fixed` on, a rise between.
#[derive(Debug, Clone, PartialEq)]
pub struct MarginSchedule {
    /// Margin before the rise.
    pub initial: f64,
    /// Margin after it.
    pub last: f64,
    /// First iteration of the rise.
    pub start: usize,
    /// First iteration after it.
    pub fixed: usize,
    /// Its curve.
    pub increase: Increase,
}

impl MarginSchedule {
    /// One margin throughout.
    pub fn constant(margin: f64) -> Self {
        Self { initial: margin, last: margin, start: 0, fixed: 0, increase: Increase::Exp }
    }

    /// The margin of iteration `t`, from 0.
    pub fn at(&self, t: usize) -> f64 {
        if t >= self.fixed {
            return self.last;
        }
        if t < self.start {
            return self.initial;
        }
        let u = (t - self.start) as f64 / (self.fixed - self.start) as f64;
        let risen = match self.increase {
            // The constant keeps the reference's guard against a zero initial value.
            Increase::Exp => 1.0 - (u * (1e-3f64 / (1.0 + 1e-6)).ln()).exp(),
            Increase::Linear => u,
        };
        self.initial + (self.last - self.initial) * risen
    }
}
