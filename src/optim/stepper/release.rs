//! Steps during the backward pass: each parameter's as soon as its gradient is complete, after
//! which the gradient is freed.
//!
//! All parameters leave their module before the pass begins, so that each step finds its parameter
//! in nobody else's hands and changes it in place. Reversible bodies borrow their parameters, and
//! deliver gradients as the pass leaves their functions ([`Sink`]). The gradients of all others are
//! on the tape until it ends, and are then taken from it one by one.
//!
//! The steps are those of [`Stepper::step`], to the bit. Only the check differs: a gradient with a
//! value that is not finite leaves its own parameter and state as they are, and no other.

use std::collections::HashMap;

use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};

use super::one::One;
use super::walk::{self, Tape};
use super::{Form, Gate, Stepper};
use crate::backend::reversible::Sink;
use crate::backend::{is_gpu, optim8};

/// What a step left as it was, because gradients were not finite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Parameters.
    pub parameters: usize,
    /// Values of their gradients that are infinite or NaN.
    pub values: u64,
}

/// The parameters of a module during a backward pass.
pub(crate) struct Release {
    stepper: Stepper,
    rate: f64,
    places: HashMap<ParamId, usize>,
    held: Vec<Box<dyn Held>>,
    checks: Checks,
}

/// Counts of values that are not finite.
#[derive(Default)]
pub(crate) struct Checks {
    /// Above 0, and known to the host.
    known: Vec<u64>,
    /// `[1]` each, on a device that has decided by them.
    queued: Vec<(ParamId, Tensor<1>)>,
}

/// A parameter of any rank that is out of its module.
trait Held {
    /// See [`Sink::lend`].
    fn lend(&mut self) -> Option<DispatchTensor>;

    /// Whether it was lent.
    fn is_lent(&self) -> bool;

    /// Takes the gradient from the tape, if that has it.
    fn pick(&mut self, gradients: &mut Gradients) -> Option<DispatchTensor>;

    /// Makes the step.
    fn step(
        &mut self,
        stepper: &mut Stepper,
        rate: f64,
        gradient: DispatchTensor,
        checks: &mut Checks,
    );

    /// Its id, its value without a tape, and the tape that it belongs on.
    fn back(self: Box<Self>) -> (ParamId, DispatchTensor, Tape);
}

/// A parameter of `D` axes.
struct Single<const D: usize> {
    id: ParamId,
    path: String,
    tape: Tape,
    place: Place,
    /// None within a step only.
    value: Option<Tensor<D>>,
}

/// Where the value of a parameter is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A leaf of the tape of this pass.
    Leaf,
    /// Off the tape, and in the hands of a reversible body.
    Lent,
    /// Off the tape, which has had its gradient.
    Off,
}

impl<const D: usize> Single<D> {
    /// Takes the value out, off the tape.
    fn take(&mut self) -> Tensor<D> {
        self.value.take().expect("whoever takes it puts it back").inner()
    }

    /// Takes the value off the tape.
    fn move_to(&mut self, place: Place) {
        let value = self.take();
        (self.place, self.value) = (place, Some(value));
    }
}

impl<const D: usize> Held for Single<D> {
    fn lend(&mut self) -> Option<DispatchTensor> {
        if self.place != Place::Leaf {
            return None;
        }
        self.move_to(Place::Lent);
        self.value.clone().map(Tensor::into_dispatch)
    }

    fn is_lent(&self) -> bool {
        self.place == Place::Lent
    }

    fn pick(&mut self, gradients: &mut Gradients) -> Option<DispatchTensor> {
        if self.place != Place::Leaf {
            return None;
        }
        let gradient = self.value.as_ref()?.grad_remove(gradients)?;
        self.move_to(Place::Off);
        Some(gradient.into_dispatch())
    }

    fn step(
        &mut self,
        stepper: &mut Stepper,
        rate: f64,
        gradient: DispatchTensor,
        checks: &mut Checks,
    ) {
        let gradient = Tensor::<D>::from_dispatch(gradient);
        let Some(gate) = checks.gate(self.id, gradient.clone()) else { return };
        let mut gradients = GradientsParams::new();
        gradients.register(self.id, gradient);
        // Burn's optimizers ask the tape about a parameter.
        let parameter = Param::initialized(self.id, self.tape.restored(self.take()));
        let one = One { path: std::mem::take(&mut self.path), parameter };
        let One { path, parameter } = stepper.step(rate, one, gradients, gate);
        (self.path, self.value) = (path, Some(parameter.into_value().inner()));
    }

    fn back(mut self: Box<Self>) -> (ParamId, DispatchTensor, Tape) {
        let value = self.take();
        (self.id, value.into_dispatch(), self.tape)
    }
}

impl Checks {
    /// Whether a gradient is used: a gate, or none if it is not. GPUs decide by themselves, so that
    /// nobody waits for them.
    fn gate<const D: usize>(&mut self, id: ParamId, gradient: Tensor<D>) -> Option<Gate> {
        if is_gpu(&gradient.device()) {
            let count = gradient.shape().num_elements();
            let (gate, bad) = optim8::gate(vec![gradient.reshape([count])], None, 1.0);
            self.queued.push((id, bad));
            return Some(Gate::Device(gate));
        }
        match optim8::not_finite(gradient).into_scalar::<f32>() {
            0.0 => Some(Gate::Open(1.0)),
            bad => {
                self.known.push(bad as u64);
                None
            }
        }
    }

    /// What was left as it was. It waits for the device. Steps that a GPU left out count as not
    /// made from here on.
    pub fn read(self, stepper: &mut Stepper) -> Left {
        let Self { known: mut counts, queued } = self;
        let (ids, queued): (Vec<_>, Vec<_>) = queued.into_iter().unzip();
        if !queued.is_empty() {
            let read = Tensor::cat(queued, 0).into_data();
            for (id, bad) in ids.into_iter().zip(read.iter::<f32>()) {
                if bad > 0.0 {
                    stepper.take_back_of(id);
                    counts.push(bad as u64);
                }
            }
        }
        Left { parameters: counts.len(), values: counts.iter().sum() }
    }
}

impl Stepper {
    /// Takes the parameters that are trained out of a module, and the states out of this stepper,
    /// for the time of a backward pass. The module is no use until [`Release::finish`].
    pub(crate) fn release<M: Module>(&mut self, rate: f64, module: M) -> (M, Release) {
        let mut take =
            Take { path: Vec::new(), places: HashMap::new(), held: Vec::new(), one: None };
        let module = module.map(&mut take);
        let form = std::mem::replace(&mut self.form, Form::New);
        let stepper = Self { kind: self.kind.clone(), form, factors: self.factors.clone() };
        let Take { places, held, .. } = take;
        (module, Release { stepper, rate, places, held, checks: Checks::default() })
    }
}

impl Release {
    /// Makes the steps of all parameters whose gradients the tape has, one after the other. What
    /// else is among the gradients is dropped.
    pub fn collect(&mut self, mut gradients: Gradients) {
        let Self { stepper, rate, held, checks, .. } = self;
        for held in held {
            if let Some(gradient) = held.pick(&mut gradients) {
                held.step(stepper, *rate, gradient, checks);
            }
        }
    }

    /// Puts the parameters back into their module, and the states into their stepper. What was left
    /// as it was can be read off the counts.
    pub fn finish<M: Module>(self, stepper: &mut Stepper, module: M) -> (M, Checks) {
        stepper.form = self.stepper.form;
        let back = self.held.into_iter().map(|held| {
            let (id, value, tape) = held.back();
            (id, (value, tape))
        });
        (walk::put(module, back.collect()), self.checks)
    }
}

impl Sink for Release {
    fn lend(&mut self, id: ParamId) -> Option<DispatchTensor> {
        let place = *self.places.get(&id)?;
        self.held[place].lend()
    }

    fn deliver(&mut self, id: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor> {
        let Self { stepper, rate, places, held, checks } = self;
        let held = places.get(&id).map(|&place| &mut held[place]).filter(|held| held.is_lent());
        match held {
            Some(held) => {
                held.step(stepper, *rate, gradient, checks);
                None
            }
            None => Some(gradient),
        }
    }
}

/// Takes parameters out of a module. A tensor of one value stands in the place of each.
struct Take {
    path: Vec<String>,
    places: HashMap<ParamId, usize>,
    held: Vec<Box<dyn Held>>,
    /// The memory of that value.
    one: Option<Tensor<1>>,
}

impl ModuleMapper for Take {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Of several parameters with one id the first is stepped, as by `Stepper::step`.
        if !param.base().is_require_grad() || self.places.contains_key(&param.id) {
            return param;
        }
        let (id, value, mapper) = param.consume();
        let device = value.device().inner();
        let one = self.one.get_or_insert_with(|| Tensor::zeros([1], &device)).clone();
        self.places.insert(id, self.held.len());
        let (path, tape) = (self.path.join("."), Tape::of(&value));
        let held = Single { id, path, tape, place: Place::Leaf, value: Some(value) };
        self.held.push(Box::new(held));
        Param::from_mapped_value(id, one.reshape([1; D]), mapper)
    }
}
