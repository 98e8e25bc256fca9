//! A copy of a training in memory, which is written while the training goes on.

use std::fmt::Display;
use std::path::Path;

use burn::tensor::{Bytes, TensorData};
use safetensors::tensor::Dtype;

use super::{Average, KEY, OPTIMIZER, State};
use crate::error::{Error, Result};
use crate::nn::collect_named;
use crate::optim::{self, Stepper};
use crate::tensor_file::{self, Part};
use crate::train::Trainee;

/// Everything that a training needs to go on, copied to the host.
pub struct Snapshot {
    /// Names in the file, with f32 values.
    tensors: Vec<(String, TensorData)>,
    /// The optimizer's record.
    record: Bytes,
    state: String,
}

impl Snapshot {
    /// Copies weights (of a trainee in evaluation state), optimizer state and sums to the host.
    ///
    /// # Errors
    /// An optimizer whose state has no form in bytes.
    pub fn take(
        trainee: &Trainee,
        optimizer: &Stepper,
        average: &Average,
        state: &State,
    ) -> Result<Self> {
        let record = optimizer.into_bytes().map_err(cannot)?;
        Self::with_record(trainee, record, average, state)
    }

    /// [`Snapshot::take`] with the record of an optimizer's states.
    ///
    /// # Errors
    /// A state that has no form as text.
    pub(in crate::train) fn with_record(
        trainee: &Trainee,
        record: Bytes,
        average: &Average,
        state: &State,
    ) -> Result<Self> {
        let weights =
            collect_named(trainee).into_iter().map(|(name, data)| (format!("model.{name}"), data));
        let sums = average.iter().map(|(name, data)| (format!("average.{name}"), data.clone()));
        let tensors = weights
            .chain(sums)
            .map(|(name, data)| (name, fetched(data.convert::<f32>())))
            .collect();
        let state = serde_json::to_string(state).map_err(cannot)?;
        Ok(Self { tensors, record, state })
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// Those of [`crate::fs::write_atomic`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let bad = |e: String| Error::file(path, format!("cannot write a checkpoint: {e}"));
        // Burn's record has the order of a hash table, which differs from run to run.
        let record = optim::in_order(self.record.clone()).map_err(|e| bad(e.to_string()))?;
        let mut parts = vec![Part {
            name: OPTIMIZER.into(),
            dtype: Dtype::U8,
            shape: vec![record.len()],
            bytes: (&record[..]).into(),
        }];
        for (name, data) in &self.tensors {
            let values = data.as_slice::<f32>().map_err(|e| bad(format!("{name}: {e:?}")))?;
            parts.push(Part {
                name: name.as_str().into(),
                dtype: Dtype::F32,
                shape: data.shape().to_vec(),
                bytes: values.into(),
            });
        }
        tensor_file::write(path, &[(KEY, &self.state)], &parts)
    }
}

fn cannot(e: impl Display) -> Error {
    Error::Training(format!("a checkpoint cannot be made: {e}"))
}

/// The data, with its values on the host. Burn copies them from a GPU when somebody looks at them.
/// By then the training may have changed them where they are.
fn fetched(data: TensorData) -> TensorData {
    let _ = data.as_bytes();
    data
}
