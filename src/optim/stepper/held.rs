//! A parameter on its own during a backward pass.

use burn::backend::DispatchTensor;
use burn::module::{Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};

use super::Stepper;
use super::one::One;
use super::packed::{Packed, Rounding};
use super::release::Checks;
use super::walk::Tape;

/// A parameter of any rank that is out of its module.
pub trait Held {
    /// See [`show`](crate::backend::reversible::Sink::show).
    fn show(&self) -> Option<DispatchTensor>;

    /// See [`lends`](crate::backend::reversible::Sink::lends).
    fn lends(&mut self) -> bool;

    /// See [`lend`](crate::backend::reversible::Sink::lend).
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
pub struct Single<const D: usize> {
    pub id: ParamId,
    /// The names of the modules around it.
    pub path: String,
    pub tape: Tape,
    pub place: Place,
    pub value: Value<D>,
    /// How its new values are rounded, if they are.
    pub rounding: Option<Rounding>,
}

/// The value of a parameter.
#[allow(clippy::large_enum_variant, reason = "parameters are few, and their values large")]
pub enum Value<const D: usize> {
    /// In a step.
    Out,
    /// In f32.
    Whole(Tensor<D>),
    /// In 24 bits. In the place of a leaf that the module has.
    Packed(Packed),
}

/// Where the value of a parameter is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A leaf of the tape of this pass.
    Leaf,
    /// Off the tape, and in the hands of a reversible body.
    Lent,
    /// Off the tape, which has had its gradient.
    Off,
}

impl<const D: usize> Single<D> {
    /// Takes the value out, in f32 and off the tape.
    fn take(&mut self) -> Tensor<D> {
        match std::mem::replace(&mut self.value, Value::Out) {
            Value::Out => unreachable!("whoever takes it puts it back"),
            Value::Whole(value) => value.inner(),
            Value::Packed(packed) => packed.value(),
        }
    }

    /// Takes the value off the tape.
    fn move_to(&mut self, place: Place) {
        self.place = place;
        if matches!(self.value, Value::Whole(_)) {
            self.value = Value::Whole(self.take());
        }
    }
}

impl<const D: usize> Held for Single<D> {
    fn show(&self) -> Option<DispatchTensor> {
        match &self.value {
            Value::Packed(packed) => Some(packed.value::<D>().into_dispatch()),
            Value::Out | Value::Whole(_) => None,
        }
    }

    fn lends(&mut self) -> bool {
        let is_here = self.place == Place::Leaf;
        if is_here {
            self.move_to(Place::Lent);
        }
        is_here
    }

    fn lend(&mut self) -> Option<DispatchTensor> {
        if self.place != Place::Lent {
            return None;
        }
        let value = self.take();
        self.value = Value::Whole(value.clone());
        Some(value.into_dispatch())
    }

    fn is_lent(&self) -> bool {
        self.place == Place::Lent
    }

    fn pick(&mut self, gradients: &mut Gradients) -> Option<DispatchTensor> {
        if self.place != Place::Leaf {
            return None;
        }
        let Value::Whole(value) = &self.value else { return None };
        let gradient = value.grad_remove(gradients)?;
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
        let value = parameter.into_value().inner();
        self.path = path;
        self.value = match self.rounding {
            None => Value::Whole(value),
            Some(rounding) => Value::Packed(Packed::new(value, rounding)),
        };
    }

    fn back(mut self: Box<Self>) -> (ParamId, DispatchTensor, Tape) {
        let value = self.take();
        (self.id, value.into_dispatch(), self.tape)
    }
}
