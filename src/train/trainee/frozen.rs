//! Parts of the trainee that stay what they are, or learn at rates of their own.

use std::collections::{BTreeMap, HashMap};

use burn::module::{Flag, Module, ModuleMapper, Param, ParamId};
use burn::tensor::Tensor;

use super::Trainee;
use crate::nn::{Place, ids_named};
use crate::train::recipe::{is_within, longest};

/// What stands in front of the network's names here, and not in a model file.
const NETWORK: &str = "network.";

/// A name as a model file has it.
fn in_file(name: &str) -> &str {
    name.strip_prefix(NETWORK).unwrap_or(name)
}

/// Switches the gradients of parts off, and the movement of their BatchNorms' statistics.
struct Freeze<'a> {
    place: Place,
    parts: &'a [String],
}

impl Freeze<'_> {
    fn is_here(&self) -> bool {
        let name = self.place.name();
        self.parts.iter().any(|part| is_within(in_file(&name), part))
    }
}

impl ModuleMapper for Freeze<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.is_here() {
            true => param.set_require_grad(false),
            false => param,
        }
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match self.is_here() {
            true => flag.with_value(true),
            false => flag,
        }
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }
}

impl Trainee {
    /// The same with parts, by the beginnings of their tensors' names in the model file, whose
    /// function stays what it is: their weights get no gradients, and their BatchNorms normalise by
    /// their running statistics. It comes before `train()`.
    #[must_use]
    pub(in crate::train) fn frozen(self, parts: &[String]) -> Self {
        match parts.is_empty() {
            true => self,
            false => self.map(&mut Freeze { place: Place::default(), parts }),
        }
    }

    /// The factors of the learning rates of parameters, from those of parts. Parameters whose
    /// factor is 1 are left out.
    pub(in crate::train) fn factors(&self, of: &BTreeMap<String, f64>) -> HashMap<ParamId, f64> {
        if of.is_empty() {
            return HashMap::new();
        }
        let factor = |name: &str| {
            let part = longest(of.keys().map(String::as_str), in_file(name))?;
            of.get(part).copied().filter(|factor| *factor != 1.0)
        };
        let ids = ids_named(self).into_iter();
        ids.filter_map(|(id, name)| Some((id, factor(&name)?))).collect()
    }
}
