//! SGD with its momentum in 8 bits.

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{DType, Device, Tensor};

use super::OptimizerState;
use super::record::Recorded;
use super::state::{Contents, Kind, Moment};
use super::states::{States, Watch, within};
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
        Self { momentum: 0.9, dampening: 0.0, nesterov: false, weight_decay: 0.0, states: States::default() }
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
        within("weight_decay", *weight_decay, *weight_decay >= 0.0 && weight_decay.is_finite(), "0 or more")?;
        if *nesterov && *dampening != 0.0 {
            return Err(Error::Invalid(format!("optimizer: nesterov with dampening = {dampening}: must be 0")));
        }
        states.check()?;
        Ok(Sgd8bit { config: self.clone(), watch: Watch::default() })
    }
}

/// SGD with momentum: `g += weight_decay * p; m = momentum * m + (1 - dampening) * g` (in the first step `m = g`); `p -= rate * m`, or
/// `p -= rate * (g + momentum * m)` in Nesterov's form. As PyTorch's, but between steps m is in 8 bits. The step itself uses m before it is quantized.
#[derive(Debug, Clone)]
pub struct Sgd8bit {
    config: Sgd8bitConfig,
    watch: Watch,
}

impl Sgd8bit {
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

    fn codec(&self) -> Codec {
        let states = &self.config.states;
        Codec { map: CodeMap::Signed, rounding: states.rounding.signed(), block: states.block_size }
    }
}

impl Optimizer for Sgd8bit {
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
        let (config, codec) = (&self.config, self.codec());
        let mut contents = match state {
            Some(state) => state.expect(Kind::Sgd, &config.states, count),
            None => Contents::new(Kind::Sgd, &config.states, &[codec], count, &parameter.device()),
        };
        let step = SgdStep {
            rate: rate as f32,
            momentum: config.momentum as f32,
            fresh: if contents.steps == 0 { 1.0 } else { (1.0 - config.dampening) as f32 },
            weight_decay: config.weight_decay as f32,
            nesterov: config.nesterov,
        };
        contents.steps += 1;
        let (parameter, momentum) = match contents.moments.pop().expect("SGD has one moment") {
            Moment::Values(momentum) => {
                let (parameter, momentum) = plain(parameter, gradient, momentum, step);
                (parameter, Moment::Values(momentum))
            }
            Moment::Blocks(momentum) => {
                let (parameter, momentum) = optim8::sgd_step(parameter, gradient, *momentum, codec, step);
                (parameter, Moment::Blocks(Box::new(momentum)))
            }
        };
        contents.moments.push(momentum);
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
    momentum: Tensor<1>,
    step: SgdStep,
) -> (Tensor<D>, Tensor<1>) {
    let (shape, dtype, count) = (parameter.shape(), parameter.dtype(), parameter.shape().num_elements());
    let mut gradient = gradient.reshape([count]).cast(DType::F32);
    if step.weight_decay > 0.0 {
        gradient = gradient + parameter.clone().reshape([count]).cast(DType::F32) * step.weight_decay;
    }
    let momentum = momentum * step.momentum + gradient.clone() * step.fresh;
    let direction = if step.nesterov { gradient + momentum.clone() * step.momentum } else { momentum.clone() };
    (parameter - (direction * step.rate).cast(dtype).reshape(shape), momentum)
}

impl Recorded for Sgd8bit {
    fn number(&self) -> u64 {
        Kind::Sgd as u64
    }

    fn held(&self) -> &States {
        &self.config.states
    }
}
