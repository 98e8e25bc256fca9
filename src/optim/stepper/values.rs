//! Values of parameters that another process has stepped.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{DType, Tensor, TensorData};

use super::walk::Tape;
use crate::backend::lasting;

/// The module with other values of some parameters, in the order of their elements. Everything else
/// about them stays.
///
/// # Panics
/// If a parameter has another number of values.
pub(crate) fn with_values<M: Module>(module: M, values: HashMap<ParamId, Vec<f32>>) -> M {
    module.map(&mut Replace(values))
}

struct Replace(HashMap<ParamId, Vec<f32>>);

impl ModuleMapper for Replace {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.0.remove(&param.id) else { return param };
        let (id, old, mapper) = param.consume();
        let (tape, shape, device) = (Tape::of(&old), old.dims(), old.device().inner());
        // The device frees its memory before there is more.
        drop(old);
        let data = TensorData::new(values, shape);
        let new = lasting(Tensor::<D>::from_data(data, (&device, DType::F32)));
        Param::from_mapped_value(id, tape.restored(new), mapper)
    }
}
