//! Adam and AdamW with both moments in 8 bits.

use burn::optim::module_optimizer::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use super::adam::{self, beta1, beta2, epsilon, weight_decay};
use super::settings::or_panic;
use super::{EightBit, Rule, States, Stepper};
use crate::backend::optim8::{AdamStep, CodeMap, Codec, Rounding, Step};
use crate::error::Result;

/// Settings of [`Adam8bit`]: weight decay is added to the gradient.
pub type Adam8bitConfig = Adam8bitSettings<false>;
/// Settings of [`AdamW8bit`]: weight decay shrinks the weights before the step.
pub type AdamW8bitConfig = Adam8bitSettings<true>;

/// Settings of Adam, or of AdamW with `DECOUPLED` weight decay, with both moments in 8 bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam8bitSettings<const DECOUPLED: bool> {
    /// Decay of the first moment, 0 or more and below 1.
    #[serde(default = "beta1")]
    pub beta1: f64,
    /// Decay of the second moment, 0 or more and below 1.
    #[serde(default = "beta2")]
    pub beta2: f64,
    /// Added to the root of the second moment.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// Factor of the weights: for Adam added to the gradient, for AdamW, times the learning rate,
    /// subtracted from the weights.
    #[serde(default = "weight_decay::<DECOUPLED>")]
    pub weight_decay: f64,
    /// Whether a second moment that is not 0 is never stored as 0 but at least as the smallest
    /// code, 3.25e-7 of its block's largest. Rounded to the nearest code, one below half of that
    /// would vanish while the first moment, with its finer scale, remains. The step would be that
    /// moment divided by epsilon alone, several hundred times too large. The guard changes nothing
    /// about moments of every other size and exact zeros.
    #[serde(default = "guard")]
    pub guard: bool,
    /// How the moments are held.
    #[serde(default)]
    pub states: States,
}

fn guard() -> bool {
    true
}

impl<const DECOUPLED: bool> Default for Adam8bitSettings<DECOUPLED> {
    fn default() -> Self {
        Self {
            beta1: beta1(),
            beta2: beta2(),
            epsilon: epsilon(),
            weight_decay: weight_decay::<DECOUPLED>(),
            guard: guard(),
            states: States::default(),
        }
    }
}

impl<const DECOUPLED: bool> Adam8bitSettings<DECOUPLED> {
    setters! {
        with_beta1(beta1: f64),
        with_beta2(beta2: f64),
        with_epsilon(epsilon: f64),
        with_weight_decay(weight_decay: f64),
        with_guard(guard: bool),
        with_states(states: States),
    }

    /// The bare optimizer.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn build(&self) -> Result<EightBit<Self>> {
        EightBit::new(self.clone())
    }

    /// The optimizer of a whole module.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn try_init(&self) -> Result<ModuleOptimizer> {
        Ok(self.build()?.into())
    }

    /// The optimizer of a whole module that steps many tensors in one launch on GPUs. It does not
    /// check gradients.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn stepper(&self) -> Result<Stepper> {
        Ok(self.build()?.into())
    }

    /// The optimizer of a whole module.
    ///
    /// # Panics
    /// If a setting is impossible. [`Self::try_init`] returns an error instead.
    pub fn init(&self) -> ModuleOptimizer {
        or_panic(self.try_init())
    }
}

/// Adam: `m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g^2; p -= rate * c2 / c1 *
/// m / (sqrt(v) + c2 * epsilon)` with `c1 = 1 - beta1^t, c2 = sqrt(1 - beta2^t)`. As PyTorch's, but
/// between steps m and v are in 8 bits. The step itself uses them before they are quantized.
pub type Adam8bit = EightBit<Adam8bitConfig>;
/// AdamW: [`Adam8bit`] with decoupled weight decay.
pub type AdamW8bit = EightBit<AdamW8bitConfig>;

impl<const DECOUPLED: bool> Rule for Adam8bitSettings<DECOUPLED> {
    const NAME: &'static str = "Adam8bit";
    const RECORD: u64 = 2;
    const MOMENTS: usize = 2;

    fn check(&self) -> Result<()> {
        let Self { beta1, beta2, epsilon, weight_decay, .. } = *self;
        adam::check(beta1, beta2, epsilon, weight_decay)?;
        self.states.check()
    }

    fn states(&self) -> &States {
        &self.states
    }

    fn codecs(&self) -> Vec<Codec> {
        let States { block_size, rounding, .. } = self.states;
        let second = if self.guard { Rounding::AboveZero } else { Rounding::Nearest };
        let codec = |map, rounding| Codec { map, rounding, block: block_size };
        vec![codec(CodeMap::Signed, rounding.signed()), codec(CodeMap::Unsigned, second)]
    }

    fn at(&self, rate: f64, t: u64) -> Step {
        let Self { beta1, beta2, epsilon, weight_decay, .. } = *self;
        let t = t.min(i32::MAX as u64) as i32; // the powers have long been 0 by then
        let (c1, c2) = (1.0 - beta1.powi(t), (1.0 - beta2.powi(t)).sqrt());
        let (coupled, shrink) = match DECOUPLED {
            false => (weight_decay, 1.0),
            true => (0.0, 1.0 - rate * weight_decay),
        };
        let step = AdamStep {
            rate: (rate * c2 / c1) as f32,
            first: [beta1 as f32, (1.0 - beta1) as f32],
            second: [beta2 as f32, (1.0 - beta2) as f32],
            epsilon: (c2 * epsilon) as f32,
            coupled: coupled as f32,
            shrink: shrink as f32,
        };
        step.into()
    }
}
