//! Compares the tensors of a file with those that are wanted.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::error::{Error, Result};

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

/// Refuses values that are not finite.
pub(super) fn finite(path: &Path, name: &str, values: impl Iterator<Item = f32>) -> Result<()> {
    match values.enumerate().find(|(_, x)| !x.is_finite()) {
        None => Ok(()),
        Some((i, x)) => {
            Err(Error::file(path, format!("value {i} of tensor `{name}` is {x}, not a number")))
        }
    }
}
