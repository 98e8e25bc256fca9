//! Loading a record only into the optimizer it was made by.

use std::collections::BTreeSet;

use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::Bytes;
use burn_pack::{Reader, Scalar};

use super::States;
use super::eight_bit::{EightBit, Rule};
use super::state::{FORMAT, Kind, key};
use crate::error::{Error, Result};

/// Loads a record into `optimizer`, which does for all parameters of a module. A record of another optimizer, block size or format is an error that says
/// what met what; Burn's own loading lets it pass, and the first step then panics.
pub fn restore<R: Rule>(optimizer: EightBit<R>, record: Bytes) -> Result<ModuleOptimizer> {
    let bad = |e: String| Error::Invalid(format!("the optimizer's record: {e}"));
    let reader = Reader::from_bytes(record.clone()).map_err(|e| bad(e.to_string()))?;
    let scalars = reader.scalars();
    let suffix = format!(".{}", key::RANK);
    let parameters: BTreeSet<&str> = scalars.keys().filter_map(|k| k.strip_suffix(suffix.as_str())).collect();
    let tensors: BTreeSet<&str> = reader.tensor_names().into_iter().collect();
    let States { block_size, min_size, .. } = *optimizer.rule.states();
    let wanted = (R::KIND as u64, block_size as u64);
    for parameter in parameters {
        let scalar = |name: &str| scalars.get(&format!("{parameter}.{name}")).and_then(number);
        let format =
            scalar(key::FORMAT).ok_or_else(|| bad("is of another optimizer, which has no 8-bit states".into()))?;
        if format != FORMAT {
            return Err(bad(format!("has format {format}; this version reads {FORMAT}")));
        }
        let found = (scalar(key::OPTIMIZER).unwrap_or(0), scalar(key::BLOCK).unwrap_or(0));
        if found != wanted {
            let name = |(optimizer, block)| format!("{} with blocks of {block}", Kind::name(optimizer));
            return Err(bad(format!("is of {}, this is {}", name(found), name(wanted))));
        }
        let count = scalar(key::COUNT).unwrap_or(0);
        let small = tensors.contains(format!("{parameter}.0.values").as_str());
        if small != (count < min_size as u64) {
            let bits = if small { 32 } else { 8 };
            return Err(bad(format!("has {bits} bits for a tensor of {count} values; here min_size is {min_size}")));
        }
    }
    ModuleOptimizer::from(optimizer).from_bytes(record).map_err(|e| bad(e.to_string()))
}

fn number(scalar: &Scalar) -> Option<u64> {
    u64::try_from(*scalar).ok()
}
