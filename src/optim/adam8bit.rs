//! Adam and AdamW with both moments in 8 bits.

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::OptimizerState;
use super::record::Recorded;
use super::state::{Contents, Kind, Moment};
use super::states::{States, Watch, within};
use crate::backend::optim8::{self, AdamStates, AdamStep, Rounding};
use crate::error::Result;

/// What weight decay acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// The gradient: Adam.
    Coupled,
    /// The weights, before the step: AdamW.
    Decoupled,
}

/// Settings of [`Adam8bit`].
#[derive(Debug, Clone, PartialEq)]
pub struct Adam8bitConfig {
    /// Decay of the first moment, 0 or more and below 1.
    pub beta1: f64,
    /// Decay of the second moment, 0 or more and below 1.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// What it acts on.
    pub decay: Decay,
    /// A second moment that is not 0 is never stored as 0 but at least as the smallest code, 3.25e-7 of its block's largest. Rounded to the nearest code, one
    /// below half of that would vanish while the first moment, with its finer scale, remains: the step would be that moment divided by epsilon alone,
    /// several hundred times too large. Moments of every other size, and exact zeros, are stored as without the guard.
    pub guard: bool,
    /// How the moments are held.
    pub states: States,
}

impl Default for Adam8bitConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            decay: Decay::Decoupled,
            guard: true,
            states: States::default(),
        }
    }
}

impl Adam8bitConfig {
    /// The optimizer. Settings out of range are errors.
    pub fn init(&self) -> Result<Adam8bit> {
        let Self { beta1, beta2, epsilon, weight_decay, states, .. } = self;
        within("beta1", *beta1, (0.0..1.0).contains(beta1), "0 or more and below 1")?;
        within("beta2", *beta2, (0.0..1.0).contains(beta2), "0 or more and below 1")?;
        within("epsilon", *epsilon, *epsilon > 0.0 && epsilon.is_finite(), "above 0")?;
        within("weight_decay", *weight_decay, *weight_decay >= 0.0 && weight_decay.is_finite(), "0 or more")?;
        states.check()?;
        Ok(Adam8bit { config: self.clone(), watch: Watch::default() })
    }
}

/// Adam: `m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g^2; p -= rate * c2 / c1 * m / (sqrt(v) + c2 * epsilon)` with
/// `c1 = 1 - beta1^t, c2 = sqrt(1 - beta2^t)`. As PyTorch's, but between steps m and v are in 8 bits. The step itself uses them before they are quantized.
#[derive(Debug, Clone)]
pub struct Adam8bit {
    config: Adam8bitConfig,
    watch: Watch,
}

impl Adam8bit {
    /// Whether gradients are looked at before they are used (they are, if not said otherwise): one with a value that is not finite leaves parameter and state
    /// as they are. A caller who has looked at all of them already saves the time.
    pub fn with_gradient_check(mut self, on: bool) -> Self {
        self.watch.set(on);
        self
    }

    /// Gradients that were not used. Clones count together.
    pub fn skipped(&self) -> u64 {
        self.watch.skipped()
    }

    fn states(&self) -> AdamStates {
        let Adam8bitConfig { guard, states, .. } = &self.config;
        let second = if *guard { Rounding::AboveZero } else { Rounding::Nearest };
        AdamStates { block: states.block_size, rounding: [states.rounding.signed(), second] }
    }

    /// What step number `t`, from 1, does.
    fn at(&self, rate: f64, t: u64) -> AdamStep {
        let Adam8bitConfig { beta1, beta2, epsilon, weight_decay, decay, .. } = self.config;
        let t = t.min(i32::MAX as u64) as i32; // the powers have long been 0 by then
        let (c1, c2) = (1.0 - beta1.powi(t), (1.0 - beta2.powi(t)).sqrt());
        let (coupled, shrink) = match decay {
            Decay::Coupled => (weight_decay, 1.0),
            Decay::Decoupled => (0.0, 1.0 - rate * weight_decay),
        };
        AdamStep {
            rate: (rate * c2 / c1) as f32,
            first: [beta1 as f32, (1.0 - beta1) as f32],
            second: [beta2 as f32, (1.0 - beta2) as f32],
            epsilon: (c2 * epsilon) as f32,
            coupled: coupled as f32,
            shrink: shrink as f32,
        }
    }
}

impl Optimizer for Adam8bit {
    type State<const D: usize> = OptimizerState;

    /// # Panics
    /// If the state was loaded from a record of another optimizer, block size or parameter.
    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<OptimizerState>,
    ) -> (Tensor<D>, Option<OptimizerState>) {
        let count = parameter.shape().num_elements();
        if count == 0 || !self.watch.passes(&gradient) {
            return (parameter, state);
        }
        let (config, states) = (&self.config, self.states());
        let mut contents = match state {
            Some(state) => state.expect(Kind::Adam, &config.states, count),
            None => Contents::new(Kind::Adam, &config.states, &states.codecs(), count, &parameter.device()),
        };
        contents.steps += 1;
        let step = self.at(rate, contents.steps);
        let moments = <[Moment; 2]>::try_from(contents.moments).expect("Adam has two moments");
        let (parameter, moments) = match moments {
            [Moment::Blocks(first), Moment::Blocks(second)] => {
                let (parameter, moments) = optim8::adam_step(parameter, gradient, [*first, *second], states, step);
                (parameter, moments.map(|blocks| Moment::Blocks(Box::new(blocks))))
            }
            [Moment::Values(first), Moment::Values(second)] => {
                let (parameter, moments) = plain(parameter, gradient, [first, second], step);
                (parameter, moments.map(Moment::Values))
            }
            _ => unreachable!("both moments have the parameter's size"),
        };
        contents.moments = moments.into();
        (parameter, Some(OptimizerState::new(contents)))
    }

    fn to_device<const D: usize>(state: OptimizerState, device: &Device) -> OptimizerState {
        state.to_device(device)
    }
}

/// The same in 32 bits.
fn plain<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    [first, second]: [Tensor<1>; 2],
    step: AdamStep,
) -> (Tensor<D>, [Tensor<1>; 2]) {
    let (shape, dtype, count) = (parameter.shape(), parameter.dtype(), parameter.shape().num_elements());
    let mut gradient = gradient.reshape([count]).cast(DType::F32);
    if step.coupled > 0.0 {
        gradient = gradient + parameter.clone().reshape([count]).cast(DType::F32) * step.coupled;
    }
    let first = first * step.first[0] + gradient.clone() * step.first[1];
    let second = second * step.second[0] + gradient.clone() * gradient * step.second[1];
    let update = first.clone() / (second.clone().sqrt() + step.epsilon) * step.rate;
    (parameter * step.shrink - update.cast(dtype).reshape(shape), [first, second])
}

impl Recorded for Adam8bit {
    fn number(&self) -> u64 {
        Kind::Adam as u64
    }

    fn held(&self) -> &States {
        &self.config.states
    }
}
