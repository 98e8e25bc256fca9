//! The states of a module on one GPU, and the steps of all its tensors together.

use std::collections::{BTreeMap, HashMap};

use burn::backend::Dispatch;
use burn::backend::tensor::FloatTensor;
use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::kind::Kind;
use super::walk::{self, Taken, Tape};
use crate::backend::optim8::{Blocks, Gate, Part, Step};
use crate::optim::state::Moments;

/// The state of one parameter.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Where the parameter is in its module, if that is known.
    pub path: Option<String>,
    /// The parameter's shape. Before the first step after a record: that of the moments.
    pub shape: Vec<usize>,
    /// The number of the parameter's dimensions.
    pub rank: usize,
    /// Steps made.
    pub steps: u64,
    pub moments: Moments,
    /// The turn of the latest step.
    turn: u64,
}

impl Slot {
    /// What a record says.
    pub fn new(shape: Vec<usize>, steps: u64, moments: Moments) -> Self {
        Self { path: None, rank: shape.len(), shape, steps, moments, turn: 0 }
    }

    /// Values of the parameter.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The states of a module's parameters.
#[derive(Debug, Clone)]
pub struct Together {
    pub(super) device: Device,
    pub(super) slots: BTreeMap<u64, Slot>,
    /// Steps of the module.
    turn: u64,
}

/// What is known of a tensor while it is stepped.
struct Note {
    id: ParamId,
    tape: Tape,
    slot: Slot,
}

/// Tensors that make the same step.
struct Group {
    step: Step,
    values: Vec<(Note, Part<Tensor<1>>)>,
    blocks: Vec<(Note, Part<Blocks>)>,
}

impl Together {
    pub fn new(device: Device) -> Self {
        Self { device, slots: BTreeMap::new(), turn: 0 }
    }

    /// The same on another device.
    pub fn on(mut self, device: &Device) -> Self {
        if self.device != *device {
            for slot in self.slots.values_mut() {
                slot.moments = slot.moments.take().moved_to(device);
            }
            self.device = device.clone();
        }
        self
    }

    /// See [`super::Stepper::step`]. `rates` gives the learning rate of a parameter.
    pub fn step<M: Module>(
        &mut self,
        kind: &dyn Kind,
        rates: &dyn Fn(&ParamId) -> f64,
        module: M,
        gradients: GradientsParams,
        gate: &Gate,
    ) -> M {
        self.turn += 1;
        if matches!(gate, Gate::Open(0.0)) {
            return module;
        }
        let (module, taken) = walk::take(module, gradients);
        let mut groups: Vec<Group> = Vec::new();
        let mut stepped = HashMap::new();
        for taken in taken {
            if taken.shape.contains(&0) {
                stepped.insert(taken.id, (taken.parameter, taken.tape));
                continue;
            }
            let mut slot = self.slot(kind, &taken);
            let step = kind.numbers(rates(&taken.id), slot.steps);
            let Taken { id, tape, parameter, gradient, .. } = taken;
            let moments = slot.moments.take();
            let note = Note { id, tape, slot };
            let group = match groups.iter().position(|group| group.step == step) {
                Some(place) => &mut groups[place],
                None => {
                    groups.push(Group { step, values: Vec::new(), blocks: Vec::new() });
                    groups.last_mut().expect("one was just pushed")
                }
            };
            match moments {
                Moments::Values(moments) => {
                    group.values.push((note, Part { parameter, gradient, moments }));
                }
                Moments::Blocks(moments) => {
                    group.blocks.push((note, Part { parameter, gradient, moments }));
                }
            }
        }
        let codecs = kind.codecs();
        for Group { step, values, blocks } in groups {
            let (notes, parts): (Vec<_>, Vec<_>) = values.into_iter().unzip();
            let results = step.on_values_of(parts, gate);
            self.keep(notes, results, Moments::Values, &mut stepped);
            let (notes, parts): (Vec<_>, Vec<_>) = blocks.into_iter().unzip();
            let results = step.on_blocks_of(parts, &codecs, gate);
            self.keep(notes, results, Moments::Blocks, &mut stepped);
        }
        walk::put(module, stepped)
    }

    /// The state that a parameter steps with; the step is counted.
    fn slot(&mut self, kind: &dyn Kind, taken: &Taken) -> Slot {
        let (id, count): (u64, usize) = (taken.id.val(), taken.shape.iter().product());
        let slot = self.slots.remove(&id);
        let mut slot = slot
            .unwrap_or_else(|| Slot::new(taken.shape.clone(), 0, kind.start(count, &self.device)));
        if let Err(found) = kind.check(&slot.moments, count) {
            panic!("the optimizer's record has {found} for parameter {id} of {count} values");
        }
        slot.path = Some(taken.path.clone());
        slot.rank = taken.shape.len();
        slot.shape.clone_from(&taken.shape);
        slot.steps += 1;
        slot.turn = self.turn;
        slot
    }

    fn keep<M>(
        &mut self,
        notes: Vec<Note>,
        results: Vec<(FloatTensor<Dispatch>, Vec<M>)>,
        form: impl Fn(Vec<M>) -> Moments,
        stepped: &mut HashMap<ParamId, (FloatTensor<Dispatch>, Tape)>,
    ) {
        for (note, (parameter, moments)) in notes.into_iter().zip(results) {
            let Note { id, tape, mut slot } = note;
            slot.moments = form(moments);
            self.slots.insert(id.val(), slot);
            stepped.insert(id, (parameter, tape));
        }
    }

    /// See [`super::Stepper::take_back_of`].
    #[cfg(feature = "train")]
    pub fn take_back_of(&mut self, id: ParamId) {
        if let Some(slot) = self.slots.get_mut(&id.val()) {
            slot.steps = slot.steps.saturating_sub(1);
        }
    }

    /// See [`super::Stepper::take_back`].
    pub fn take_back(&mut self) {
        for slot in self.slots.values_mut().filter(|slot| slot.turn == self.turn) {
            slot.steps = slot.steps.saturating_sub(1);
        }
    }
}
