//! The state of a training as one file: weights, optimizer state, running average, place in the
//! data, and what the run depends on. The file is written atomically, so that a whole one is always
//! there. Its checksum covers all of it, so that damage is found before a run goes on with it.

mod classes;
mod keeper;
mod snapshot;
mod state;

pub(super) use keeper::{Keeper, NEWEST, before, is_older, newest};
pub use snapshot::Snapshot;
pub use state::State;

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Bytes, TensorData};
use safetensors::tensor::Dtype;

use self::classes::Moved;
use self::state::Unread;
use super::{HeadMatch, OptimizerConfig, Trainee};
use crate::error::{Error, Result};
use crate::model_file::fit;
use crate::nn::names_and_shapes;
use crate::optim::Stepper;
use crate::tensor_file::{self, Contents};
use crate::{bytes, optim};

/// The metadata that holds the state.
const KEY: &str = "revox-checkpoint";
/// The tensor that holds the optimizer's record.
const OPTIMIZER: &str = "optimizer";
/// The first format with the checksum of [`tensor_file`].
const CHECKED: u32 = 3;
/// The tensor that format 2 kept a checksum in.
const OLD_CHECKSUM: &str = "sha256";

/// Running sums of weights by name.
pub type Average = HashMap<String, TensorData>;

/// Writes a checkpoint.
///
/// # Errors
/// Those of [`Snapshot::take`] and [`Snapshot::write`].
pub fn save(
    path: &Path,
    trainee: &Trainee,
    optimizer: &Stepper,
    average: &Average,
    state: &State,
) -> Result<()> {
    Snapshot::take(trainee, optimizer, average, state)?.write(path)
}

fn bad(path: &Path, e: impl std::fmt::Display) -> Error {
    Error::file(path, format!("not a readable checkpoint: {e}"))
}

fn read(path: &Path) -> Result<(Contents, State)> {
    let file = tensor_file::read(path, "checkpoint")?;
    let json = file.metadata.get(KEY).ok_or_else(|| bad(path, "no training state"))?;
    let (state, format) = match State::parse(json) {
        Ok(read) => read,
        // The file is whole, so the message does not call it unreadable.
        Err(Unread::Newer(what)) => {
            return Err(Error::Invalid(format!("{}: {what}", path.display())));
        }
        Err(Unread::Damaged(what)) => return Err(bad(path, what)),
    };
    if format >= CHECKED && !file.has_checksum() {
        return Err(bad(path, "its checksum is gone"));
    }
    Ok((file, state))
}

/// The state of a checkpoint.
///
/// # Errors
/// A damaged file. A file of a newer version.
pub fn read_state(path: &Path) -> Result<State> {
    read(path).map(|(_, state)| state)
}

/// What a checkpoint makes of a trainee and an optimizer.
pub(super) struct Loaded {
    pub trainee: Trainee,
    pub optimizer: Stepper,
    pub average: Average,
    pub state: State,
    /// How the classes were found, if they are not those of the checkpoint. Then the state is at
    /// the beginning of its epoch, which has other steps now.
    pub head: Option<HeadMatch>,
}

/// Reads a checkpoint into a trainee and an optimizer of the same recipe.
///
/// # Errors
/// A damaged file. Another architecture, with the tensor; another optimizer, with both.
pub fn load(
    path: &Path,
    trainee: Trainee,
    optimizer: &OptimizerConfig,
) -> Result<(Trainee, Stepper, Average, State)> {
    let Loaded { trainee, optimizer, average, state, .. } =
        load_for(path, trainee, optimizer, &[])?;
    Ok((trainee, optimizer, average, state))
}

/// [`load`] for a trainee whose head has classes of these names. If they are not those of the
/// checkpoint, rows of the head go by the names, with their moments and sums: new classes keep the
/// trainee's rows, and begin with moments of 0. Without names, the classes are taken for the same.
///
/// # Errors
/// Those of [`load`].
pub(super) fn load_for(
    path: &Path,
    trainee: Trainee,
    optimizer: &OptimizerConfig,
    classes: &[String],
) -> Result<Loaded> {
    let (file, state) = read(path)?;
    let moved = Moved::between(&state.classes, classes);
    let bad = |e: String| bad(path, e);
    let tensors = file.tensors();
    let (mut model, mut average, mut record) = (HashMap::new(), Average::new(), None);
    for (name, view) in tensors.iter() {
        let data = || TensorData::new(bytes::to_f32(view.data()), view.shape().to_vec());
        match name.split_once('.') {
            Some(("model", rest)) if view.dtype() == Dtype::F32 => {
                drop(model.insert(rest.to_owned(), data()))
            }
            Some(("average", rest)) if view.dtype() == Dtype::F32 => {
                drop(average.insert(rest.to_owned(), data()))
            }
            _ if name == OPTIMIZER => {
                record = Some(Bytes::from_bytes_vec(view.data().to_vec()).shared())
            }
            _ if name == OLD_CHECKSUM => {}
            _ => return Err(bad(format!("tensor `{name}` has no place"))),
        }
    }
    let mut record = record.ok_or_else(|| bad("no optimizer state".into()))?;
    if let Some(moved) = &moved {
        moved.weights(&trainee, &mut model, 1);
        moved.weights(&trainee, &mut average, state.averaged);
    }
    let trainee = fit(path, trainee, "this recipe", model)?;
    check_average(&trainee, &average, state.averaged).map_err(bad)?;
    // First the kind of the optimizer: that message is clearer than one about tensors.
    let of_record = |e: Error| bad(e.to_string());
    let mut stepper = optimizer.restore(record.clone()).map_err(of_record)?;
    if let Some(moved) = &moved {
        record = moved.moments(&trainee, optimizer, record).map_err(of_record)?;
        stepper = optimizer.restore(record.clone()).map_err(of_record)?;
    }
    optim::Record::read(&record).and_then(|r| r.check_module(&trainee)).map_err(of_record)?;
    let (state, head) = match moved {
        Some(moved) => (state.rewound(), Some(moved.summary())),
        None => (state, None),
    };
    Ok(Loaded { trainee, optimizer: stepper, average, state, head })
}

/// Refuses sums that do not fit a trainee's tensors.
fn check_average(trainee: &Trainee, average: &Average, averaged: usize) -> Result<(), String> {
    let wanted = names_and_shapes(trainee);
    let count = if averaged == 0 { 0 } else { wanted.len() };
    if average.len() != count {
        let epochs = crate::bytes::counted(averaged, "epoch");
        return Err(format!("{} sums of weights for {epochs}", average.len()));
    }
    let fits = |(name, shape): &&(String, Vec<usize>)| {
        let finite = |data: &TensorData| data.iter::<f32>().all(f32::is_finite);
        average
            .get(name)
            .is_some_and(|data| data.shape().as_slice() == shape.as_slice() && finite(data))
    };
    match wanted.iter().take(count).find(|tensor| !fits(tensor)) {
        Some((name, shape)) => {
            Err(format!("no sum of `{name}` with shape {shape:?} and finite values"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
