//! A training in the middle, as one file: weights, optimizer state, running average, place in the data. Written atomically, so there
//! is always a whole one.

use std::collections::HashMap;
use std::path::Path;

use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::{Bytes, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{OptimizerConfig, Position, Trainee};
use crate::error::{Error, Result};
use crate::model_file::fit;
use crate::nn::collect_named;
use crate::{bytes, fs};

const KEY: &str = "revox-checkpoint";
const FORMAT: u32 = 1;

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

    /// Where the data goes on.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, batch: self.batch }
    }
}

/// Running sums of weights by name.
pub type Average = HashMap<String, TensorData>;

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
    let views: Vec<(&str, TensorView)> = parts
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<_, safetensors::SafeTensorError>>()
        .map_err(|e| bad(e.to_string()))?;
    let file =
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), json)]))).map_err(|e| bad(e.to_string()))?;
    fs::write_bytes(path, &file)
}

/// Reads a checkpoint into a trainee and an optimizer of the same recipe. Another architecture is an error naming the tensor, another optimizer one naming
/// both.
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
    let state: State = serde_json::from_str(json).map_err(|e| bad(e.to_string()))?;
    if state.format != FORMAT {
        return Err(bad(format!("format {}; this version reads {FORMAT}", state.format)));
    }
    let (mut model, mut average, mut record) = (HashMap::new(), Average::new(), None);
    for (name, view) in file.iter() {
        let data = || TensorData::new(bytes::to_f32(view.data()), view.shape().to_vec());
        match name.split_once('.') {
            Some(("model", rest)) if view.dtype() == Dtype::F32 => drop(model.insert(rest.to_owned(), data())),
            Some(("average", rest)) if view.dtype() == Dtype::F32 => drop(average.insert(rest.to_owned(), data())),
            _ if name == "optimizer" => record = Some(Bytes::from_bytes_vec(view.data().to_vec())),
            _ => return Err(bad(format!("tensor `{name}` has no place"))),
        }
    }
    let record = record.ok_or_else(|| bad("no optimizer state".into()))?;
    let optimizer = optimizer.restore(record).map_err(|e| bad(e.to_string()))?;
    Ok((fit(path, trainee, "this recipe", model)?, optimizer, average, state))
}
