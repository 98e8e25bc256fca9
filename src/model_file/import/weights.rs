//! Which of a checkpoint's tensors are the network: a state_dict may lie under a key beside the
//! optimizer's, and its names may have the prefix of a wrapper from training.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::checkpoint::{Checkpoint, Entry};
use crate::error::{Error, Remedy, Result};
use crate::model_file::HEAD_PREFIX;

/// BatchNorm's counters, which nothing needs.
const COUNTER: &str = "num_batches_tracked";
/// Keys of a trainer's state beside a network at the top level.
const TRAINER: [&str; 12] = [
    "callbacks",
    "ema_state",
    "loops",
    "lr_scheduler",
    "lr_schedulers",
    "optimizer",
    "optimizer_state_dict",
    "optimizer_states",
    "optimizers",
    "scaler",
    "scheduler",
    "scheduler_state_dict",
];

/// A network's tensors in a checkpoint, named as the network names them.
pub(super) struct Weights<'a> {
    /// Those of the network.
    pub network: BTreeMap<&'a str, &'a Entry>,
    /// Those of the training head.
    pub head: BTreeMap<&'a str, &'a Entry>,
    /// Where the network was found, and what was left aside.
    pub notes: Vec<String>,
}

/// Whether a network may have a tensor of this name: it is no counter, and belongs neither to the
/// training head nor to the trainer's state.
pub(super) fn is_of_network(name: &str) -> bool {
    let top = name.split('.').next().unwrap_or_default();
    !(name.ends_with(COUNTER) || name.starts_with(HEAD_PREFIX) || TRAINER.contains(&top))
}

/// Finds the network with these two tensors: the one that tells its width, and the weight of its
/// embedding layer. If the checkpoint holds it more than once, `key` chooses one: by its key or
/// prefix, or by the beginning of that.
///
/// # Errors
/// No such network, or several of which `key` does not choose one.
pub(super) fn find<'a>(
    path: &Path,
    checkpoint: &'a Checkpoint,
    wanted_by: &str,
    [first, embedding]: [&str; 2],
    key: Option<&str>,
) -> Result<Weights<'a>> {
    let tensors = &checkpoint.tensors;
    let stems: Vec<&str> = tensors
        .keys()
        .filter_map(|name| name.strip_suffix(first))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .collect();
    let prefixes: Vec<&str> = stems
        .iter()
        .copied()
        .filter(|prefix| tensors.contains_key(&format!("{prefix}{embedding}")))
        .collect();
    if prefixes.is_empty() {
        let missing = if stems.is_empty() { first } else { embedding };
        let some: Vec<String> = tensors.keys().take(3).map(|name| format!("`{name}`")).collect();
        let (count, some) = (tensors.len(), some.join(", "));
        let message = format!(
            "no tensor `{missing}`, so this is not a {wanted_by}; \
             it has {count} tensors: {some} ..."
        );
        return Err(Error::file(path, message));
    }
    let prefix = choose(path, &prefixes, key)?;
    let mut weights =
        Weights { network: BTreeMap::new(), head: BTreeMap::new(), notes: Vec::new() };
    let (mut aside, mut places) = (0, BTreeSet::new());
    for (full, entry) in tensors {
        let top = full.split('.').next().unwrap_or_default();
        // The same network again, under a longer prefix.
        let elsewhere = prefixes
            .iter()
            .any(|p| p.len() > prefix.len() && p.starts_with(prefix) && full.starts_with(*p));
        let trainer = prefix.is_empty() && TRAINER.contains(&top);
        match full.strip_prefix(prefix).filter(|_| !elsewhere && !trainer) {
            Some(name) if name.ends_with(COUNTER) => {}
            Some(name) => {
                let part = if name.starts_with(HEAD_PREFIX) {
                    &mut weights.head
                } else {
                    &mut weights.network
                };
                part.insert(name, entry);
            }
            None if full.ends_with(COUNTER) => {}
            None => {
                aside += 1;
                places.insert(top);
            }
        }
    }
    if !prefix.is_empty() {
        let note = format!(
            "the weights were found under {}, which was removed from their names",
            shown(prefix)
        );
        weights.notes.push(note);
    }
    if aside > 0 {
        let mut under: Vec<String> =
            places.iter().take(4).map(|place| format!("`{place}`")).collect();
        if places.len() > under.len() {
            under.push("others".into());
        }
        let s = if aside == 1 { "" } else { "s" };
        weights.notes.push(format!("left aside: {aside} tensor{s} under {}", under.join(", ")));
    }
    Ok(weights)
}

/// The only prefix, or the one that `key` means.
fn choose<'a>(path: &Path, prefixes: &[&'a str], key: Option<&str>) -> Result<&'a str> {
    let matching = match key {
        None => prefixes.to_vec(),
        Some(key) => {
            let key = key.trim_end_matches('.');
            let below = format!("{key}.");
            let exact: Vec<&str> =
                prefixes.iter().copied().filter(|p| p.trim_end_matches('.') == key).collect();
            let inside =
                || prefixes.iter().copied().filter(|p| p.starts_with(&below)).collect::<Vec<_>>();
            if exact.is_empty() { inside() } else { exact }
        }
    };
    let listed = prefixes.iter().map(|p| shown(p)).collect::<Vec<_>>().join(" and ");
    match (matching.as_slice(), key) {
        (&[prefix], _) => Ok(prefix),
        ([], key) => {
            let key = key.unwrap_or_default();
            let message = format!("no network under the key {key}; there is one under {listed}");
            Err(Error::file(path, message))
        }
        (_, None) => {
            let message = format!("the network is there more than once, under {listed}");
            Err(Error::file(path, message).with(Remedy::ChooseNetwork))
        }
        (_, Some(_)) => {
            let message = format!(
                "the network is there more than once, under {listed}; give more of the key"
            );
            Err(Error::file(path, message))
        }
    }
}

/// A prefix in an error or a note.
fn shown(prefix: &str) -> String {
    match prefix {
        "" => "`` (the top level)".into(),
        _ => format!("`{}`", prefix.trim_end_matches('.')),
    }
}
