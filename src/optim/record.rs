//! Loading a record only into the optimizer it was made by.

use std::collections::BTreeSet;

use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::Bytes;
use burn_pack::{Reader, Scalar};

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
    let wanted = (R::KIND as u64, optimizer.rule.states().block_size as u64);
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
    }
    ModuleOptimizer::from(optimizer).from_bytes(record).map_err(|e| bad(e.to_string()))
}

fn number(scalar: &Scalar) -> Option<u64> {
    u64::try_from(*scalar).ok()
}
