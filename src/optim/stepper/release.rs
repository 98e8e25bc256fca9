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
//!
//! Parameters of reversible bodies may be in 24 bits ([`Stepper::release_packed`]). These leave
//! their module before the forward pass, and a function that needs them gets them in f32 for its
//! own time. Then every parameter is rounded to 24 bits behind its step, and stays in them until
//! the pass ends.

use std::collections::{HashMap, HashSet};

use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Gradients, Tensor};

use super::held::{Held, Place, Single, Value};
use super::packed::{Packed, Rounding};
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
    /// The learning rate, once it is known.
    rate: f64,
    places: HashMap<ParamId, usize>,
    held: Vec<Box<dyn Held>>,
    checks: Checks,
    /// The number of the step, if parameters are rounded to 24 bits.
    rounded: Option<u32>,
}

/// Counts of values that are not finite.
#[derive(Default)]
pub(crate) struct Checks {
    /// Above 0, and known to the host.
    known: Vec<u64>,
    /// `[1]` each, on a device that has decided by them.
    queued: Vec<(ParamId, Tensor<1>)>,
}

impl Checks {
    /// Whether a gradient is used: a gate, or none if it is not. GPUs decide by themselves, so that
    /// nobody waits for them.
    pub fn gate<const D: usize>(&mut self, id: ParamId, gradient: Tensor<D>) -> Option<Gate> {
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
        let mut release = self.begin(None);
        let module = release.take_rest(rate, module);
        (module, release)
    }

    /// Takes those of `ids` out of a module that are trained, in 24 bits, for the time of a forward
    /// and a backward pass of reversible bodies, which borrow them. [`Release::take_rest`] takes
    /// the others before the backward pass. `step` is the number of the step, by which new values
    /// are rounded. Values of more bits are rounded to the nearest ones here.
    pub(crate) fn release_packed<M: Module>(
        &mut self,
        module: M,
        ids: &HashSet<ParamId>,
        step: u32,
    ) -> (M, Release) {
        let mut release = self.begin(Some(step));
        let module = release.take(module, Some(ids));
        (module, release)
    }

    fn begin(&mut self, rounded: Option<u32>) -> Release {
        let form = std::mem::replace(&mut self.form, Form::New);
        let stepper = Self { kind: self.kind.clone(), form, factors: self.factors.clone() };
        Release {
            stepper,
            rate: 0.0,
            places: HashMap::new(),
            held: Vec::new(),
            checks: Checks::default(),
            rounded,
        }
    }
}

impl Release {
    fn take<M: Module>(&mut self, module: M, packed: Option<&HashSet<ParamId>>) -> M {
        module.map(&mut Take { path: Vec::new(), release: self, packed, one: None })
    }

    /// Takes all parameters that the module still has, before the backward pass, whose steps have
    /// this rate.
    pub fn take_rest<M: Module>(&mut self, rate: f64, module: M) -> M {
        self.rate = rate;
        self.take(module, None)
    }

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
    fn show(&mut self, id: ParamId) -> Option<DispatchTensor> {
        let place = *self.places.get(&id)?;
        self.held[place].show()
    }

    fn lends(&mut self, id: ParamId) -> bool {
        let place = self.places.get(&id).copied();
        place.is_some_and(|place| self.held[place].lends())
    }

    fn lend(&mut self, id: ParamId) -> Option<DispatchTensor> {
        let place = *self.places.get(&id)?;
        self.held[place].lend()
    }

    fn deliver(&mut self, id: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor> {
        let Self { stepper, rate, places, held, checks, .. } = self;
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
struct Take<'a> {
    path: Vec<String>,
    release: &'a mut Release,
    /// Those that are taken before the forward pass; none stands for all.
    packed: Option<&'a HashSet<ParamId>>,
    /// The memory of that value.
    one: Option<Tensor<1>>,
}

impl ModuleMapper for Take<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Release { places, held, rounded, .. } = &mut *self.release;
        // Of several parameters with one id the first is stepped, as by `Stepper::step`.
        if self.packed.is_some_and(|ids| !ids.contains(&param.id))
            || !param.base().is_require_grad()
            || places.contains_key(&param.id)
        {
            return param;
        }
        let (id, value, mapper) = param.consume();
        let (device, tape) = (value.device().inner(), Tape::of(&value));
        let one = self.one.get_or_insert_with(|| Tensor::zeros([1], &device)).clone();
        let one: Tensor<D> = one.reshape([1; D]);
        let (stand_in, value) = match self.packed {
            // The forward pass makes its node from leaves.
            Some(_) => {
                let packed = Packed::new(value.inner(), Rounding::Nearest);
                (tape.restored(one), Value::Packed(packed))
            }
            None => (one, Value::Whole(value)),
        };
        let number = held.len();
        places.insert(id, number);
        held.push(Box::new(Single {
            id,
            path: self.path.join("."),
            tape,
            place: Place::Leaf,
            value,
            rounding: rounded.map(|step| Rounding::of(step, number)),
        }));
        Param::from_mapped_value(id, stand_in, mapper)
    }
}
