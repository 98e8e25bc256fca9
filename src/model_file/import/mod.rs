//! Import of WeSpeaker checkpoints: a state_dict as `.pt` or `.safetensors`, with the training's
//! `config.yaml` where there is one, or an exported `.onnx` file.
//!
//! A checkpoint may come from anywhere. Names, number formats and shapes are compared with the
//! architecture's graph before any value is read or any network is built, and a file that promises
//! more than it holds is refused. An error about a checkpoint of another network says which one it
//! looks like.

mod archive;
mod cell;
mod checkpoint;
mod config;
mod exported;
mod format;
mod infer;
mod layers;
mod likeness;
mod number;
mod onnx;
mod pickle;
mod section;
mod weights;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, TensorData};

use super::{Frontend, HEAD_PREFIX, Header, Model, NamedTensors, fit};
use crate::error::{Error, Remedy, Result};
use crate::fs;
use crate::nn::PoolingKind;
use crate::zoo::{Architecture, Layers};
use checkpoint::{Checkpoint, Entry};
use config::Config;
use format::Format;
use infer::Resolved;
use onnx::Facts;
pub use onnx::{OnnxFile, OnnxPort, OnnxTensor};
pub(crate) use onnx::{code_width, short_names};
use weights::Weights;

/// What a checkpoint does not say of itself.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The architecture's name. A checkpoint needs it without a `config.yaml`; an ONNX file only if
    /// several networks fit it.
    pub arch: Option<String>,
    /// WeSpeaker's `config.yaml`.
    pub config: Option<PathBuf>,
    /// Mel filters; 80 where the configuration does not say either.
    pub mels: Option<usize>,
    /// Pooling; the network's usual one, or TSTP, where neither the configuration nor the tensors
    /// tell.
    pub pooling: Option<PoolingKind>,
    /// Other layers than the published network's, where neither the configuration nor the tensors
    /// tell.
    pub layers: Option<Layers>,
    /// The key or prefix of the weights, if the checkpoint holds the network more than once. Empty
    /// for the top level.
    pub key: Option<String>,
}

/// A checkpoint as a model.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The model.
    pub model: Model,
    /// The training head's tensors (`projection.*`), if there are any.
    pub head: NamedTensors,
    /// What a user should know: where the weights were found, what was converted or left out.
    pub notes: Vec<String>,
    /// Whether the file said its network, front-end and thresholds itself, as one of `revox export`
    /// does.
    pub own: bool,
}

/// Reads a checkpoint as a model and the training head's tensors (`projection.*`), if there are
/// any.
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

/// Reads a checkpoint as a model, with notes on what it found.
///
/// # Errors
/// Files of other formats, damaged and hostile ones; another network than the one named; tensors
/// that are missing, superfluous, misshapen or not finite; a configuration that contradicts the
/// options or the checkpoint, or that asks for features that are not supported.
pub fn import_noted(path: &Path, options: &ImportOptions, device: &Device) -> Result<Imported> {
    let config = options.config.as_deref().map(Config::read).transpose()?;
    let configured = config.as_ref();
    let named = infer::said("arch", options.arch.clone(), configured.map(|c| c.arch.clone()))?;
    let layers =
        infer::said("layers", options.layers.clone(), configured.and_then(|c| c.layers.clone()))?;
    let of_name = |name: &String| -> Result<Architecture> {
        Ok(Architecture { layers: layers.clone(), ..Architecture::named(name)? })
    };
    let named = named.as_ref().map(of_name).transpose()?;
    let is_onnx = format::of(path).is_ok_and(|(format, _)| format == Format::Onnx);
    let onnx = is_onnx.then(|| onnx::File::read(path)).transpose()?;
    if let Some(file) = onnx.as_ref().filter(|file| file.is_own()) {
        return exported::model(path, file, options, device);
    }
    let Opened { name, checkpoint, facts, options, mut notes } =
        open(path, onnx, named.as_ref(), configured, options)?;
    let (arch, options) = (of_name(&name)?, &options);
    let told = |e: Error| likeness::told(e, path, &checkpoint, options, &name);
    let found = Resolved::new(path, &checkpoint, arch, configured, options).map_err(told)?;
    let Resolved { weights, arch, .. } = &found;
    let mut frontend = Frontend::default();
    notes.extend(weights.notes.iter().cloned());
    match configured {
        Some(config) => {
            config.agrees(arch, path)?;
            frontend = config.frontend.clone();
            notes.extend(config.notes.iter().cloned());
        }
        None => facts.apply(&mut frontend),
    }
    facts.agrees(path, arch, &frontend)?;
    notes.extend(facts.note());
    frontend.fbank.mels = arch.mels;
    match configured {
        Some(config) => config.check_front_end(&frontend.fbank)?,
        None => frontend.fbank.check().map_err(|e| Error::file(path, e.to_string()))?,
    }
    found.fits(path, &checkpoint).map_err(told)?;
    let head = usable_head(arch, weights, &mut notes);
    let wanted = weights.network.values().chain(head.values()).map(|entry| entry.bytes());
    affordable(path, checkpoint.held, wanted)?;
    notes.extend(conversions(weights));
    notes.extend(differences(arch, configured.is_some_and(Config::says_width))?);

    let values = |(name, entry): (&&str, &&Entry)| -> Result<(String, TensorData)> {
        Ok(((*name).to_owned(), checkpoint.values(name, entry)?))
    };
    let head = NamedTensors(head.iter().map(values).collect::<Result<_>>()?);
    let found = weights.network.iter().map(values).collect::<Result<_>>()?;
    let network = fit(path, arch.init(device, 0)?, &arch.name, found)?;
    let mut header = Header::new(arch.clone(), frontend);
    header.scoring.embedding_mean = facts.mean;
    Ok(Imported { model: Model { header, network }, head, notes, own: false })
}

/// A file with the network's name, its tensors by the checkpoint's names, and what else it says.
struct Opened {
    name: String,
    checkpoint: Checkpoint,
    facts: Facts,
    /// The options, with what the file says added.
    options: ImportOptions,
    notes: Vec<String>,
}

/// Opens a checkpoint, or finds the network of an ONNX file.
fn open(
    path: &Path,
    onnx: Option<onnx::File>,
    named: Option<&Architecture>,
    config: Option<&Config>,
    options: &ImportOptions,
) -> Result<Opened> {
    let Some(file) = onnx else {
        let name = named.map(|arch| arch.name.clone()).ok_or_else(|| unnamed(path, options))?;
        let (checkpoint, options) = (Checkpoint::open(path)?, options.clone());
        return Ok(Opened { name, checkpoint, facts: Facts::default(), options, notes: vec![] });
    };
    let facts = file.facts()?;
    let mels = infer::said("mels", options.mels, facts.mels).map_err(|_| {
        let (given, mels) = (options.mels.unwrap_or(0), facts.mels.unwrap_or(0));
        Error::file(path, format!("its input has {mels} mels, not {given}"))
    })?;
    let options = ImportOptions { mels, ..options.clone() };
    let onnx::Found { name, checkpoint, notes } = file.find(named, config, &options)?;
    Ok(Opened { name, checkpoint, facts, options, notes })
}

/// What tells a network from the published one of its name. A width that was said is no surprise.
fn differences(arch: &Architecture, width_was_said: bool) -> Result<Vec<String>> {
    let (name, own) = (&arch.name, Architecture::named(&arch.name)?);
    let mut notes = Vec::new();
    if arch.layers.is_some() {
        notes.push(format!("the layers have other sizes than those of the published {name}"));
    }
    if arch.width != own.width && !width_was_said {
        let (width, usual) = (arch.width, own.width);
        notes.push(format!("the width is {width}; the published {name} has {usual}"));
    }
    if arch.pooling != own.pooling {
        let (pooling, usual) = (arch.pooling.name(), own.pooling.name());
        notes.push(format!("the pooling is {pooling}; the published {name} has {usual}"));
    }
    Ok(notes)
}

/// The error of a checkpoint whose architecture nothing names, or that cannot be opened at all.
fn unnamed(path: &Path, options: &ImportOptions) -> Error {
    if let Err(error) = fs::open(path) {
        return error;
    }
    let error = Error::file(path, "a checkpoint does not name its architecture");
    let error = match likeness::guess(path, options) {
        Some(guess) => error.and(&guess),
        None => error,
    };
    error.with(Remedy::SayArchitecture)
}

/// The training head's tensors. A head that does not fit the network is left out with a note, since
/// only training uses it.
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

/// Refuses tensors of more than twice as many bytes as the file holds: views that repeat a few
/// values. Twice as many are accepted, since tensors may well share their values.
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

/// A note on weights that were converted to f32, if there are any.
fn conversions(weights: &Weights) -> Option<String> {
    let mut found: Vec<&str> = weights.network.values().map(|entry| entry.dtype.as_str()).collect();
    found.sort_unstable();
    found.dedup();
    found.retain(|dtype| *dtype != "F32");
    (!found.is_empty())
        .then(|| format!("weights were converted to F32 from {}", found.join(" and ")))
}

/// The error of a PyTorch file that cannot be read.
fn unreadable(path: &Path, what: &str) -> Error {
    Error::file(path, format!("not a readable PyTorch checkpoint: {what}"))
}

#[cfg(test)]
mod tests;
