//! Which scored trials are targets.

use std::path::Path;

use rayon::prelude::*;

use crate::corpus::{Pair, Text, TrialList, Words, label_name};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scoring::{ScoreList, Scored};

/// Findings about the labels of scored trials. Every trial has one.
pub(in crate::cli) struct Labels {
    /// Trials of the list that have no score, if there is a list.
    pub unscored: Option<usize>,
    /// A warning about these trials.
    pub warning: Option<String>,
}

impl Labels {
    /// The labels that stand in the score file itself.
    pub(in crate::cli) fn own(scores: &ScoreList, words: &mut Words) -> Result<Self> {
        if scores.trials.par_iter().all(|t| t.pair.label().is_some()) {
            return Ok(Self { unscored: None, warning: None });
        }
        let first = scores.find(words, &mut |_, t| t.pair.label().is_none())?;
        let (line, t) = first.ok_or_else(|| scores.text().changed())?;
        let message = format!("no label for {}; give --trials", shown(words, t.pair));
        Err(Error::line(scores.text().path(), line, message))
    }

    /// The labels of a trial list, which the score file must not contradict. The trials of `scores`
    /// must be in the order of their pairs.
    pub(in crate::cli) fn listed(
        scores: &mut ScoreList,
        words: &mut Words,
        path: &Path,
        quiet: bool,
    ) -> Result<Self> {
        let text = Text::open(path)?;
        let mut progress = Progress::new("reading trials", text.size(), quiet);
        let mut list = TrialList::read(text, words, &mut |bytes| progress.add(bytes))?;
        drop(progress);
        list.sort();
        let label = |t: &mut Scored| -> Option<()> {
            t.pair = t.pair.labelled(agreed(listed(list.trials(), t.pair)?, t.pair)?);
            Some(())
        };
        if scores.trials.par_iter_mut().try_for_each(label).is_none() {
            return Err(unlabelled(scores, words, &list)?);
        }
        let is_scored = |pair: Pair| {
            let scored = &scores.trials;
            scored.binary_search_by_key(&pair.numbers(), |t| t.pair.numbers()).is_ok()
        };
        let (all, count) =
            (list.trials().len(), list.trials().par_iter().filter(|t| !is_scored(**t)).count());
        let mut warning = None;
        if count > 0 {
            let first = list.find(words, &mut |_, pair| !is_scored(pair))?;
            let (line, pair) = first.ok_or_else(|| list.text().changed())?;
            let (path, trial) = (path.display(), shown(words, pair));
            warning = Some(format!(
                "{path}:{line}: no score for {trial}; the rates leave out {count} of {all} trials"
            ));
        }
        Ok(Self { unscored: Some(count), warning })
    }
}

fn shown(words: &Words, pair: Pair) -> String {
    format!("{} {}", words.get(pair.enroll()), words.get(pair.test()))
}

/// A trial in a list that is in the order of its pairs. It has a label if any of its lines has one.
fn listed(list: &[Pair], pair: Pair) -> Option<Pair> {
    let end = list.partition_point(|t| t.numbers() <= pair.numbers());
    list[..end].last().copied().filter(|t| t.numbers() == pair.numbers())
}

/// The label of a trial that is listed and scored; none where neither has one, or where they
/// contradict each other.
fn agreed(listed: Pair, scored: Pair) -> Option<bool> {
    match (listed.label(), scored.label()) {
        (Some(label), Some(own)) if label != own => None,
        (label, own) => label.or(own),
    }
}

/// The error of the first line of the score file for which the list gives no label.
fn unlabelled(scores: &ScoreList, words: &mut Words, list: &TrialList) -> Result<Error> {
    let known = |pair: Pair| listed(list.trials(), pair);
    let first = scores
        .find(words, &mut |_, t| known(t.pair).and_then(|known| agreed(known, t.pair)).is_none())?;
    let (line, t) = first.ok_or_else(|| scores.text().changed())?;
    let (trial, name) = (shown(words, t.pair), list.text().path().display());
    let message = match known(t.pair).map(|known| known.label().zip(t.pair.label())) {
        None => format!("no label for {trial}; it is not in {name}"),
        Some(Some((label, own))) => {
            let is_labelled =
                |pair: Pair| pair.numbers() == t.pair.numbers() && pair.label().is_some();
            let there = list.find(words, &mut |_, pair| is_labelled(pair))?;
            let (there, _) = there.ok_or_else(|| list.text().changed())?;
            let (own, label) = (label_name(own), label_name(label));
            format!("trial {trial} is {own} here and {label} in {name}:{there}")
        }
        Some(None) => {
            let mut last = 0;
            list.find(words, &mut |line, pair| {
                if pair.numbers() == t.pair.numbers() {
                    last = line;
                }
                false
            })?;
            format!("no label for {trial}; line {last} of {name} has none")
        }
    };
    Ok(Error::line(scores.text().path(), line, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels of all scored trials, in the order of their pairs, and what else is known.
    fn find(scores: &str, trials: Option<&str>) -> Result<(Vec<bool>, Labels)> {
        let dir = tempfile::tempdir().unwrap();
        let (s, t) = (dir.path().join("scores"), dir.path().join("trials"));
        std::fs::write(&s, scores).unwrap();
        std::fs::write(&t, trials.unwrap_or_default()).unwrap();
        let mut words = Words::default();
        let mut scores = ScoreList::read(Text::open(s)?, &mut words, &mut |_| ())?;
        let labels = match trials {
            None => Labels::own(&scores, &mut words)?,
            Some(_) => Labels::listed(&mut scores, &mut words, &t, true)?,
        };
        Ok((scores.trials.iter().map(|t| t.pair.label().unwrap()).collect(), labels))
    }

    #[test]
    fn labels_come_from_the_scores_or_the_list() {
        assert_eq!(find("a b 0.5 tgt\na c 0.1 0\n", None).unwrap().0, [true, false]);
        let (of, labels) =
            find("a b 0.5\na c 0.1 nontarget\n", Some("1 a b\n0 a c\na b\n")).unwrap();
        assert_eq!(
            (of.as_slice(), labels.unscored, labels.warning),
            (&[true, false][..], Some(0), None)
        );
        // A trial that has no label in the list keeps its own.
        assert_eq!(find("a b 0.5 1\n", Some("a b\n")).unwrap().0, [true]);
    }

    #[test]
    fn missing_and_contradicting_labels_are_named() {
        for (scores, trials, wanted) in [
            ("a b 1 1\n\na c 0\n", None, "scores:3: no label for a c; give --trials"),
            ("a b 1\na c 0\n", Some("1 a b\n"), "scores:2: no label for a c; it is not in"),
            ("a b 1\n", Some("1 b a\n"), "scores:1: no label for a b"),
            ("a b 1\n", Some("0 a c\na b\n"), "scores:1: no label for a b; line 2 of"),
            ("a b 1\n", Some("a b\n0 a c\na b\na c\n"), "scores:1: no label for a b; line 3 of"),
            (
                "a b 1 1\n",
                Some("0 a c\n0 a b\n"),
                "scores:1: trial a b is target here and nontarget in",
            ),
            (
                "z y 1 0\na b 1 1\n",
                Some("0 z y\na b\n0 a b\n0 a b\n"),
                "scores:2: trial a b is target here and",
            ),
            ("z y 1 0\na b 1 1\n", Some("0 z y\na b\n0 a b\n0 a b\n"), "trials:3"),
            ("b a 1 1\na c 0\na b 1 1\n", Some("0 a b\n1 b a\n"), "scores:2: no label for a c"),
        ] {
            let error = find(scores, trials).err().unwrap().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn trials_without_a_score_are_counted() {
        let (of, labels) = find("a b 1\na c 0\n", Some("1 a b\n0 a d\n0 a c\n1 a e\n")).unwrap();
        assert_eq!((of.as_slice(), labels.unscored), (&[true, false][..], Some(2)));
        let warning = labels.warning.unwrap();
        assert!(
            warning.contains("trials:2: no score for a d; the rates leave out 2 of 4"),
            "{warning}"
        );
    }
}
