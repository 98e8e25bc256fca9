//! Records of optimizers' states, checked before Burn loads them. Burn panics on what it does not
//! expect, or leaves it out, or lets it pass until the first step panics.

#[cfg(feature = "train")]
mod rows;
#[cfg(feature = "train")]
mod training;

#[cfg(feature = "train")]
pub use rows::{Held, Rows};
#[cfg(feature = "train")]
pub use training::{in_order, joined, only};

use std::collections::BTreeMap;
use std::fmt::Display;

use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::{Bytes, DType};
use burn_pack::{Reader, Scalar};

use super::state::{FORMAT, key, name_of};
use super::{EightBit, Rule};
use crate::backend::optim8::PER_WORD;
use crate::error::{Error, Result};
use crate::panics::quietly;

/// Steps that a state can count: Burn's Adam raises to powers of 32 bits.
const STEPS: u64 = i32::MAX as u64;
/// The largest rank of a tensor.
const RANK: u64 = 8;

/// What a record says about the state of each parameter, without the values.
#[derive(Debug)]
pub struct Record(BTreeMap<u64, State>);

/// Scalars and tensors of one parameter by their names.
#[derive(Debug, Default)]
struct State {
    scalars: BTreeMap<String, Scalar>,
    tensors: BTreeMap<String, (DType, Vec<usize>)>,
}

pub(super) fn bad(what: impl Display) -> Error {
    Error::Invalid(format!("the optimizer's record: {what}"))
}

/// The parameter and the part that `ID.PART` names.
fn split(name: &str) -> Result<(u64, &str)> {
    let parts =
        name.split_once('.').and_then(|(id, part)| Some((id.parse::<u64>().ok()?, id, part)));
    match parts {
        Some((number, id, part)) if number.to_string() == id => Ok((number, part)),
        _ => Err(bad(format!("`{name}` is of no parameter"))),
    }
}

impl State {
    fn number(&self, name: &str) -> Option<u64> {
        self.scalars.get(name).and_then(|s| u64::try_from(*s).ok())
    }

    /// Whether it has these numbers and no other scalars.
    fn has_numbers(&self, names: &[&str]) -> bool {
        self.scalars.len() == names.len() && names.iter().all(|n| self.number(n).is_some())
    }
}

impl Record {
    /// Reads what a record says.
    ///
    /// # Errors
    /// Bytes that are no record; parts that belong to no parameter.
    pub fn read(bytes: &Bytes) -> Result<Self> {
        let reader = Reader::from_bytes(bytes.clone()).map_err(bad)?;
        let mut states: BTreeMap<u64, State> = BTreeMap::new();
        for (name, &scalar) in reader.scalars() {
            let (id, part) = split(name)?;
            states.entry(id).or_default().scalars.insert(part.to_owned(), scalar);
        }
        for tensor in reader.into_tensors().map_err(bad)? {
            let (id, part) = split(&tensor.name)?;
            if tensor.param_id != Some(id) {
                return Err(bad(format!("tensor `{}` is of another parameter", tensor.name)));
            }
            let found = (tensor.dtype, tensor.shape.to_vec());
            states.entry(id).or_default().tensors.insert(part.to_owned(), found);
        }
        match states.iter().find(|(_, s)| s.number(key::RANK).is_none_or(|rank| rank > RANK)) {
            Some((id, _)) => Err(bad(format!("parameter {id} has no rank from 0 to {RANK}"))),
            None => Ok(Self(states)),
        }
    }

    /// Refuses states of another optimizer, block size or format, and says what met what. Refuses
    /// states that are not whole.
    fn check_eight_bit<R: Rule>(&self, rule: &R) -> Result<()> {
        let states = rule.states();
        let wanted = (R::RECORD, states.block_size as u64);
        for (id, state) in &self.0 {
            let number = |name: &str| state.number(name).unwrap_or(0);
            let format = state.number(key::FORMAT);
            let format =
                format.ok_or_else(|| bad("is of another optimizer, which has no 8-bit states"))?;
            if format != FORMAT {
                return Err(bad(format!("has format {format}; this version reads {FORMAT}")));
            }
            let found = (number(key::OPTIMIZER), number(key::BLOCK));
            if found != wanted {
                return Err(bad(format!(
                    "is of {} with blocks of {}, this is {} with blocks of {}",
                    name_of(found.0),
                    found.1,
                    R::NAME,
                    wanted.1
                )));
            }
            let count = number(key::COUNT);
            let small = state.tensors.contains_key("0.values");
            if small != (count < states.min_size as u64) {
                let (bits, least) = (if small { 32 } else { 8 }, states.min_size);
                return Err(bad(format!(
                    "has {bits} bits for a tensor of {count} values; here min_size is {least}"
                )));
            }
            let tensors = tensors(R::MOMENTS, small, count, states.block_size as u64);
            let has = |(name, dtype, length): &(String, DType, u64)| {
                let found = state.tensors.get(name);
                found.is_some_and(|(d, shape)| d == dtype && shape.as_slice() == [*length as usize])
            };
            let scalars =
                [key::RANK, key::FORMAT, key::OPTIMIZER, key::BLOCK, key::COUNT, key::STEPS];
            let whole = state.has_numbers(&scalars)
                && number(key::STEPS) <= STEPS
                && state.tensors.len() == tensors.len()
                && tensors.iter().all(has);
            if !whole {
                return Err(bad(format!("the state of parameter {id} is damaged")));
            }
        }
        Ok(())
    }
}

/// Name, type and length of each tensor of a parameter of `count` values.
fn tensors(moments: usize, small: bool, count: u64, block: u64) -> Vec<(String, DType, u64)> {
    let moment = |i| match small {
        true => vec![(format!("{i}.values"), DType::F32, count)],
        false => vec![
            (format!("{i}.codes"), DType::U32, count.div_ceil(PER_WORD as u64)),
            (format!("{i}.absmax"), DType::F32, count.div_ceil(block)),
        ],
    };
    (0..moments).flat_map(moment).collect()
}

/// The optimizer of a whole module, with its states from a record.
///
/// # Errors
/// A damaged record, or one of another optimizer, block size or format: the error says what met
/// what.
pub fn restore<R: Rule>(optimizer: EightBit<R>, record: Bytes) -> Result<ModuleOptimizer> {
    let record = record.shared();
    Record::read(&record)?.check_eight_bit(optimizer.rule())?;
    load(optimizer.into(), record)
}

/// Burn's loading of a record that has been checked. If it panics all the same, that is an error.
pub(super) fn load(optimizer: ModuleOptimizer, record: Bytes) -> Result<ModuleOptimizer> {
    quietly(|| optimizer.from_bytes(record)).map_err(bad)?.map_err(bad)
}

#[cfg(all(test, feature = "train"))]
mod tests;
