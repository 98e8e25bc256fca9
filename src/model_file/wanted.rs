//! Compares a file's tensors with those that a network wants.

use std::collections::HashMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, TensorData};

use super::NamedTensors;
use super::compare::{compare, finite};
use crate::error::{Error, Result};
use crate::nn::{assign_named, names_and_shapes};
use crate::zoo::{Architecture, Network};

/// The network of `arch` with `tensors` as its weights.
///
/// # Errors
/// Those of [`fit`].
pub(super) fn build(
    path: &Path,
    arch: &Architecture,
    tensors: NamedTensors,
    device: &Device,
) -> Result<Network> {
    fit(path, arch.init(device, 0)?, &arch.name, tensors.0.into_iter().collect())
}

/// The module with the tensors found in a file as its parameters and buffers. `path` and
/// `wanted_by` appear in errors.
///
/// # Errors
/// Missing, superfluous and misshapen tensors; values that are not finite.
pub(crate) fn fit<M: Module>(
    path: &Path,
    module: M,
    wanted_by: &str,
    mut found: HashMap<String, TensorData>,
) -> Result<M> {
    let values = take(path, &names_and_shapes(&module), wanted_by, &mut found)?;
    Ok(assign_named(module, values))
}

/// Takes all tensors out of `found`, which must be f32 and have the names and shapes that are
/// wanted.
pub(super) fn take(
    path: &Path,
    wanted: &[(String, Vec<usize>)],
    wanted_by: &str,
    found: &mut HashMap<String, TensorData>,
) -> Result<HashMap<String, TensorData>> {
    let shapes = found.iter().map(|(name, data)| (name.as_str(), data.shape().to_vec())).collect();
    compare(path, wanted, wanted_by, &shapes)?;
    if let Some((name, _)) = found.iter().find(|(_, data)| data.dtype() == DType::U8) {
        return Err(Error::file(path, format!("tensor `{name}` is U8; F32 is wanted")));
    }
    // A single weight that is not finite spoils every embedding.
    for (name, data) in found.iter() {
        finite(path, name, data.iter::<f32>())?;
    }
    Ok(std::mem::take(found))
}
