//! Who speaks on both sides of trials.

use super::Args;
use crate::cli::eval::sides::{BySide, Models, Named};
use crate::cli::eval::speakers::{Speakers, check_same};
use crate::corpus::{Pair, Words};
use crate::error::Result;
use crate::scoring::{ScoreList, speakers_from_targets};

/// What the words of the scores, the first `count` of all, mean to `then`.
///
/// # Errors
/// Those of `then`.
pub(super) fn with_named<T>(
    args: &Args,
    words: &Words,
    count: usize,
    models: Option<&Models>,
    then: impl FnOnce(&Named) -> Result<T>,
) -> Result<T> {
    let known: Vec<(&str, usize)> = words.iter().take(count).collect();
    let (files, ends) = (std::slice::from_ref(&args.scores), [0, count]);
    then(&Named::of(files, &ends, &known, models, args.wav_scp.as_deref()))
}

/// The speakers of both sides of each trial.
///
/// # Errors
/// Those of [`Speakers::of`]; labels that contradict the list of speakers.
pub(super) fn sides(
    args: &Args,
    scores: &ScoreList,
    words: &mut Words,
    count: usize,
    models: Option<&Models>,
) -> Result<Vec<(u32, u32)>> {
    let speakers = match &args.utt2spk {
        Some(list) => {
            let found =
                with_named(args, words, count, models, |named| Speakers::of(named, list))?.numbers;
            let same = |pair: Pair| {
                let [enroll, test] = found.of(pair);
                enroll == test
            };
            check_same(scores, words, list, &same)?;
            found
        }
        None => {
            let targets = scores.trials.iter().filter(|t| t.pair.is_target());
            let targets = targets.map(|t| (t.pair.enroll(), t.pair.test()));
            BySide::of_words(speakers_from_targets(count, targets))
        }
    };
    let of = |pair: Pair| <(u32, u32)>::from(speakers.of(pair));
    Ok(scores.trials.iter().map(|t| of(t.pair)).collect())
}
