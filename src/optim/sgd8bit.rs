//! SGD with its momentum in 8 bits.

use burn::tensor::{DType, Tensor};

use super::eight_bit::{EightBit, Rule};
use super::state::{Kind, Moment};
use super::states::{States, within};
use crate::backend::optim8::{self, CodeMap, Codec, SgdStep};
use crate::error::{Error, Result};

/// Settings of [`Sgd8bit`].
#[derive(Debug, Clone, PartialEq)]
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
    /// The optimizer. Settings out of range are errors.
    pub fn init(&self) -> Result<Sgd8bit> {
        let Self { momentum, dampening, nesterov, weight_decay, states } = self;
        within(
            "momentum",
            *momentum,
            *momentum > 0.0 && *momentum < 1.0,
            "above 0 and below 1 (with 0 there is no state)",
        )?;
        within("dampening", *dampening, (0.0..=1.0).contains(dampening), "0 to 1")?;
        within(
            "weight_decay",
            *weight_decay,
            *weight_decay >= 0.0 && weight_decay.is_finite(),
            "0 or more",
        )?;
        if *nesterov && *dampening != 0.0 {
            return Err(Error::Invalid(format!(
                "optimizer: nesterov with dampening = {dampening}: must be 0"
            )));
        }
        states.check()?;
        Ok(EightBit::new(self.clone()))
    }
}

/// SGD with momentum: `g += weight_decay * p; m = momentum * m + (1 - dampening) * g` (in the first
/// step `m = g`); `p -= rate * m`, or `p -= rate * (g + momentum * m)` in Nesterov's form. As
/// PyTorch's, but between steps m is in 8 bits. The step itself uses m before it is quantized.
pub type Sgd8bit = EightBit<Sgd8bitConfig>;

impl Sgd8bitConfig {
    fn codec(&self) -> Codec {
        Codec {
            map: CodeMap::Signed,
            rounding: self.states.rounding.signed(),
            block: self.states.block_size,
        }
    }
}

impl Rule for Sgd8bitConfig {
    const KIND: Kind = Kind::Sgd;

    fn states(&self) -> &States {
        &self.states
    }

    fn codecs(&self) -> Vec<Codec> {
        vec![self.codec()]
    }

    fn step<const D: usize>(
        &self,
        rate: f64,
        t: u64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        mut moments: Vec<Moment>,
    ) -> (Tensor<D>, Vec<Moment>) {
        let step = SgdStep {
            rate: rate as f32,
            momentum: self.momentum as f32,
            fresh: if t == 1 { 1.0 } else { (1.0 - self.dampening) as f32 },
            weight_decay: self.weight_decay as f32,
            nesterov: self.nesterov,
        };
        match moments.pop().expect("SGD has one moment") {
            Moment::Values(momentum) => {
                let (parameter, momentum) = plain(parameter, gradient, *momentum, step);
                (parameter, vec![Moment::Values(Box::new(momentum))])
            }
            Moment::Blocks(momentum) => {
                let (parameter, momentum) =
                    optim8::sgd_step(parameter, gradient, *momentum, self.codec(), step);
                (parameter, vec![Moment::Blocks(Box::new(momentum))])
            }
        }
    }
}

/// The same in 32 bits.
fn plain<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    momentum: Tensor<1>,
    step: SgdStep,
) -> (Tensor<D>, Tensor<1>) {
    let (shape, dtype, count) =
        (parameter.shape(), parameter.dtype(), parameter.shape().num_elements());
    let mut gradient = gradient.reshape([count]).cast(DType::F32);
    if step.weight_decay > 0.0 {
        gradient =
            gradient + parameter.clone().reshape([count]).cast(DType::F32) * step.weight_decay;
    }
    let momentum = momentum * step.momentum + gradient.clone() * step.fresh;
    let direction =
        if step.nesterov { gradient + momentum.clone() * step.momentum } else { momentum.clone() };
    (parameter - (direction * step.rate).cast(dtype).reshape(shape), momentum)
}
