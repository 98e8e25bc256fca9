//! Which scored trials are targets.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::corpus::{Trial, read_trials};
use crate::error::{Error, Result};
use crate::scoring::{ScoredTrial, label_name};

/// The labels of scored trials.
pub(super) struct Labels {
    /// True for a target, one for each score.
    pub of: Vec<bool>,
    /// Trials of the list that have no score, if there is a list.
    pub unscored: Option<usize>,
    /// What to say of them.
    pub warning: Option<String>,
}

impl Labels {
    /// The labels that stand in the score file itself.
    pub(super) fn own(scores: &Path, scored: &[ScoredTrial]) -> Result<Self> {
        let label = |t: &ScoredTrial| {
            let message = || format!("no label for {} {}; give --trials", t.enroll, t.test);
            t.label.ok_or_else(|| Error::line(scores, t.line, message()))
        };
        Ok(Self { of: scored.iter().map(label).collect::<Result<_>>()?, unscored: None, warning: None })
    }

    /// The labels of a trial list, which the score file must not contradict.
    pub(super) fn listed(scores: &Path, scored: &[ScoredTrial], list: &Path) -> Result<Self> {
        let trials = read_trials(list)?;
        let mut listed: HashMap<(&str, &str), &Trial> = HashMap::new();
        for t in &trials {
            let known = listed.entry((t.enroll.as_str(), t.test.as_str())).or_insert(t);
            if known.target.is_none() {
                *known = t;
            }
        }
        let label = |t: &ScoredTrial| {
            let bad = |message: String| Error::line(scores, t.line, message);
            let (pair, list) = (format!("{} {}", t.enroll, t.test), list.display());
            let known = listed
                .get(&(t.enroll.as_str(), t.test.as_str()))
                .ok_or_else(|| bad(format!("no label for {pair}; it is not in {list}")))?;
            match (known.target, t.label) {
                (Some(label), Some(own)) if label != own => {
                    let (own, label, line) = (label_name(own), label_name(label), known.line);
                    Err(bad(format!("trial {pair} is {own} here and {label} in {list}:{line}")))
                }
                (label, own) => label
                    .or(own)
                    .ok_or_else(|| bad(format!("no label for {pair}; line {} of {list} has none", known.line))),
            }
        };
        let of = scored.iter().map(label).collect::<Result<_>>()?;
        let have: HashSet<(&str, &str)> = scored.iter().map(|t| (t.enroll.as_str(), t.test.as_str())).collect();
        let unscored: Vec<&Trial> =
            trials.iter().filter(|t| !have.contains(&(t.enroll.as_str(), t.test.as_str()))).collect();
        let warning = unscored.first().map(|first| {
            let (list, count, all) = (list.display(), unscored.len(), trials.len());
            let Trial { enroll, test, line, .. } = first;
            format!("{list}:{line}: no score for {enroll} {test}; the rates leave out {count} of {all} trials")
        });
        Ok(Self { of, unscored: Some(unscored.len()), warning })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::read_scores;

    fn find(scores: &str, trials: Option<&str>) -> Result<Labels> {
        let dir = tempfile::tempdir().unwrap();
        let (s, t) = (dir.path().join("scores"), dir.path().join("trials"));
        std::fs::write(&s, scores).unwrap();
        std::fs::write(&t, trials.unwrap_or_default()).unwrap();
        let scored = read_scores(&s)?;
        match trials {
            None => Labels::own(&s, &scored),
            Some(_) => Labels::listed(&s, &scored, &t),
        }
    }

    #[test]
    fn labels_come_from_the_scores_or_the_list() {
        assert_eq!(find("a b 0.5 tgt\na c 0.1 0\n", None).unwrap().of, [true, false]);
        let listed = find("a b 0.5\na c 0.1 nontarget\n", Some("1 a b\n0 a c\na b\n")).unwrap();
        assert_eq!((listed.of.as_slice(), listed.unscored, listed.warning), (&[true, false][..], Some(0), None));
        // A trial without a label in the list has its own.
        assert_eq!(find("a b 0.5 1\n", Some("a b\n")).unwrap().of, [true]);
    }

    #[test]
    fn missing_and_contradicting_labels_are_named() {
        for (scores, trials, wanted) in [
            ("a b 1 1\n\na c 0\n", None, "scores:3: no label for a c; give --trials"),
            ("a b 1\na c 0\n", Some("1 a b\n"), "scores:2: no label for a c; it is not in"),
            ("a b 1\n", Some("1 b a\n"), "scores:1: no label for a b"),
            ("a b 1\n", Some("0 a c\na b\n"), "scores:1: no label for a b; line 2 of"),
            ("a b 1 1\n", Some("0 a c\n0 a b\n"), "scores:1: trial a b is target here and nontarget in"),
        ] {
            let error = find(scores, trials).err().unwrap().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn trials_without_a_score_are_counted() {
        let labels = find("a b 1\na c 0\n", Some("1 a b\n0 a d\n0 a c\n1 a e\n")).unwrap();
        assert_eq!((labels.of.as_slice(), labels.unscored), (&[true, false][..], Some(2)));
        let warning = labels.warning.unwrap();
        assert!(warning.contains("trials:2: no score for a d; the rates leave out 2 of 4"), "{warning}");
    }
}
