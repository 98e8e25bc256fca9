//! Compares a file's tensors with those that a network wants.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, TensorData};

use super::NamedTensors;
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
        if let Some((i, x)) = data.iter::<f32>().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(Error::file(
                path,
                format!("value {i} of tensor `{name}` is {x}, not a number"),
            ));
        }
    }
    Ok(std::mem::take(found))
}

/// Refuses tensors, given by name and shape, that are not exactly those wanted.
pub(super) fn compare(
    path: &Path,
    wanted: &[(String, Vec<usize>)],
    wanted_by: &str,
    found: &HashMap<&str, Vec<usize>>,
) -> Result<()> {
    for (name, expected) in wanted {
        let shape = found.get(name.as_str()).ok_or_else(|| {
            Error::file(
                path,
                format!("no tensor `{name}`, which {wanted_by} wants with shape {expected:?}"),
            )
        })?;
        if shape != expected {
            let (wanted_by, found) = (wanted_by.to_owned(), shape.clone());
            let (tensor, expected) = (name.clone(), expected.clone());
            return Err(Error::Shape { path: path.into(), tensor, wanted_by, expected, found });
        }
    }
    let wanted: HashSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    match found.keys().filter(|name| !wanted.contains(*name)).min() {
        Some(name) => {
            Err(Error::file(path, format!("tensor `{name}` has no place in {wanted_by}")))
        }
        None => Ok(()),
    }
}
