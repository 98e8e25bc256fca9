//! What all ranks must have in common.

use std::path::Path;

use burn::module::Module;
use sha2::{Digest, Sha256};

use super::is_alone;
use crate::backend::collective::Communicator;
use crate::bytes::hex;
use crate::error::{Error, Result};
use crate::nn::collect_named;
use crate::optim::{self, Stepper};
use crate::train::Recipe;
use crate::train::recipe::differing;

/// The name of the recipe among things that ranks have in common.
pub(in crate::train) const RECIPE: &str = "recipe";

/// Refuses ranks that differ in any of these things, each a name with a short text.
///
/// # Errors
/// The first rank that differs from rank 0, with every name. All ranks get the same error.
pub(in crate::train) fn alike(ranks: &dyn Communicator, ours: &[(&str, String)]) -> Result<()> {
    if is_alone(ranks) {
        return Ok(());
    }
    let text = serde_json::to_vec(ours).map_err(|e| Error::Training(e.to_string()))?;
    let all = ranks.gather(text)?;
    let mut read = all.iter().map(|bytes| {
        // Another version may tell other things.
        serde_json::from_slice::<Vec<(String, String)>>(bytes).unwrap_or_default()
    });
    let first = read.next().unwrap_or_default();
    let differs = |(i, theirs): (usize, Vec<(String, String)>)| {
        let what = differences(&theirs, &first);
        (!what.is_empty()).then(|| format!("rank {} differs from rank 0: {what}", i + 1))
    };
    match read.enumerate().find_map(differs) {
        Some(message) => Err(Error::Invalid(message)),
        None => Ok(()),
    }
}

/// The differences of two ranks' things, for people.
fn differences(theirs: &[(String, String)], first: &[(String, String)]) -> String {
    let differing = |(name, text): &(String, String)| {
        let found = theirs.iter().find(|(other, _)| other == name).map(|(_, text)| text.as_str());
        match found {
            Some(other) if other == text => None,
            Some(other) if name == RECIPE => Some(of_recipes(other, text)),
            // Names of backends and versions are short; hashes say nothing to people.
            Some(other) if other.len() < 32 => Some(format!("{name} {other}, on rank 0 {text}")),
            Some(_) | None => Some(name.clone()),
        }
    };
    first.iter().filter_map(differing).collect::<Vec<_>>().join("; ")
}

/// The keys in which two recipes differ.
fn of_recipes(theirs: &str, first: &str) -> String {
    let parse = |text: &str| Recipe::parse(text, Path::new(RECIPE), &[]);
    let keys = match (parse(theirs), parse(first)) {
        (Ok(theirs), Ok(first)) => differing(&theirs, &first),
        _ => Vec::new(),
    };
    let shown: Vec<String> = keys.iter().map(|key| key.shown("on rank 0")).collect();
    format!("{RECIPE} ({})", shown.join("; "))
}

/// Hashes of a module's values and of an optimizer's states.
///
/// # Errors
/// An optimizer whose state has no form in bytes.
pub(in crate::train) fn digest<M: Module>(
    module: &M,
    optimizer: &Stepper,
) -> Result<[(&'static str, String); 2]> {
    let (mut weights, mut states) = (Sha256::new(), Sha256::new());
    for (name, data) in collect_named(module) {
        weights.update(name);
        weights.update(data.convert::<f32>().as_bytes());
    }
    // Burn's record has the order of a hash table, which differs from rank to rank.
    let record = optim::in_order(optimizer.into_bytes()?)?;
    states.update(&record[..]);
    Ok([("weights", hex(weights)), ("optimizer states", hex(states))])
}
