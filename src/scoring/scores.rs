//! Score files: `enroll test score [label]` a line.

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
}

/// The words for the two kinds of trials that lists use.
pub(crate) fn parse_label(word: &str) -> Option<bool> {
    match word {
        "1" | "target" => Some(true),
        "0" | "nontarget" | "imposter" | "impostor" => Some(false),
        _ => None,
    }
}

/// Reads a score file.
pub fn read_scores(path: impl AsRef<Path>) -> Result<Vec<ScoredTrial>> {
    let path = path.as_ref();
    let text = fs::read_to_string(path)?;
    let mut trials = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let bad = |message: String| Error::line(path, i + 1, message);
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (enroll, test, score, label) = match fields[..] {
            [] => continue,
            [e, t, s] => (e, t, s, None),
            [e, t, s, l] => (e, t, s, Some(l)),
            _ => return Err(bad(format!("{} fields; wanted `enroll test score [label]`", fields.len()))),
        };
        let value = score.parse::<f64>().ok().filter(|s| !s.is_nan());
        let label = match label {
            None => None,
            Some(l) => {
                Some(parse_label(l).ok_or_else(|| bad(format!("label `{l}`: wanted 1 or target, 0 or nontarget")))?)
            }
        };
        trials.push(ScoredTrial {
            enroll: enroll.to_owned(),
            test: test.to_owned(),
            score: value.ok_or_else(|| bad(format!("score `{score}` is not a number")))?,
            label,
        });
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
                Some(true) => writeln!(out, " target")?,
                Some(false) => writeln!(out, " nontarget")?,
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
    fn files_round_trip_and_bad_lines_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores");
        let trial = |score, label| ScoredTrial { enroll: "a".into(), test: "b".into(), score, label };
        let trials = [trial(0.25, Some(true)), trial(-1.5, Some(false)), trial(3.0, None)];
        write_scores(&path, &trials).unwrap();
        assert_eq!(read_scores(&path).unwrap(), trials);
        for (text, wanted) in [
            ("a b 0.1 target\na b\n", ":2: 2 fields"),
            ("a b x\n", ":1: score `x`"),
            ("a b nan\n", ":1: score `nan`"),
            ("a b 1 yes\n", ":1: label `yes`"),
            ("\n\n", "no scores"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_scores(&path).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
