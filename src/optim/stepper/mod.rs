//! The optimizer of a whole module, as training uses it.

mod kind;
#[cfg(feature = "train")]
mod one;
mod record;
#[cfg(feature = "train")]
mod release;
mod together;
#[cfg(feature = "train")]
mod values;
mod walk;

pub(super) use self::kind::Burns;
#[cfg(feature = "train")]
pub(crate) use self::release::{Checks, Left};
#[cfg(feature = "train")]
pub(crate) use self::values::with_values;

use std::collections::HashMap;
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::{Bytes, Device, Tensor};

use self::kind::{Kind, Ours};
use self::together::Together;
use super::record::bad;
#[cfg(feature = "train")]
use super::record::{load, only};
use super::{EightBit, Gate, Rule};
use crate::backend::is_gpu;
use crate::error::Result;

/// The optimizer of a whole module.
///
/// On CPUs it is Burn's [`ModuleOptimizer`] and steps one tensor after the other. On GPUs, where
/// most tensors are too small to be worth a launch of their own, it steps many tensors in one
/// launch. Its steps go through a [`Gate`], so a device can decide about a step without anybody
/// waiting for it.
///
/// It does not check gradients: that is the gate's part. It has no gradient clipping, and of
/// parameter groups only factors of the learning rate ([`Stepper::with_factors`]).
///
/// Records are the same for all backends, and those of the [`ModuleOptimizer`].
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use revox::optim::{AdamW8bitConfig, Gate};
///
/// let device = Device::default().autodiff();
/// let mut model = LinearConfig::new(128, 128).init(&device);
/// let mut optimizer = AdamW8bitConfig::new().stepper().unwrap();
/// let loss = model.forward(Tensor::<2>::ones([1, 128], &device)).sum();
/// let gradients = GradientsParams::from_grads(loss.backward(), &model);
/// model = optimizer.step(1e-3, model, gradients, Gate::Open(1.0));
/// ```
#[derive(Clone)]
pub struct Stepper {
    kind: Arc<dyn Kind>,
    form: Form,
    /// Factors of the learning rate. Parameters that are not here have 1.
    factors: Arc<HashMap<ParamId, f64>>,
}

/// Where the states are.
#[derive(Clone)]
enum Form {
    /// There are none yet.
    New,
    /// In Burn's optimizer.
    TensorByTensor(ModuleOptimizer),
    /// On one GPU.
    Together(Together),
}

impl<R: Rule> From<EightBit<R>> for Stepper {
    fn from(optimizer: EightBit<R>) -> Self {
        Self::new(Ours(optimizer.with_gradient_check(false)))
    }
}

impl Stepper {
    pub(super) fn new(kind: impl Kind) -> Self {
        Self { kind: Arc::new(kind), form: Form::New, factors: Arc::default() }
    }

    /// The same with the states of Burn's optimizer.
    #[cfg(feature = "train")]
    pub(super) fn with_states(self, optimizer: ModuleOptimizer) -> Self {
        Self { form: Form::TensorByTensor(optimizer), ..self }
    }

    /// The same with the states of those parameters alone whose ids are kept.
    ///
    /// # Errors
    /// States that have no form in bytes.
    #[cfg(feature = "train")]
    pub(crate) fn keeping(self, keeps: &dyn Fn(u64) -> bool) -> Result<Self> {
        let form = match self.form {
            Form::New => Form::New,
            Form::TensorByTensor(optimizer) => {
                let record = only(optimizer.into_bytes().map_err(bad)?, keeps)?;
                Form::TensorByTensor(load(self.kind.tensor_by_tensor(), record)?)
            }
            Form::Together(mut states) => {
                states.slots.retain(|id, _| keeps(*id));
                Form::Together(states)
            }
        };
        Ok(Self { form, ..self })
    }

    /// The same with factors of the learning rate of some parameters. With 0 a parameter stays as
    /// it is, while its moments move.
    #[must_use]
    pub fn with_factors(self, factors: HashMap<ParamId, f64>) -> Self {
        Self { factors: Arc::new(factors), ..self }
    }

    /// Makes one step of all parameters that have gradients. A closed gate leaves parameters and
    /// states as they are, to the bit.
    ///
    /// # Panics
    /// If the states are those of another module.
    pub fn step<M: Module>(
        &mut self,
        rate: f64,
        module: M,
        gradients: GradientsParams,
        gate: Gate,
    ) -> M {
        match only_gpu(&module) {
            Some(device) => self.together(&device, rate, module, gradients, &gate),
            None => self.tensor_by_tensor(rate, module, gradients, &gate),
        }
    }

    fn together<M: Module>(
        &mut self,
        device: &Device,
        rate: f64,
        module: M,
        gradients: GradientsParams,
        gate: &Gate,
    ) -> M {
        let mut states = match std::mem::replace(&mut self.form, Form::New) {
            Form::New => Together::new(device.clone()),
            Form::TensorByTensor(optimizer) => {
                let record = optimizer.into_bytes().expect("states have a form in bytes");
                Together::read(&*self.kind, record, device).unwrap_or_else(|e| panic!("{e}"))
            }
            Form::Together(states) => states.on(device),
        };
        let rates = |id: &ParamId| rate * self.factors.get(id).copied().unwrap_or(1.0);
        let module = states.step(&*self.kind, &rates, module, gradients, gate);
        self.form = Form::Together(states);
        module
    }

    fn tensor_by_tensor<M: Module>(
        &mut self,
        rate: f64,
        module: M,
        gradients: GradientsParams,
        gate: &Gate,
    ) -> M {
        let gradients = match gate.factor() {
            0.0 => return module,
            1.0 => gradients,
            factor => multiplied(&module, gradients, factor),
        };
        let mut optimizer = match std::mem::replace(&mut self.form, Form::New) {
            Form::New => self.kind.tensor_by_tensor(),
            Form::TensorByTensor(optimizer) => optimizer,
            Form::Together(states) => {
                let record = states.record(&*self.kind).expect("states have a form in bytes");
                let optimizer = self.kind.tensor_by_tensor().from_bytes(record);
                optimizer.expect("a record of our own")
            }
        };
        let module = match self.factors.is_empty() {
            true => optimizer.step(rate, module, gradients),
            false => {
                let groups = grouped(&module, gradients, &self.factors);
                groups.into_iter().fold(module, |module, (factor, gradients)| {
                    optimizer.step(rate * factor, module, gradients)
                })
            }
        };
        self.form = Form::TensorByTensor(optimizer);
        module
    }

    /// Counts the latest step as not made. The host calls it when it has learned that the gate on
    /// the device was closed: numbers that depend on the count of steps then go on as if the step
    /// had not been. If the host knew that the gate was closed, the step was not counted, and this
    /// does nothing.
    pub fn take_back(&mut self) {
        match &mut self.form {
            Form::Together(states) => states.take_back(),
            // Whoever steps tensor by tensor has waited for the gate.
            Form::New | Form::TensorByTensor(_) => {}
        }
    }

    /// [`Self::take_back`] of the latest step of one parameter.
    #[cfg(feature = "train")]
    fn take_back_of(&mut self, id: ParamId) {
        if let Form::Together(states) = &mut self.form {
            states.take_back_of(id);
        }
    }

    /// The states as a record, in the form of a [`ModuleOptimizer`]'s. This waits for the device.
    ///
    /// # Errors
    /// States that have no form in bytes.
    pub fn into_bytes(&self) -> Result<Bytes> {
        match &self.form {
            Form::New => self.kind.tensor_by_tensor().into_bytes().map_err(bad),
            Form::TensorByTensor(optimizer) => optimizer.into_bytes().map_err(bad),
            Form::Together(states) => states.record(&*self.kind),
        }
    }
}

/// The device of a module that is on one GPU, without autodiff.
fn only_gpu<M: Module>(module: &M) -> Option<Device> {
    let mut devices = module.devices();
    if devices.len() != 1 {
        return None;
    }
    devices.pop().filter(is_gpu).map(Device::inner)
}

/// The gradients of a module by the factors of their parameters' learning rates.
fn grouped<M: Module>(
    module: &M,
    gradients: GradientsParams,
    factors: &HashMap<ParamId, f64>,
) -> Vec<(f64, GradientsParams)> {
    struct Divide<'a> {
        gradients: GradientsParams,
        factors: &'a HashMap<ParamId, f64>,
        groups: Vec<(f64, GradientsParams)>,
    }

    impl ModuleVisitor for Divide<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
            let factor = self.factors.get(&param.id).copied().unwrap_or(1.0);
            let place = self.groups.iter().position(|(other, _)| *other == factor);
            let place = place.unwrap_or_else(|| {
                self.groups.push((factor, GradientsParams::new()));
                self.groups.len() - 1
            });
            self.groups[place].1.register(param.id, gradient);
        }
    }

    let mut divide = Divide { gradients, factors, groups: Vec::new() };
    module.visit(&mut divide);
    divide.groups
}

/// All gradients of a module times a factor.
fn multiplied<M: Module>(module: &M, gradients: GradientsParams, factor: f32) -> GradientsParams {
    struct Multiply(GradientsParams, f32);

    impl ModuleVisitor for Multiply {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, gradient * self.1);
            }
        }
    }

    let mut multiply = Multiply(gradients, factor);
    module.visit(&mut multiply);
    multiply.0
}

#[cfg(all(test, feature = "train"))]
mod tests;
