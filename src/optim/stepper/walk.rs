//! Two walks through a module: one takes the parameters out, one puts the new ones back.

use std::collections::HashMap;

use burn::backend::Dispatch;
use burn::backend::tensor::FloatTensor;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{GradientCheckpointingStrategy, Tensor};

/// A parameter on its way through a step.
pub struct Taken {
    pub id: ParamId,
    /// The names of the modules around it.
    pub path: String,
    pub shape: Vec<usize>,
    pub tape: Tape,
    pub parameter: FloatTensor<Dispatch>,
    pub gradient: FloatTensor<Dispatch>,
}

/// How a parameter takes part in automatic differentiation.
#[derive(Debug, Clone, Copy)]
pub struct Tape {
    /// Without it the parameter has nothing to do with differentiation.
    strategy: Option<GradientCheckpointingStrategy>,
    requires_gradient: bool,
}

impl Tape {
    pub fn of<const D: usize>(x: &Tensor<D>) -> Self {
        Self {
            strategy: x.gradient_checkpointing_strategy(),
            requires_gradient: x.is_require_grad(),
        }
    }

    pub fn restored<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        let Some(strategy) = self.strategy else { return x };
        let x = Tensor::from_inner(x).with_gradient_checkpointing_strategy(strategy);
        if self.requires_gradient { x.require_grad() } else { x }
    }
}

/// Takes out every parameter that has a gradient. What the module holds in its place means nothing
/// until [`put`]. So nobody but the step holds the parameter's memory, and the step can overwrite
/// it.
pub fn take<M: Module>(module: M, gradients: GradientsParams) -> (M, Vec<Taken>) {
    let mut take = Take { gradients, path: Vec::new(), taken: Vec::new() };
    let module = module.map(&mut take);
    (module, take.taken)
}

struct Take {
    gradients: GradientsParams,
    path: Vec<String>,
    taken: Vec<Taken>,
}

impl ModuleMapper for Take {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let (id, parameter, mapper) = param.consume();
        let tape = Tape::of(&parameter);
        let (parameter, gradient) = (parameter.inner(), gradient.inner());
        let device = parameter.device();
        let gradient = match gradient.device() == device {
            true => gradient,
            false => gradient.to_device(&device),
        };
        self.taken.push(Taken {
            id,
            path: self.path.join("."),
            shape: parameter.dims().to_vec(),
            tape,
            parameter: parameter.into_dispatch(),
            gradient: gradient.clone().into_dispatch(),
        });
        // Some tensor of the same rank.
        Param::from_mapped_value(id, gradient, mapper)
    }
}

/// Puts parameters where they were taken out.
pub fn put<M: Module>(module: M, stepped: HashMap<ParamId, (FloatTensor<Dispatch>, Tape)>) -> M {
    module.map(&mut Put(stepped))
}

struct Put(HashMap<ParamId, (FloatTensor<Dispatch>, Tape)>);

impl ModuleMapper for Put {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((parameter, tape)) = self.0.remove(&param.id) else { return param };
        let (id, _, mapper) = param.consume();
        Param::from_mapped_value(id, tape.restored(Tensor::from_dispatch(parameter)), mapper)
    }
}
