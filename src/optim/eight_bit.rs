//! What both optimizers do alike: look at the gradient, find the state, count steps, hand over to
//! the rule.

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

use super::OptimizerState;
use super::state::{Contents, Kind, Moment};
use super::states::{States, Watch};
use crate::backend::optim8::Codec;

/// Which moments an optimizer has and what a step does with them.
pub trait Rule: Clone + Send + Sync + 'static {
    /// How records name it.
    const KIND: Kind;

    /// How the moments are held.
    fn states(&self) -> &States;

    /// Of each moment.
    fn codecs(&self) -> Vec<Codec>;

    /// Step number `t`, from 1: new parameter and moments.
    fn step<const D: usize>(
        &self,
        rate: f64,
        t: u64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        moments: Vec<Moment>,
    ) -> (Tensor<D>, Vec<Moment>);
}

/// An optimizer with 8-bit states: [`super::Sgd8bit`] or [`super::Adam8bit`], made by their
/// configurations.
#[derive(Debug, Clone)]
pub struct EightBit<R> {
    pub(super) rule: R,
    watch: Watch,
}

impl<R: Rule> EightBit<R> {
    pub(super) fn new(rule: R) -> Self {
        Self { rule, watch: Watch::default() }
    }

    /// Whether gradients are looked at before they are used (they are, if not said otherwise): one
    /// with a value that is not finite leaves parameter and state as they are. A caller who has
    /// looked at all of them already saves the time.
    pub fn with_gradient_check(mut self, on: bool) -> Self {
        self.watch.set(on);
        self
    }

    /// Gradients that were not used. Clones count together.
    pub fn skipped(&self) -> u64 {
        self.watch.skipped()
    }
}

impl<R: Rule> Optimizer for EightBit<R> {
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
        let mut contents = match state {
            Some(state) => state.expect(R::KIND, self.rule.states(), count),
            None => Contents::new(
                R::KIND,
                self.rule.states(),
                &self.rule.codecs(),
                count,
                &parameter.device(),
            ),
        };
        contents.steps += 1;
        let (parameter, moments) =
            self.rule.step(rate, contents.steps, parameter, gradient, contents.moments);
        contents.moments = moments;
        (parameter, Some(OptimizerState::new(contents)))
    }

    fn to_device<const D: usize>(state: OptimizerState, device: &Device) -> OptimizerState {
        state.moved_to(device)
    }
}
