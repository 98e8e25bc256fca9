//! SGD with its momentum in 8 bits.

use burn::optim::module_optimizer::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use super::settings::{bad, decays, or_panic, within};
use super::{EightBit, Rule, States, Stepper};
use crate::backend::optim8::{CodeMap, Codec, SgdStep, Step};
use crate::error::Result;

/// Settings of [`Sgd8bit`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default = "Sgd8bitConfig::recipe")]
pub struct Sgd8bitConfig {
    /// Momentum, above 0 and below 1: without it there would be no state to hold.
    pub momentum: f64,
    /// How much less than whole a gradient enters the momentum, from the second step on.
    pub dampening: f64,
    /// Nesterov's form; dampening must be 0 then.
    pub nesterov: bool,
    /// Factor of the weights added to the gradient.
    pub weight_decay: f64,
    /// How the momentum is held.
    pub states: States,
}

impl Default for Sgd8bitConfig {
    fn default() -> Self {
        Self {
            momentum: 0.9,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            states: States::default(),
        }
    }
}

impl Sgd8bitConfig {
    setters! {
        with_momentum(momentum: f64),
        with_dampening(dampening: f64),
        with_nesterov(nesterov: bool),
        with_weight_decay(weight_decay: f64),
        with_states(states: States),
    }

    /// The defaults of recipes: Nesterov's form and a weight decay of 1e-4.
    pub fn recipe() -> Self {
        Self { nesterov: true, weight_decay: 1e-4, ..Self::default() }
    }

    /// The bare optimizer.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn build(&self) -> Result<Sgd8bit> {
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

/// SGD with momentum: `g += weight_decay * p; m = momentum * m + (1 - dampening) * g` (in the first
/// step `m = g`); `p -= rate * m`, or `p -= rate * (g + momentum * m)` in Nesterov's form. As
/// PyTorch's, but between steps m is in 8 bits. The step itself uses m before it is quantized.
pub type Sgd8bit = EightBit<Sgd8bitConfig>;

impl Rule for Sgd8bitConfig {
    const NAME: &'static str = "Sgd8bit";
    const RECORD: u64 = 1;
    const MOMENTS: usize = 1;

    fn check(&self) -> Result<()> {
        let Self { momentum, dampening, nesterov, weight_decay, states } = self;
        within(
            "momentum",
            *momentum,
            *momentum > 0.0 && *momentum < 1.0,
            "above 0 and below 1 (with 0 there is no state)",
        )?;
        within("dampening", *dampening, (0.0..=1.0).contains(dampening), "0 to 1")?;
        decays(*weight_decay)?;
        if *nesterov && *dampening != 0.0 {
            return Err(bad(format!("nesterov with dampening = {dampening}: must be 0")));
        }
        states.check()
    }

    fn states(&self) -> &States {
        &self.states
    }

    fn codecs(&self) -> Vec<Codec> {
        let States { block_size, rounding, .. } = self.states;
        vec![Codec { map: CodeMap::Signed, rounding: rounding.signed(), block: block_size }]
    }

    fn at(&self, rate: f64, t: u64) -> Step {
        let step = SgdStep {
            rate: rate as f32,
            momentum: self.momentum as f32,
            fresh: if t == 1 { 1.0 } else { (1.0 - self.dampening) as f32 },
            weight_decay: self.weight_decay as f32,
            nesterov: self.nesterov,
        };
        step.into()
    }
}
