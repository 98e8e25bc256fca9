//! The checkpoint that a run goes on with, looked at before any data is read.

use std::path::Path;

use super::Recipe;
use super::checkpoint::{self, State};
use super::identity::{Accept, Identity};
use super::stopping::ended;
use super::strategy::MODEL;
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::read_header;
use crate::terminal::note;

/// The name that `--accept` has for a run without the model of its best epoch.
const MODEL_FILE: &str = "model-file";

/// A checkpoint whose settings are those of the run, or accepted.
pub(super) struct Past<'a> {
    pub path: &'a Path,
    pub state: State,
    /// Why nothing is left to train, if that is so.
    pub ended: Option<String>,
}

impl<'a> Past<'a> {
    /// Reads the state.
    ///
    /// # Errors
    /// A damaged file, with the checkpoint before it; another run's; one whose best model is gone.
    pub fn read(
        path: &'a Path,
        recipe: &Recipe,
        identity: &Identity,
        accept: &Accept,
    ) -> Result<Self> {
        let mut state = checkpoint::read_state(path).map_err(|e| way_out(path, e))?;
        let notes = identity.check_settings(&state.identity, path, accept)?;
        // Other settings may lead to another model than the one that a later epoch has left.
        let changed = notes.iter().any(|text| text.starts_with("accepted: "));
        notes.iter().for_each(|text| note!("{text}"));
        state.best = best(path, &state, recipe, changed, accept)?;
        if state.epoch > recipe.train.epochs + 1 {
            let (epoch, epochs) = (state.epoch, recipe.train.epochs);
            return Err(Error::file(
                path,
                format!("is of epoch {epoch}; this run has {epochs} epochs"),
            ));
        }
        let ended = ended(recipe, &state);
        if let Some(why) = &ended {
            note!("the run had ended: {why}; nothing is left to train");
        }
        Ok(Self { path, state, ended })
    }
}

/// The best epoch so far, whose model has to be there.
fn best(
    checkpoint: &Path,
    state: &State,
    recipe: &Recipe,
    changed: bool,
    accept: &Accept,
) -> Result<Option<(f64, usize)>> {
    let Some((_, epoch)) = state.best.filter(|_| recipe.train.average_last == 1) else {
        return Ok(state.best);
    };
    let model = fs::parent(checkpoint).join(MODEL);
    let trained = match read_header(&model) {
        Ok(header) => header.training.map_or(0, |t| t.epoch as usize),
        Err(_) if accept.takes(MODEL_FILE) => {
            note!(
                "the best epoch so far, {epoch}, is forgotten with its model: the best of what follows is taken"
            );
            return Ok(None);
        }
        Err(e) => {
            let message = format!(
                "{e}. It is the model of epoch {epoch}, the best so far. Put it back, or take the best of what \
                 follows: --accept {MODEL_FILE}"
            );
            return Err(Error::Training(message));
        }
    };
    // Epochs are repeated with the same result, so a later model does no harm, unless settings
    // differ.
    if changed && trained > epoch {
        note!(
            "{} is of epoch {trained}, trained by other settings: the best of what follows is taken",
            model.display()
        );
        return Ok(None);
    }
    Ok(state.best)
}

/// An error of a checkpoint, with the one before it.
pub(super) fn way_out(path: &Path, error: Error) -> Error {
    let before = checkpoint::before(fs::parent(path)).filter(|before| before != path);
    match before {
        // Nothing is wrong with one of a newer version.
        _ if matches!(error, Error::Invalid(_)) => error,
        Some(before) => {
            error.and(&format!("remove it to go on with {}, the one before", before.display()))
        }
        None => error,
    }
}
