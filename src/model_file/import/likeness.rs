//! Which networks of the zoo a checkpoint looks like, for errors.

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;

use super::ImportOptions;
use super::checkpoint::Checkpoint;
use super::infer::Resolved;
use super::weights::is_of_network;
use crate::error::{Error, Remedy};
use crate::zoo::{Architecture, ROWS, Row};

/// A checkpoint looks like a network if they have this share of their tensors' names in common.
const ALIKE: f64 = 0.5;
/// Prefixes that are tried for a network.
const PREFIXES: usize = 4;

/// The tensors of a network with its published settings.
struct Known {
    name: &'static str,
    /// The tensor that tells the width.
    width: String,
    names: HashSet<String>,
}

/// Every row of the registry. Their graphs are recorded once.
fn known() -> &'static [Known] {
    static KNOWN: OnceLock<Vec<Known>> = OnceLock::new();
    KNOWN.get_or_init(|| ROWS.iter().filter_map(Known::of).collect())
}

impl Known {
    fn of(row: &Row) -> Option<Self> {
        let arch = Architecture::named(row.name).ok()?;
        let names = arch.layout().ok()?.tensors.into_iter().map(|tensor| tensor.name).collect();
        Some(Self { name: row.name, width: arch.width_tensor().ok()?, names })
    }

    /// The share of names that network and checkpoint have in common, of all that either has, under
    /// the prefix where it is largest.
    fn share(&self, checkpoint: &Checkpoint) -> f64 {
        let names = || checkpoint.tensors.keys().map(String::as_str);
        let mut prefixes: Vec<&str> =
            names().filter_map(|name| name.strip_suffix(self.width.as_str())).collect();
        prefixes.retain(|prefix| prefix.is_empty() || prefix.ends_with('.'));
        prefixes.sort_by_key(|prefix| prefix.len());
        let share = |prefix: &&str| {
            let inside = names().filter_map(|name| name.strip_prefix(*prefix));
            let (both, other): (Vec<&str>, Vec<&str>) =
                inside.filter(|name| is_of_network(name)).partition(|&n| self.names.contains(n));
            both.len() as f64 / (self.names.len() + other.len()) as f64
        };
        prefixes.iter().take(PREFIXES).map(share).fold(0.0, f64::max)
    }
}

/// In how many settings a checkpoint differs from the published network of this name, if it is one
/// of its kind.
pub(super) fn distance(
    path: &Path,
    checkpoint: &Checkpoint,
    name: &str,
    said: &ImportOptions,
) -> Option<usize> {
    let published = Architecture::named(name).ok()?;
    let found = Resolved::new(path, checkpoint, published.clone(), None, said).ok()?;
    found.fits(path, checkpoint).ok()?;
    let found = found.arch;
    let differs = [
        found.width != published.width,
        found.pooling != published.pooling,
        found.layers != published.layers,
    ];
    Some(differs.into_iter().filter(|&differs| differs).count())
}

/// The networks that a checkpoint looks like: those with most of its tensors' names and, if their
/// shapes fit too, the fewest settings of their own.
pub(super) fn likely(
    path: &Path,
    checkpoint: &Checkpoint,
    said: &ImportOptions,
) -> Vec<&'static str> {
    let shares: Vec<(f64, &Known)> =
        known().iter().map(|known| (known.share(checkpoint), known)).collect();
    let best = shares.iter().map(|(share, _)| *share).fold(0.0, f64::max);
    if best < ALIKE {
        return Vec::new();
    }
    let near = || shares.iter().filter(move |(share, _)| *share >= best).map(|(_, known)| *known);
    let fitting: Vec<(usize, &str)> = near()
        .filter_map(|known| Some((distance(path, checkpoint, known.name, said)?, known.name)))
        .collect();
    match fitting.iter().map(|(distance, _)| *distance).min() {
        None => near().map(|known| known.name).collect(),
        Some(least) => {
            let nearest = fitting.into_iter().filter(|(distance, _)| *distance == least);
            nearest.map(|(_, name)| name).collect()
        }
    }
}

/// `it looks like resnet34`, or nothing if it looks like no network.
fn sentence(likely: &[&str]) -> Option<String> {
    let (last, others) = likely.split_last()?;
    Some(match others {
        [] => format!("it looks like {last}"),
        others => format!("it looks like {} or {last}", others.join(", ")),
    })
}

/// The error with what the checkpoint looks like, if that is another network than the one named. If
/// it looks like none, the architectures help.
pub(super) fn told(
    error: Error,
    path: &Path,
    checkpoint: &Checkpoint,
    said: &ImportOptions,
    named: &str,
) -> Error {
    let likely = likely(path, checkpoint, said);
    match sentence(&likely) {
        Some(sentence) if !likely.contains(&named) => of_file(error).and(&sentence),
        None if error.remedy().is_none() && said.config.is_none() => {
            error.with(Remedy::SayArchitecture)
        }
        Some(_) | None => error,
    }
}

/// A misshapen tensor as an error of its file, behind which more can be said. Sizes of another
/// network do not matter.
fn of_file(error: Error) -> Error {
    match error {
        Error::Shape { path, tensor, wanted_by, expected, found } => {
            let message =
                format!("tensor `{tensor}` has shape {found:?}, {wanted_by} wants {expected:?}");
            Error::file(path, message)
        }
        Error::Remedied { error, remedy: Remedy::SaySizes } => of_file(*error),
        other => other,
    }
}

/// What a checkpoint looks like; nothing if it cannot be read.
pub(super) fn guess(path: &Path, said: &ImportOptions) -> Option<String> {
    let checkpoint = Checkpoint::open(path).ok()?;
    sentence(&likely(path, &checkpoint, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_is_known() {
        assert_eq!(known().len(), ROWS.len());
        for known in known() {
            assert!(known.names.contains(&known.width), "{}", known.name);
        }
    }

    #[test]
    fn networks_are_named_in_a_sentence() {
        assert_eq!(sentence(&[]), None);
        assert_eq!(sentence(&["a"]).unwrap(), "it looks like a");
        assert_eq!(sentence(&["a", "b", "c"]).unwrap(), "it looks like a, b or c");
    }
}
