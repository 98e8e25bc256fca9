//! Score files: `enroll test score [label]` a line.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::fs;

/// A trial with its score.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredTrial {
    /// Enrollment id.
    pub enroll: String,
    /// Test id.
    pub test: String,
    /// Score; higher means more alike.
    pub score: f64,
    /// True for a target trial, if the file says.
    pub label: Option<bool>,
    /// Line, from 1.
    pub line: usize,
}

/// What lists call a target trial, in lower case.
const TARGET: [&str; 7] = ["1", "target", "tgt", "tar", "same", "genuine", "true"];
/// What lists call a nontarget trial, in lower case.
const NONTARGET: [&str; 12] = [
    "0",
    "nontarget",
    "non-target",
    "non_target",
    "nontgt",
    "nontar",
    "imposter",
    "impostor",
    "imp",
    "different",
    "diff",
    "false",
];

/// The label that a word means, in whatever case.
pub(crate) fn parse_label(word: &str) -> Option<bool> {
    let is_in = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(word));
    match (is_in(&TARGET), is_in(&NONTARGET)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// The word for a label.
pub(crate) fn label_name(target: bool) -> &'static str {
    if target { "target" } else { "nontarget" }
}

/// Reads a score file. A trial may stand in it twice, with the same score.
///
/// # Errors
/// The first bad line, and a trial that has two scores or two labels.
pub fn read_scores(path: impl AsRef<Path>) -> Result<Vec<ScoredTrial>> {
    let path = path.as_ref();
    let text = fs::read_to_string(path)?;
    let mut seen: HashMap<(&str, &str), (f64, Option<bool>, usize)> = HashMap::new();
    let mut trials = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let bad = |message: String| Error::line(path, i + 1, message);
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (enroll, test, score, label) = match fields[..] {
            [] => continue,
            [e, t, s] => (e, t, s, None),
            [e, t, s, l] => (e, t, s, Some(l)),
            _ => return Err(bad(format!("{} fields; wanted `enroll test score [label]`", fields.len()))),
        };
        let value = score.parse::<f64>().ok().filter(|s| !s.is_nan());
        let score = value.ok_or_else(|| bad(format!("score `{score}` is not a number")))?;
        let label = match label {
            None => None,
            Some(l) => {
                Some(parse_label(l).ok_or_else(|| bad(format!("label `{l}`: wanted 1 or target, 0 or nontarget")))?)
            }
        };
        if let Some((other_score, other_label, first)) = seen.insert((enroll, test), (score, label, i + 1)) {
            if other_score != score {
                return Err(bad(format!(
                    "trial {enroll} {test} scores {score} here and {other_score} in line {first}"
                )));
            }
            if let (Some(now), Some(then)) = (label, other_label)
                && now != then
            {
                let (now, then) = (label_name(now), label_name(then));
                return Err(bad(format!("trial {enroll} {test} is {now} here and {then} in line {first}")));
            }
        }
        let (enroll, test) = (enroll.to_owned(), test.to_owned());
        trials.push(ScoredTrial { enroll, test, score, label, line: i + 1 });
    }
    if trials.is_empty() {
        return Err(Error::file(path, "holds no scores"));
    }
    Ok(trials)
}

/// Writes a score file (atomically). Scores have nine decimals.
pub fn write_scores(path: impl AsRef<Path>, trials: &[ScoredTrial]) -> Result<()> {
    fs::write_atomic(path, |out| {
        for t in trials {
            write!(out, "{} {} {:.9}", t.enroll, t.test, t.score)?;
            match t.label {
                Some(label) => writeln!(out, " {}", label_name(label))?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores");
        let trial = |test: &str, score, label, line| {
            let (enroll, test) = ("a".to_owned(), test.to_owned());
            ScoredTrial { enroll, test, score, label, line }
        };
        let infinite = trial("e", f64::NEG_INFINITY, None, 4);
        let trials =
            [trial("b", 0.25, Some(true), 1), trial("c", -1.5, Some(false), 2), trial("d", 3.0, None, 3), infinite];
        write_scores(&path, &trials).unwrap();
        assert_eq!(read_scores(&path).unwrap(), trials);
    }

    #[test]
    fn bad_lines_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores");
        for (text, wanted) in [
            ("a b 0.1 target\na b\n", ":2: 2 fields"),
            ("a b x\n", ":1: score `x`"),
            ("a b nan\n", ":1: score `nan`"),
            ("a b 1 yes\n", ":1: label `yes`"),
            ("\n\n", "no scores"),
            ("a b 0.5\n\na b 0.25\n", ":3: trial a b scores 0.25 here and 0.5 in line 1"),
            ("a b inf imp\na b inf tgt\n", ":2: trial a b is target here and nontarget in line 1"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_scores(&path).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        std::fs::write(&path, "a b 0.5 1\na b 0.50 target\nb a 0.7 0\n").unwrap();
        assert_eq!(read_scores(&path).unwrap().len(), 3);
    }

    #[test]
    fn labels_have_many_names() {
        for word in ["1", "target", "TGT", "Tar", "same", "true", "genuine"] {
            assert_eq!(parse_label(word), Some(true), "{word}");
        }
        for word in ["0", "nontarget", "Non-Target", "imp", "impostor", "imposter", "different", "DIFF", "False"] {
            assert_eq!(parse_label(word), Some(false), "{word}");
        }
        for word in ["", "2", "01", "yes", "a", "targets", "u0"] {
            assert_eq!(parse_label(word), None, "{word}");
        }
        assert!(TARGET.iter().chain(&NONTARGET).all(|w| *w == w.to_ascii_lowercase()));
    }
}
