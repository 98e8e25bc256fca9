//! Adam and AdamW with both moments in 8 bits.

use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::eight_bit::{EightBit, Rule};
use super::state::{Kind, Moment};
use super::states::{States, within};
use crate::backend::optim8::{self, AdamStates, AdamStep, Codec, Rounding};
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
    /// A second moment that is not 0 is never stored as 0 but at least as the smallest code,
    /// 3.25e-7 of its block's largest. Rounded to the nearest code, one below half of that would
    /// vanish while the first moment, with its finer scale, remains: the step would be that moment
    /// divided by epsilon alone, several hundred times too large. Moments of every other size, and
    /// exact zeros, are stored as without the guard.
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
        within(
            "weight_decay",
            *weight_decay,
            *weight_decay >= 0.0 && weight_decay.is_finite(),
            "0 or more",
        )?;
        states.check()?;
        Ok(EightBit::new(self.clone()))
    }
}

/// Adam: `m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g^2; p -= rate * c2 / c1 *
/// m / (sqrt(v) + c2 * epsilon)` with `c1 = 1 - beta1^t, c2 = sqrt(1 - beta2^t)`. As PyTorch's, but
/// between steps m and v are in 8 bits. The step itself uses them before they are quantized.
pub type Adam8bit = EightBit<Adam8bitConfig>;

impl Adam8bitConfig {
    fn held(&self) -> AdamStates {
        let Self { guard, states, .. } = self;
        let second = if *guard { Rounding::AboveZero } else { Rounding::Nearest };
        AdamStates { block: states.block_size, rounding: [states.rounding.signed(), second] }
    }

    /// What step number `t`, from 1, does.
    fn at(&self, rate: f64, t: u64) -> AdamStep {
        let Self { beta1, beta2, epsilon, weight_decay, decay, .. } = *self;
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

impl Rule for Adam8bitConfig {
    const KIND: Kind = Kind::Adam;

    fn states(&self) -> &States {
        &self.states
    }

    fn codecs(&self) -> Vec<Codec> {
        self.held().codecs().into()
    }

    fn step<const D: usize>(
        &self,
        rate: f64,
        t: u64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        moments: Vec<Moment>,
    ) -> (Tensor<D>, Vec<Moment>) {
        let step = self.at(rate, t);
        match <[Moment; 2]>::try_from(moments).expect("Adam has two moments") {
            [Moment::Blocks(first), Moment::Blocks(second)] => {
                let (parameter, moments) =
                    optim8::adam_step(parameter, gradient, [*first, *second], self.held(), step);
                (parameter, moments.map(|blocks| Moment::Blocks(Box::new(blocks))).into())
            }
            [Moment::Values(first), Moment::Values(second)] => {
                let (parameter, moments) = plain(parameter, gradient, [*first, *second], step);
                (parameter, moments.map(|values| Moment::Values(Box::new(values))).into())
            }
            _ => unreachable!("both moments have the parameter's size"),
        }
    }
}

/// The same in 32 bits.
fn plain<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    [first, second]: [Tensor<1>; 2],
    step: AdamStep,
) -> (Tensor<D>, [Tensor<1>; 2]) {
    let (shape, dtype, count) =
        (parameter.shape(), parameter.dtype(), parameter.shape().num_elements());
    let mut gradient = gradient.reshape([count]).cast(DType::F32);
    if step.coupled > 0.0 {
        gradient = gradient + parameter.clone().reshape([count]).cast(DType::F32) * step.coupled;
    }
    let first = first * step.first[0] + gradient.clone() * step.first[1];
    let second = second * step.second[0] + gradient.clone() * gradient * step.second[1];
    let update = first.clone() / (second.clone().sqrt() + step.epsilon) * step.rate;
    (parameter * step.shrink - update.cast(dtype).reshape(shape), [first, second])
}
