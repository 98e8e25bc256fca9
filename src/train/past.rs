//! The checkpoint that a run goes on with. It is checked before any data is read.

use std::path::Path;

use super::Recipe;
use super::checkpoint::{self, State};
use super::identity::{Accept, EPOCHS, Identity};
use super::stopping::ended;
use super::strategy::MODEL;
use crate::bytes::counted;
use crate::error::{Error, Remedy, Result};
use crate::fs;
use crate::model_file::read_header;

/// The name under which a person accepts that the model of the best epoch is gone.
const MODEL_FILE: &str = "model-file";

/// A checkpoint whose settings are those of the run, or accepted.
pub(super) struct Past<'a> {
    pub path: &'a Path,
    pub state: State,
    /// Why nothing is left to train, if nothing is.
    pub ended: Option<String>,
}

impl<'a> Past<'a> {
    /// Reads the state. `note` gets remarks for people.
    ///
    /// # Errors
    /// A damaged file, with the name of the checkpoint before it. A checkpoint of another run. One
    /// whose best model is gone.
    pub fn read(
        path: &'a Path,
        recipe: &Recipe,
        identity: &Identity,
        accept: &Accept,
        note: &dyn Fn(&str),
    ) -> Result<Self> {
        let mut state = checkpoint::read_state(path).map_err(|e| way_out(path, e))?;
        let notes = identity.check_settings(&state.identity, path, accept)?;
        // With other settings, repeated epochs may make another model than the one on disk.
        let changed = notes.iter().any(|text| text.starts_with("accepted: "));
        notes.iter().for_each(|text| note(text));
        state.best = best(path, &state, recipe, changed, accept, note)?;
        if state.epoch > recipe.train.epochs + 1 {
            let (done, epochs) = (state.epoch - 1, recipe.train.epochs);
            let trained = counted(done, "epoch");
            let message = format!("was written after {trained}; {EPOCHS} of this run is {epochs}");
            let remedy = Remedy::Set { key: EPOCHS, value: done.to_string(), names: Vec::new() };
            return Err(Error::file(path, message).with(remedy));
        }
        let ended = ended(recipe, &state);
        if let Some(why) = &ended {
            note(&format!("the run had ended: {why}; nothing is left to train"));
        }
        Ok(Self { path, state, ended })
    }
}

/// The best epoch so far. Its model must be there, unless a person accepts that it is gone.
fn best(
    checkpoint: &Path,
    state: &State,
    recipe: &Recipe,
    changed: bool,
    accept: &Accept,
    note: &dyn Fn(&str),
) -> Result<Option<(f64, usize)>> {
    let Some((_, epoch)) = state.best.filter(|_| recipe.train.average_last == 1) else {
        return Ok(state.best);
    };
    let model = fs::parent(checkpoint).join(MODEL);
    let trained = match read_header(&model) {
        Ok(header) => header.training.map_or(0, |t| t.epoch as usize),
        Err(_) if accept.takes(MODEL_FILE) => {
            note(&format!(
                "the best epoch so far, {epoch}, is forgotten with its model: the best of what \
                 follows is taken"
            ));
            return Ok(None);
        }
        Err(e) => {
            let message = format!(
                "{e}. It is the model of epoch {epoch}, the best so far. Put it back, or accept \
                 that it is gone: then the best of what follows is taken"
            );
            let remedy = Remedy::Accept { names: vec![MODEL_FILE.to_owned()] };
            return Err(Error::Training(message).with(remedy));
        }
    };
    // Repeating an epoch gives the same model, so a model of a later epoch does no harm unless
    // settings differ.
    if changed && trained > epoch {
        note(&format!(
            "{} is of epoch {trained}, trained by other settings: the best of what follows is \
             taken",
            model.display()
        ));
        return Ok(None);
    }
    Ok(state.best)
}

/// The error of a checkpoint, with the checkpoint before it as the way out.
pub(super) fn way_out(path: &Path, error: Error) -> Error {
    let before = checkpoint::before(fs::parent(path)).filter(|before| before != path);
    match before {
        // A checkpoint of a newer version is whole.
        _ if matches!(error.bare(), Error::Invalid(_)) => error,
        Some(before) => {
            error.and(&format!("remove it to go on with {}, the one before", before.display()))
        }
        None => error,
    }
}
