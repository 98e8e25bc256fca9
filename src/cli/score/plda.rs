//! Scores by PLDA.

use std::path::Path;

use super::Score;
use super::sides::Sides;
use crate::cli::values::misuse;
use crate::error::{Error, Result};
use crate::scoring::{Average, Embeddings, Plda};

/// Calls `work` with the scores of models or utterances and utterances, by their places: natural
/// logarithms of likelihood ratios. Models of several utterances are scored by the book, which
/// counts them; with `--average embeddings` their mean counts as one utterance.
///
/// # Errors
/// A file that is no PLDA model, or of another dimension; averages that PLDA does not know; those
/// of `work`.
pub(super) fn scored(
    path: &Path,
    embeddings: &Embeddings,
    mean: Option<&[f64]>,
    sides: &Sides,
    average: Option<Average>,
    work: &dyn Fn(&Score<'_>) -> Result<()>,
) -> Result<()> {
    if let Some(average @ (Average::Unit | Average::Scores)) = average {
        return Err(misuse(format!(
            "--average {}: PLDA averages embeddings, or counts them without this option",
            average.name()
        )));
    }
    let plda = Plda::load(path)?;
    let scorer = plda
        .scorer(embeddings, mean, sides.utterances())
        .map_err(|e| Error::file(path, e.to_string()))?;
    match &sides.enrolled {
        None => work(&|enroll, test| scorer.llr(enroll, test)),
        Some(enrolled) => {
            let models = enrolled
                .places
                .iter()
                .enumerate()
                .map(|(i, places)| scorer.model(places).map_err(|e| enrolled.at_fault(i, &e)));
            let models = models.collect::<Result<Vec<_>>>()?;
            work(&|model, test| scorer.llr_model(&models[model], test, average.is_none()))
        }
    }
}
