//! What all optimizers with 8-bit states do: check the gradient, find the state, count the step,
//! and call the rule.

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

use super::state::{Contents, Moments};
use super::states::Watch;
use super::{Gate, OptimizerState, Rule};
use crate::error::Result;

/// An optimizer with 8-bit states: [`super::Sgd8bit`], [`super::Adam8bit`], [`super::AdamW8bit`],
/// or your own [`Rule`]. A rule of your own chooses the numbers of each step; the arithmetic is
/// one that [`Step`](crate::backend::optim8::Step) has, SGD's or Adam's.
#[derive(Debug, Clone)]
pub struct EightBit<R> {
    rule: R,
    watch: Watch,
}

impl<R: Rule> EightBit<R> {
    /// The optimizer of a rule.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn new(rule: R) -> Result<Self> {
        rule.check()?;
        Ok(Self { rule, watch: Watch::default() })
    }

    /// The rule with its settings.
    pub fn rule(&self) -> &R {
        &self.rule
    }

    /// Whether each gradient is checked before it is used, as it is by default. A gradient with a
    /// value that is not finite leaves parameter and state as they are. Switch it off if you have
    /// checked the gradients yourself.
    #[must_use]
    pub fn with_gradient_check(mut self, on: bool) -> Self {
        self.watch.set(on);
        self
    }

    /// How many gradients were skipped because they were not finite. Clones share one count.
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
            Some(state) => state.expect(&self.rule, count),
            None => Contents::new(&self.rule, count, &parameter.device()),
        };
        contents.steps += 1;
        let (step, gate) = (self.rule.at(rate, contents.steps), Gate::Open(1.0));
        let (parameter, moments) = match contents.moments {
            Moments::Blocks(moments) => {
                let codecs = self.rule.codecs();
                let (parameter, moments) =
                    step.on_blocks(parameter, gradient, moments, &codecs, &gate);
                (parameter, Moments::Blocks(moments))
            }
            Moments::Values(moments) => {
                let (parameter, moments) = step.on_values(parameter, gradient, moments, &gate);
                (parameter, Moments::Values(moments))
            }
        };
        contents.moments = moments;
        (parameter, Some(OptimizerState::new(contents)))
    }

    fn to_device<const D: usize>(state: OptimizerState, device: &Device) -> OptimizerState {
        state.moved_to(device)
    }
}

#[cfg(feature = "train")]
mod training {
    use burn::tensor::Bytes;

    use super::EightBit;
    use crate::error::Result;
    use crate::optim::record::Held;
    use crate::optim::{Rule, Settings, Stepper, restore};

    impl<R: Rule> EightBit<R> {
        /// An optimizer that does not check gradients.
        fn unwatched(rule: &R) -> Result<Self> {
            Ok(Self::new(rule.clone())?.with_gradient_check(false))
        }
    }

    impl<R: Rule> Settings for R {
        fn optimizer(&self) -> Result<Stepper> {
            Ok(EightBit::unwatched(self)?.into())
        }

        fn restored(&self, record: Bytes) -> Result<Stepper> {
            let states = restore(EightBit::unwatched(self)?, record)?;
            Ok(self.optimizer()?.with_states(states))
        }

        fn held(&self) -> Held {
            Held { codecs: self.codecs(), min_size: self.states().min_size }
        }

        fn state_bytes(&self, count: usize) -> usize {
            R::MOMENTS * self.states().bytes(count)
        }

        fn makes_new_values(&self, count: usize) -> bool {
            count < self.states().min_size
        }
    }
}
