//! One run, or two: a second phase in a folder within that of the first, which begins with the
//! first one's model.

use std::path::Path;
use std::sync::Arc;

use super::{RunOptions, run as one};
use crate::backend::collective::agree;
use crate::bytes::counted;
use crate::error::{Error, Remedy, Result};
use crate::train::checkpoint::{newest, read_state};
use crate::train::identity::EPOCHS;
use crate::train::stopping::ended;
use crate::train::strategy::MODEL;
use crate::train::{Recipe, Report, Start};

/// The key of the second phase's epochs. In a recipe of its own the phase has [`EPOCHS`].
const SECOND: &str = "large_margin.epochs";

/// Runs a recipe, and its second phase if it has one. A run that goes on does so in the phase where
/// it stopped.
pub(super) fn run(recipe: &Recipe, options: &RunOptions, start: Option<Start>) -> Result<Report> {
    let Some(second) = recipe.second_phase() else { return one(recipe, options, start) };
    let folder = options.second_out();
    let checked = match options.resume {
        true => check_first(recipe, &options.out, &folder),
        false => check_empty(&folder),
    };
    agree(&*options.ranks, checked)?;
    let first = one(recipe, options, start).map_err(|e| begun(e, &options.out, &folder))?;
    (options.note)(&format!(
        "second phase: {} with crops of {} frames and a margin of {}, in {}",
        counted(second.train.epochs, "epoch"),
        second.data.frames,
        second.margin.last,
        folder.display()
    ));
    let (start, _) = agree(&*options.ranks, Start::load(&first.model, &options.device))?;
    let note = options.note.clone();
    let options = RunOptions {
        note: Arc::new(move |text: &str| note(&renamed(text))),
        resume: options.resume && folder.exists(),
        out: folder,
        page: options.second_page,
        ..options.clone()
    };
    let report = one(&second, &options, Some(start)).map_err(of_second)?;
    Ok(Report { first: Some(Box::new(first)), ..report })
}

/// An error of the first phase. Where that would have to be longer and the second phase has begun
/// with its model, only a new run can help.
fn begun(error: Error, out: &Path, folder: &Path) -> Error {
    match error.remedy() {
        Some(Remedy::Raise { .. }) if newest(folder).is_some() => {
            let more = format!("and the second phase has begun in {}", folder.display());
            error.and(&more).with(Remedy::BeginWith { model: out.join(MODEL) })
        }
        _ => error,
    }
}

/// An error of the second phase, with the key that the recipe of both phases has.
fn of_second(error: Error) -> Error {
    match error {
        Error::Remedied { error, remedy } => {
            let remedy = match remedy {
                Remedy::Set { value, names, .. } => Remedy::Set { key: SECOND, value, names },
                Remedy::Raise { .. } => Remedy::Raise { key: SECOND },
                other => other,
            };
            of_second(*error).with(remedy)
        }
        Error::File { path, message } => Error::file(path, renamed(&message)),
        other => other,
    }
}

fn renamed(text: &str) -> String {
    text.replace(EPOCHS, SECOND)
}

/// Refuses a second phase without a first one, before the first one is trained.
fn check_empty(folder: &Path) -> Result<()> {
    match newest(folder).is_some() || folder.join(MODEL).exists() {
        true => Err(Error::file(folder, "holds the second phase of a run already")
            .with(Remedy::ResumeOrOtherFolder)),
        false => Ok(()),
    }
}

/// Refuses to train the first phase further when the second one has begun with its model.
fn check_first(recipe: &Recipe, out: &Path, folder: &Path) -> Result<()> {
    let (Some(path), Some(_)) = (newest(out), newest(folder)) else { return Ok(()) };
    // What cannot be read is told when the phase is run.
    let Ok(state) = read_state(&path) else { return Ok(()) };
    match ended(recipe, &state) {
        Some(_) => Ok(()),
        None => Err(Error::file(
            &path,
            format!(
                "{} of {} epochs are trained, but the second phase in {} has begun with the model \
                 of the first. Remove that folder to train the first phase further; \
                 large_margin.epochs makes the second one longer",
                state.epoch.saturating_sub(1),
                recipe.train.epochs,
                folder.display()
            ),
        )),
    }
}
