//! Reads score files and what is known of their trials.

use std::path::Path;

use rayon::prelude::*;

use super::by::{self, Conditions};
use super::labels::Labels;
use super::rates::Asked;
use super::sides::{BySide, Models, Named};
use super::speakers::{self, Speakers};
use super::{Args, check, same};
use crate::cli::Global;
use crate::corpus::{Pair, Text, Words};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scoring::{Curve, ScoreList, Scored, speakers_from_targets};
use crate::terminal::errln;

/// Score files, ready for their rates.
pub(super) struct Loaded {
    /// The trials of each file, with speakers as their sides.
    pub trials: Vec<Vec<Scored>>,
    /// Trials of the list of trials without a score, for each file.
    pub unscored: Vec<Option<usize>>,
    /// Rates by condition, for each file.
    pub conditions: Vec<Vec<Conditions>>,
    /// Whether all files score the same trials.
    pub is_same: bool,
}

/// Reads a score file.
pub(super) fn read_list(path: &Path, words: &mut Words, global: &Global) -> Result<ScoreList> {
    let text = Text::open(path)?;
    let mut progress = Progress::new("reading scores", text.size(), global.quiet);
    ScoreList::read(text, words, &mut |bytes| progress.add(bytes))
}

/// The labels of a score file: its own, or those of a list of trials.
pub(super) fn labels(
    scores: &mut ScoreList,
    words: &mut Words,
    args: &Args,
    global: &Global,
) -> Result<Labels> {
    match &args.trials {
        None => Labels::own(scores, words),
        Some(list) => Labels::listed(scores, words, list, global.quiet),
    }
}

/// Reads all score files.
pub(super) fn load(args: &Args, asked: &Asked, global: &Global) -> Result<Loaded> {
    let mut words = Words::default();
    let (mut lists, mut ends) = (Vec::new(), vec![0]);
    for path in &args.scores {
        lists.push(read_list(path, &mut words, global)?);
        ends.push(words.len());
    }
    // The lists of trials, which are read next, may add words.
    let utterances = words.len();
    let mut found = Vec::new();
    for scores in &mut lists {
        found.push(labels(scores, &mut words, args, global)?);
    }
    let mut warnings = same::check(&lists, &mut words)?;
    let is_same = warnings.is_empty();
    for (scores, path) in lists.iter_mut().zip(&args.scores) {
        let undefined = |e: Error| Error::file(path, e.to_string());
        let threshold = Curve::of(&mut scores.trials).map_err(undefined)?.eer().threshold;
        if args.save_threshold.is_some() {
            check::cosines(scores, &mut words, threshold)?;
        }
    }
    let models = args.enroll.as_deref();
    let models =
        models.map(|list| Models::find(list, &lists, &mut words, utterances)).transpose()?;
    let (speakers, columns) = {
        let known: Vec<(&str, usize)> = words.iter().take(utterances).collect();
        let wav_scp = args.wav_scp.as_deref();
        let named = Named::of(&args.scores, &ends, &known, models.as_ref(), wav_scp);
        let listed = args.utt2spk.as_deref().map(|list| Speakers::of(&named, list));
        let speakers = listed.transpose()?;
        let columns = by::columns(&args.by, args.bins(), &named, speakers.as_ref())?;
        (speakers, columns)
    };
    let numbers = match (&args.utt2spk, speakers) {
        (Some(list), Some(speakers)) => {
            let same = |pair: Pair| {
                let [enroll, test] = speakers.numbers.of(pair);
                enroll == test
            };
            for scores in &lists {
                speakers::check_same(scores, &mut words, list, &same)?;
            }
            speakers.numbers
        }
        _ => {
            let targets = lists.iter().flat_map(|s| &s.trials).filter(|t| t.pair.is_target());
            let targets = targets.map(|t| (t.pair.enroll(), t.pair.test()));
            BySide::of_words(speakers_from_targets(utterances, targets))
        }
    };
    drop(words);
    warnings.extend(found.iter().filter_map(|labels| labels.warning.clone()));
    for warning in warnings {
        errln!("warning: {warning}");
    }
    let (mut trials, mut conditions) = (Vec::new(), Vec::new());
    for mut scores in lists {
        conditions.push(columns.iter().map(|c| c.rates(&scores.trials, asked)).collect());
        scores.trials.par_iter_mut().for_each(|t| {
            let [a, b] = numbers.of(t.pair);
            t.pair = Pair::new(a, b, t.pair.label());
        });
        trials.push(scores.trials);
    }
    let unscored = found.iter().map(|labels| labels.unscored).collect();
    Ok(Loaded { trials, unscored, conditions, is_same })
}
