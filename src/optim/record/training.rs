//! What training asks of a record beyond loading it.

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ParamId};
use burn::tensor::{Bytes, DType};
use burn_pack::{Reader, Scalar, Tensor, Writer};

use super::{Record, STEPS, bad, key, split};
use crate::error::Result;
use crate::nn::{ids_named, names_and_shapes};

impl Record {
    /// Refuses states of parameters that a module does not have, or has in another shape.
    ///
    /// # Errors
    /// Names the parameter.
    pub fn check_module<M: Module>(&self, module: &M) -> Result<()> {
        let names = ids_named(module);
        let shapes: HashMap<String, Vec<usize>> = names_and_shapes(module).into_iter().collect();
        for (&id, state) in &self.0 {
            let name = names
                .get(&ParamId::from(id))
                .ok_or_else(|| bad(format!("there is no parameter {id}")))?;
            let shape = &shapes[name];
            let count: usize = shape.iter().product();
            let fits = match state.number(key::COUNT) {
                Some(found) => found == count as u64,
                None => state.tensors.values().all(|(_, found)| found == shape),
            };
            if !fits || state.number(key::RANK) != Some(shape.len() as u64) {
                return Err(bad(format!("its state of `{name}` is not one of shape {shape:?}")));
            }
        }
        Ok(())
    }

    /// Refuses states that are not those of one of Burn's optimizers: the numbers of steps and the
    /// f32 tensors have these names.
    ///
    /// # Errors
    /// Names the parameter and the optimizer.
    pub fn check_parts(&self, optimizer: &str, steps: &[&str], tensors: &[&str]) -> Result<()> {
        let scalars: Vec<&str> = std::iter::once(key::RANK).chain(steps.iter().copied()).collect();
        for (id, state) in &self.0 {
            let rank = state.number(key::RANK);
            let tensor = |name: &&str| {
                let found = state.tensors.get(*name);
                found.is_some_and(|(dtype, shape)| {
                    *dtype == DType::F32 && Some(shape.len() as u64) == rank
                })
            };
            let whole = state.has_numbers(&scalars)
                && steps.iter().all(|s| state.number(s).is_some_and(|n| n <= STEPS))
                && state.tensors.len() == tensors.len()
                && tensors.iter().all(tensor);
            if !whole {
                return Err(bad(format!(
                    "the state of parameter {id} is of another optimizer than {optimizer}, or \
                     damaged"
                )));
            }
        }
        Ok(())
    }
}

/// The same record with its tensors ordered by name. Burn writes them in the order of a hash table,
/// so equal states have other bytes in every process.
///
/// # Errors
/// Bytes that are no record.
pub fn in_order(record: Bytes) -> Result<Bytes> {
    let reader = Reader::from_bytes(record.shared()).map_err(bad)?;
    let (scalars, metadata) = (reader.scalars().clone(), reader.metadata().clone());
    let mut tensors = reader.into_tensors().map_err(bad)?;
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    written(tensors, &scalars, &metadata)
}

/// A record without the states of parameters whose ids are not kept.
///
/// # Errors
/// Bytes that are no record.
pub fn only(record: Bytes, keeps: &dyn Fn(u64) -> bool) -> Result<Bytes> {
    let reader = Reader::from_bytes(record.shared()).map_err(bad)?;
    let (mut scalars, mut metadata) = (reader.scalars().clone(), reader.metadata().clone());
    let mut tensors = reader.into_tensors().map_err(bad)?;
    let is_kept = |name: &str| split(name).is_ok_and(|(id, _)| keeps(id));
    scalars.retain(|name, _| is_kept(name));
    tensors.retain(|tensor| is_kept(&tensor.name));
    // The paths of parameters, by their ids alone.
    metadata.retain(|id, _| id.parse::<u64>().is_ok_and(keeps));
    written(tensors, &scalars, &metadata)
}

/// The record of all states that records of different parameters hold.
///
/// # Errors
/// Bytes that are no record.
pub fn joined(records: impl IntoIterator<Item = Bytes>) -> Result<Bytes> {
    let (mut tensors, mut scalars, mut metadata) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for record in records {
        let reader = Reader::from_bytes(record.shared()).map_err(bad)?;
        scalars.extend(reader.scalars().clone());
        metadata.extend(reader.metadata().clone());
        tensors.extend(reader.into_tensors().map_err(bad)?);
    }
    written(tensors, &scalars, &metadata)
}

/// A record of these parts.
///
/// # Errors
/// Parts that have no form in bytes.
pub(super) fn written<'a>(
    tensors: Vec<Tensor>,
    scalars: impl IntoIterator<Item = (&'a String, &'a Scalar)>,
    metadata: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<Bytes> {
    let mut writer = Writer::new(tensors);
    for (name, value) in scalars {
        writer = writer.with_scalar(name, *value);
    }
    for (name, value) in metadata {
        writer = writer.with_metadata(name, value);
    }
    writer.into_bytes().map_err(bad)
}
