//! WeSpeaker checkpoints: a state_dict as `.pt` or `.safetensors`, with the training's
//! `config.yaml` where there is one.
//!
//! A checkpoint may come from anywhere. Names, number formats and shapes are compared with the
//! architecture's before any tensor is read, and a file that promises more than it holds is
//! refused.

mod archive;
mod checkpoint;
mod config;
mod format;
mod infer;
mod number;
mod pickle;
mod section;
mod weights;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, TensorData};

use super::{Frontend, HEAD_PREFIX, Header, Model, NamedTensors, compare, fit};
use crate::error::{Error, Result};
use crate::nn::{PoolingKind, names_and_shapes};
use crate::zoo::Architecture;
use checkpoint::{Checkpoint, Entry};
use config::Config;
use weights::Weights;

/// What a checkpoint does not say itself.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Architecture; needed without a `config.yaml`.
    pub arch: Option<String>,
    /// WeSpeaker's `config.yaml`.
    pub config: Option<PathBuf>,
    /// Mel filters, if neither configuration nor shapes tell.
    pub mels: Option<usize>,
    /// Pooling, if neither configuration nor shapes tell.
    pub pooling: Option<PoolingKind>,
    /// The key or prefix of the weights, where the checkpoint holds the network more than once;
    /// empty for the top level.
    pub key: Option<String>,
}

/// A checkpoint as a model.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The model.
    pub model: Model,
    /// The training head's tensors (`projection.*`), if there are any.
    pub head: NamedTensors,
    /// What a user should know: where the weights were found, what was converted or left aside.
    pub notes: Vec<String>,
}

/// Reads a checkpoint into a model, with the training head's tensors (`projection.*`) beside it if
/// there are any.
///
/// # Errors
/// Those of [`import_noted`].
pub fn import(
    path: &Path,
    options: &ImportOptions,
    device: &Device,
) -> Result<(Model, NamedTensors)> {
    import_noted(path, options, device).map(|imported| (imported.model, imported.head))
}

/// Reads a checkpoint into a model, and says what it found.
///
/// # Errors
/// Files of other formats, damaged and hostile ones; another network than the one named; tensors
/// that are missing, superfluous, misshapen or not finite; a configuration that contradicts the
/// checkpoint or asks for features that are not supported.
pub fn import_noted(path: &Path, options: &ImportOptions, device: &Device) -> Result<Imported> {
    let config = options.config.as_deref().map(Config::read).transpose()?;
    let name =
        infer::said("--arch", options.arch.clone(), config.as_ref().map(|c| c.arch.clone()))?
            .ok_or_else(|| {
                Error::invalid("say which architecture: --arch NAME, or --config config.yaml")
            })?;
    let arch = Architecture::named(&name)?;
    let body = infer::Shape::of(&arch)?;
    let checkpoint = Checkpoint::open(path)?;
    let weights = weights::find(path, &checkpoint, &name, body.first, options.key.as_deref())?;
    let arch = infer::infer(path, arch, &body, &weights, config.as_ref(), options)?;
    let mut frontend = Frontend::default();
    let mut notes = weights.notes.clone();
    if let Some(config) = &config {
        config.agrees(&arch, path)?;
        frontend = config.frontend.clone();
        notes.extend(config.notes.iter().cloned());
    }
    frontend.fbank.mels = arch.mels;
    match &config {
        Some(config) => config.check_front_end(&frontend.fbank)?,
        None => frontend.fbank.check()?,
    }

    // A parameter takes a byte at least, so this is no network that the file could hold.
    let parameters = arch.account(200)?.parameters() as u64;
    if parameters > checkpoint.held {
        let (width, held) = (arch.width, checkpoint.held);
        let message = format!(
            "{name} of width {width} has {parameters} parameters; the file holds {held} bytes"
        );
        return Err(Error::file(path, message));
    }
    let network = arch.init(device, 0)?;
    let shapes = weights.network.iter().map(|(name, entry)| (*name, entry.shape.clone())).collect();
    compare(path, &names_and_shapes(&network), &arch.name, &shapes)?;
    let head = usable_head(&arch, &weights, &mut notes);
    let wanted = weights.network.values().chain(head.values()).map(|entry| entry.bytes());
    affordable(path, checkpoint.held, wanted)?;
    notes.extend(conversions(&weights));

    let values = |(name, entry): (&&str, &&Entry)| -> Result<(String, TensorData)> {
        Ok(((*name).to_owned(), checkpoint.values(name, entry)?))
    };
    let head = NamedTensors(head.iter().map(values).collect::<Result<_>>()?);
    let network =
        fit(path, network, &arch.name, weights.network.iter().map(values).collect::<Result<_>>()?)?;
    Ok(Imported { model: Model { header: Header::new(arch, frontend), network }, head, notes })
}

/// The training head's tensors. A head that does not fit the network is left out: nothing but
/// training uses it.
fn usable_head<'a>(
    arch: &Architecture,
    weights: &Weights<'a>,
    notes: &mut Vec<String>,
) -> BTreeMap<&'a str, &'a Entry> {
    let rows = format!("{HEAD_PREFIX}weight");
    let fault = weights.head.iter().find_map(|(name, entry)| match entry.shape[..] {
        _ if entry.number.is_none() => Some(format!("`{name}` is {}", entry.dtype)),
        [_, dim] if *name == rows && dim == arch.embedding_dim => None,
        _ if *name == rows => Some(format!(
            "`{name}` has shape {:?}, [speakers, {}] is wanted",
            entry.shape, arch.embedding_dim
        )),
        _ => None,
    });
    match fault {
        None => weights.head.clone(),
        Some(fault) => {
            notes.push(format!("the training head was left out: {fault}"));
            BTreeMap::new()
        }
    }
}

/// Refuses tensors that come to more bytes than the file holds: views that repeat a few values.
/// Twice as many are let pass, for tensors that share their values honestly.
fn affordable(path: &Path, held: u64, wanted: impl Iterator<Item = u64>) -> Result<()> {
    let wanted = wanted.fold(0u64, u64::saturating_add);
    match wanted > held.saturating_mul(2) {
        true => Err(Error::file(
            path,
            format!("its tensors expand to {wanted} bytes; the file holds {held}"),
        )),
        false => Ok(()),
    }
}

/// A note on weights that were not f32.
fn conversions(weights: &Weights) -> Option<String> {
    let mut found: Vec<&str> = weights.network.values().map(|entry| entry.dtype.as_str()).collect();
    found.sort_unstable();
    found.dedup();
    found.retain(|dtype| *dtype != "F32");
    (!found.is_empty())
        .then(|| format!("weights were converted to F32 from {}", found.join(" and ")))
}

/// A PyTorch file that cannot be read.
fn unreadable(path: &Path, what: &str) -> Error {
    Error::file(path, format!("not a readable PyTorch checkpoint: {what}"))
}

#[cfg(test)]
mod tests;
