//! A training in the middle, as one file: weights, optimizer state, running average, place in the data. Written atomically, so there
//! is always a whole one, and with a checksum over all of it, so that damage is found before a run
//! goes on with it.

use std::collections::HashMap;
use std::path::Path;

use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::{Bytes, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{OptimizerConfig, Position, Trainee};
use crate::error::{Error, Result};
use crate::model_file::fit;
use crate::nn::{collect_named, names_and_shapes};
use crate::{bytes, fs, optim};

const KEY: &str = "revox-checkpoint";
const FORMAT: u32 = 2;
/// The format before there was a checksum, which is read too.
const UNCHECKED: u32 = 1;
/// The tensor that holds [`checksum`].
const CHECKSUM: &str = "sha256";
/// Epochs, and batches of an epoch, that no training exceeds.
const MOST: usize = u32::MAX as usize;

/// What is not a tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of the format.
    pub format: u32,
    /// Recipe, without what does not change the result.
    pub recipe: String,
    /// Hash of the data.
    pub data_hash: String,
    /// Epoch to go on with, from 1.
    pub epoch: usize,
    /// Batch to go on with, from 0.
    pub batch: usize,
    /// Sum of the losses of this epoch's batches so far.
    pub loss_sum: f64,
    /// Sum of their accuracies.
    pub accuracy_sum: f64,
    /// Steps of this epoch so far whose gradients could not be used.
    #[serde(default)]
    pub skipped: usize,
    /// Those of them without a usable one since.
    #[serde(default)]
    pub skipped_in_a_row: usize,
    /// Best dev EER so far with its epoch.
    pub best: Option<(f64, usize)>,
    /// Epochs in the running average.
    pub averaged: usize,
}

impl State {
    /// A training that has not begun.
    pub fn start(recipe: String, data_hash: String) -> Self {
        Self {
            format: FORMAT,
            recipe,
            data_hash,
            epoch: 1,
            batch: 0,
            loss_sum: 0.0,
            accuracy_sum: 0.0,
            skipped: 0,
            skipped_in_a_row: 0,
            best: None,
            averaged: 0,
        }
    }

    /// Refuses a place that no training has been at.
    fn check(&self) -> Result<(), String> {
        let tested = |(rate, epoch): (f64, usize)| rate.is_finite() && (1..self.epoch).contains(&epoch);
        let fine = (1..=MOST).contains(&self.epoch)
            && self.batch <= MOST
            && self.averaged < self.epoch
            && self.best.is_none_or(tested)
            && self.loss_sum.is_finite()
            && self.accuracy_sum.is_finite();
        let Self { epoch, batch, best, averaged, loss_sum, accuracy_sum, .. } = self;
        match fine {
            true => Ok(()),
            false => Err(format!(
                "its training state contradicts itself: epoch {epoch}, batch {batch}, best {best:?}, \
                 {averaged} epochs averaged, sums {loss_sum} and {accuracy_sum}"
            )),
        }
    }

    /// Where the data goes on.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, batch: self.batch }
    }
}

/// Running sums of weights by name.
pub type Average = HashMap<String, TensorData>;

/// SHA-256 over the training state's JSON and every other tensor, by name.
fn checksum(state: &str, tensors: &[(&str, TensorView)]) -> Vec<u8> {
    let mut sorted: Vec<&(&str, TensorView)> = tensors.iter().filter(|t| t.0 != CHECKSUM).collect();
    sorted.sort_by(|a, b| a.0.cmp(b.0));
    let mut hash = Sha256::new();
    // With lengths in front, no two contents are one string of bytes.
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(state.as_bytes());
    for (name, view) in sorted {
        add(name.as_bytes());
        add(format!("{:?} {:?}", view.dtype(), view.shape()).as_bytes());
        add(view.data());
    }
    hash.finalize().to_vec()
}

/// Writes a checkpoint.
pub fn save(
    path: &Path,
    trainee: &Trainee,
    optimizer: &ModuleOptimizer,
    average: &Average,
    state: &State,
) -> Result<()> {
    let bad = |e: String| Error::file(path, format!("cannot write a checkpoint: {e}"));
    let mut parts: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut add = |prefix: &str, name: &str, data: &TensorData| -> Result<()> {
        let values = data.clone().convert::<f32>();
        let values = values.as_slice::<f32>().map_err(|e| bad(format!("{name}: {e:?}")))?;
        parts.push((format!("{prefix}{name}"), Dtype::F32, data.shape().to_vec(), bytes::from_f32(values)));
        Ok(())
    };
    for (name, data) in collect_named(trainee) {
        add("model.", &name, &data)?;
    }
    for (name, data) in average {
        add("average.", name, data)?;
    }
    let record = optimizer.into_bytes().map_err(|e| bad(e.to_string()))?;
    parts.push(("optimizer".into(), Dtype::U8, vec![record.len()], record.to_vec()));
    let json = serde_json::to_string(state).map_err(|e| bad(e.to_string()))?;
    let mut views: Vec<(&str, TensorView)> = parts
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<_, safetensors::SafeTensorError>>()
        .map_err(|e| bad(e.to_string()))?;
    let sum = checksum(&json, &views);
    let view = TensorView::new(Dtype::U8, vec![sum.len()], &sum).map_err(|e| bad(e.to_string()))?;
    views.push((CHECKSUM, view));
    let file =
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), json)]))).map_err(|e| bad(e.to_string()))?;
    fs::write_bytes(path, &file)
}

/// Reads a checkpoint into a trainee and an optimizer of the same recipe.
///
/// # Errors
/// A damaged file. Another architecture, with the tensor; another optimizer, with both.
pub fn load(
    path: &Path,
    trainee: Trainee,
    optimizer: &OptimizerConfig,
) -> Result<(Trainee, ModuleOptimizer, Average, State)> {
    let file_bytes = fs::read(path)?;
    let bad = |e: String| Error::file(path, format!("not a readable checkpoint: {e}"));
    let (_, metadata) = SafeTensors::read_metadata(&file_bytes).map_err(|e| bad(e.to_string()))?;
    let file = SafeTensors::deserialize(&file_bytes).map_err(|e| bad(e.to_string()))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| bad("no training state".into()))?;
    let mut state: State = serde_json::from_str(json).map_err(|e| bad(e.to_string()))?;
    if !(UNCHECKED..=FORMAT).contains(&state.format) {
        return Err(bad(format!("format {}; this version reads {UNCHECKED} to {FORMAT}", state.format)));
    }
    let views: Vec<(&str, TensorView)> = file.iter().collect();
    let whole = match file.tensor(CHECKSUM) {
        Ok(sum) => sum.data() == checksum(json, &views),
        Err(_) => state.format == UNCHECKED,
    };
    if !whole {
        return Err(bad("it is damaged: its checksum is not that of its content".into()));
    }
    state.check().map_err(bad)?;
    let (mut model, mut average, mut record) = (HashMap::new(), Average::new(), None);
    for (name, view) in views {
        let data = || TensorData::new(bytes::to_f32(view.data()), view.shape().to_vec());
        match name.split_once('.') {
            Some(("model", rest)) if view.dtype() == Dtype::F32 => drop(model.insert(rest.to_owned(), data())),
            Some(("average", rest)) if view.dtype() == Dtype::F32 => drop(average.insert(rest.to_owned(), data())),
            _ if name == "optimizer" => record = Some(Bytes::from_bytes_vec(view.data().to_vec()).shared()),
            _ if name == CHECKSUM => {}
            _ => return Err(bad(format!("tensor `{name}` has no place"))),
        }
    }
    let record = record.ok_or_else(|| bad("no optimizer state".into()))?;
    let trainee = fit(path, trainee, "this recipe", model)?;
    check_average(&trainee, &average, state.averaged).map_err(bad)?;
    // Which optimizer it is of is the clearer message.
    let optimizer = optimizer.restore(record.clone()).map_err(|e| bad(e.to_string()))?;
    optim::Record::read(&record).and_then(|r| r.check_module(&trainee)).map_err(|e| bad(e.to_string()))?;
    state.format = FORMAT;
    Ok((trainee, optimizer, average, state))
}

/// Refuses sums that are not those of a trainee's tensors.
fn check_average(trainee: &Trainee, average: &Average, averaged: usize) -> Result<(), String> {
    let wanted = names_and_shapes(trainee);
    let count = if averaged == 0 { 0 } else { wanted.len() };
    if average.len() != count {
        return Err(format!("{} sums of weights for {averaged} epochs", average.len()));
    }
    let fits = |(name, shape): &&(String, Vec<usize>)| {
        let finite = |data: &TensorData| data.iter::<f32>().all(f32::is_finite);
        average.get(name).is_some_and(|data| data.shape().as_slice() == shape.as_slice() && finite(data))
    };
    match wanted.iter().take(count).find(|tensor| !fits(tensor)) {
        Some((name, shape)) => Err(format!("no sum of `{name}` with shape {shape:?} and finite values")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
