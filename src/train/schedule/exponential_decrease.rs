//! WeSpeaker's `ExponentialDecrease` (`wespeaker/utils/schedulers.py`).

/// With t = iteration, T = all iterations, W = warm-up iterations, s = scale ratio:
///
/// lr(t) = c(t) * initial * (last / initial)^(t / T), with c(t) rising linearly during the warm-up,
/// from 0 to s (`warm_from_zero`) or, where s > 1, from 1 to s; s afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct ExponentialDecrease {
    /// Learning rate at the beginning, before the scale ratio.
    pub initial: f64,
    /// Learning rate at the end, before the scale ratio.
    pub last: f64,
    /// All iterations of the training.
    pub iterations: usize,
    /// Iterations of the warm-up.
    pub warm_up: usize,
    /// Usually batch size / 64.
    pub scale_ratio: f64,
    /// Start from 0 rather than from `initial`.
    pub warm_from_zero: bool,
}

impl ExponentialDecrease {
    /// The learning rate of iteration `t`, from 0.
    pub fn at(&self, t: usize) -> f64 {
        let s = self.scale_ratio;
        let warm = t as f64 / self.warm_up.max(1) as f64;
        let coefficient = match (t < self.warm_up, self.warm_from_zero) {
            (true, true) => s * warm,
            (true, false) if s > 1.0 => 1.0 + (s - 1.0) * warm,
            _ => s,
        };
        let done = t as f64 / self.iterations.max(1) as f64;
        coefficient * self.initial * (done * (self.last / self.initial).ln()).exp()
    }
}
