//! Score files: lines of `enroll test score [label]`.

mod list;

use std::fmt::Write;
use std::path::Path;

use rayon::prelude::*;

pub use self::list::{ScoreList, Scored, write_scored};
use self::list::{check, scored};
use crate::corpus::{Entry, Fields, Grammar, Text, Words, label_name, parse_label, read_all};
use crate::error::Result;
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
    /// True for a target trial; None if the file has no label.
    pub label: Option<bool>,
    /// Line of the file, from 1.
    pub line: usize,
}

/// Score and label of a line.
type Value = (f64, Option<bool>);

/// The grammar of a score file's lines.
struct ScoreLine;

impl Grammar for ScoreLine {
    type Value = Value;

    fn entry<'t>(&self, fields: &Fields<'t>) -> Result<Entry<'t, Value>, String> {
        let (enroll, test, score, label) = match *fields.first() {
            [e, t, s] => (e, t, s, None),
            [e, t, s, l] => (e, t, s, Some(l)),
            _ => {
                return Err(format!("{} fields; wanted `enroll test score [label]`", fields.count));
            }
        };
        let value = score.parse::<f64>().ok().filter(|s| !s.is_nan());
        let score = value.ok_or_else(|| format!("score `{score}` is not a number"))?;
        let unknown = |l: &str| format!("label `{l}`: wanted 1 or target, 0 or nontarget");
        let label = label.map(|l| parse_label(l).ok_or_else(|| unknown(l))).transpose()?;
        Ok(Entry { enroll, test, value: (score, label) })
    }
}

/// Reads a score file. A trial may occur twice with the same score. For many millions of trials use
/// [`ScoreList`].
///
/// # Errors
/// The first bad line, and a trial that has two scores or two labels.
pub fn read_scores(path: impl AsRef<Path>) -> Result<Vec<ScoredTrial>> {
    scores_of(&Text::open(path.as_ref())?)
}

fn scores_of(text: &Text) -> Result<Vec<ScoredTrial>> {
    let (mut words, mut lines) = (Words::default(), Vec::new());
    let (trials, wrong) =
        read_all(text, &ScoreLine, &mut words, scored, Some(&mut lines), &mut |_| ())?;
    let mut sorted = trials.clone();
    sorted.par_sort_unstable_by_key(|t| t.pair);
    check(text, &mut words, &sorted, wrong)?;
    let trial = |(t, line): (&Scored, usize)| {
        let word = |number| words.get(number).to_owned();
        let (enroll, test) = (word(t.pair.enroll()), word(t.pair.test()));
        ScoredTrial { enroll, test, score: t.score, label: t.pair.label(), line }
    };
    Ok(trials.iter().zip(lines).map(trial).collect())
}

/// Adds a line of a score file. Scores have nine decimals.
fn push_line(text: &mut String, enroll: &str, test: &str, score: f64, label: Option<bool>) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{enroll} {test} {score:.9}");
    if let Some(label) = label {
        text.push(' ');
        text.push_str(label_name(label));
    }
    text.push('\n');
}

/// Writes a score file atomically. Scores have nine decimals.
///
/// # Errors
/// As [`fs::write_atomic`].
pub fn write_scores(path: impl AsRef<Path>, trials: &[ScoredTrial]) -> Result<()> {
    fs::write_atomic(path, |out| {
        let mut text = String::new();
        for t in trials {
            text.clear();
            push_line(&mut text, &t.enroll, &t.test, t.score, t.label);
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::rng::Stream;

    #[test]
    fn files_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores");
        let trial = |test: &str, score, label, line| {
            let (enroll, test) = ("a".to_owned(), test.to_owned());
            ScoredTrial { enroll, test, score, label, line }
        };
        let infinite = trial("e", f64::NEG_INFINITY, None, 4);
        let trials = [
            trial("b", 0.25, Some(true), 1),
            trial("c", -1.5, Some(false), 2),
            trial("d", 3.0, None, 3),
            infinite,
        ];
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

    /// The rules of the format, applied line by line.
    fn by_the_rules(text: &str) -> Result<Vec<ScoredTrial>, String> {
        let mut seen = HashMap::new();
        let mut trials = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let bad = |message: String| format!(":{}: {message}", i + 1);
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (enroll, test, score, label) = match fields[..] {
                [] => continue,
                [e, t, s] => (e, t, s, None),
                [e, t, s, l] => {
                    (e, t, s, Some(parse_label(l).ok_or_else(|| bad(format!("label `{l}`")))?))
                }
                _ => return Err(bad(format!("{} fields", fields.len()))),
            };
            let value = score.parse::<f64>().ok().filter(|s| !s.is_nan());
            let score = value.ok_or_else(|| bad(format!("score `{score}` is not")))?;
            let trial =
                ScoredTrial { enroll: enroll.into(), test: test.into(), score, label, line: i + 1 };
            if let Some(then) = seen.insert((enroll, test), trial.clone()) {
                let ScoredTrial { score: old, label: old_label, line, .. } = then;
                if score != old {
                    return Err(bad(format!(
                        "trial {enroll} {test} scores {score} here and {old} in line {line}"
                    )));
                }
                if let (Some(now), Some(then)) = (label, old_label)
                    && now != then
                {
                    let (now, then) = (label_name(now), label_name(then));
                    return Err(bad(format!(
                        "trial {enroll} {test} is {now} here and {then} in line {line}"
                    )));
                }
            }
            trials.push(trial);
        }
        if trials.is_empty() { Err(": holds no scores".into()) } else { Ok(trials) }
    }

    fn some_scores(stream: &mut Stream) -> String {
        let (count, odd, wrong) = (1 + stream.below(12), stream.chance(0.3), stream.chance(0.4));
        let mut text = String::new();
        let lines = if stream.chance(0.9) { stream.below(150) } else { 0 };
        for _ in 0..lines {
            let (a, b) = (stream.below(count), stream.below(count));
            let off = [(); 2].map(|()| usize::from(wrong && stream.chance(0.01)));
            let score = match (a + 2 * b) % 9 {
                0 => f64::INFINITY,
                1 => f64::NEG_INFINITY,
                _ => (a * 7 + b + off[0]) as f64 / 8.0 - 2.0,
            };
            let label = ["0", "target"][(a + b + off[1]) % 2];
            text += &match stream.below(100) {
                0..3 => " \t".to_owned(),
                3 if odd => ["a b", "a b nan", "a b x", "a b 1 yes", "a b 1 0 1"][stream.below(5)]
                    .to_owned(),
                4..30 => format!("u{a} u{b} {score}"),
                _ => format!("u{a}  u{b}\t{score:e} {label} "),
            };
            text += ["\n", "\r\n"][stream.below(2)];
        }
        text
    }

    #[test]
    fn files_are_read_by_the_rules() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores");
        let mut stream = Stream::new(2, "test", &[]);
        // The first outcome is success, the others are these reasons to refuse.
        let reasons = ["fields", "score `", "label `", " scores ", "target here", "no scores"];
        let mut outcomes = [0; 7];
        for _ in 0..500 {
            let text = some_scores(&mut stream);
            std::fs::write(&path, &text).unwrap();
            let wanted = by_the_rules(&text);
            let long =
                ScoreList::read(Text::open(&path).unwrap(), &mut Words::default(), &mut |_| ());
            match (&wanted, read_scores(&path)) {
                (Ok(wanted), Ok(found)) => {
                    assert_eq!(*wanted, found, "{text:?}");
                    let long = long.unwrap_or_else(|e| panic!("{e}: {text:?}"));
                    assert!(
                        long.trials.len() == found.len()
                            && long.trials.is_sorted_by_key(|t| t.pair),
                        "{text:?}"
                    );
                }
                (Err(wanted), Err(found)) => {
                    let found = found.to_string();
                    assert!(
                        found.contains(&format!("scores{wanted}")),
                        "{found} instead of {wanted}: {text:?}"
                    );
                    assert_eq!(long.err().map(|e| e.to_string()), Some(found));
                }
                (_, found) => panic!("{found:?} instead of {wanted:?}: {text:?}"),
            }
            let reason = wanted.err().map(|e| reasons.iter().position(|r| e.contains(r)).unwrap());
            outcomes[reason.map_or(0, |r| r + 1)] += 1;
        }
        assert!(outcomes[0] > 50 && outcomes.iter().all(|n| *n > 0), "{outcomes:?}");
    }

    #[test]
    fn labels_contradict_only_the_line_before_of_the_same_trial() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores");
        std::fs::write(&path, "a b 0.5 1\na b 0.5\na b 0.5 0\n").unwrap();
        assert_eq!(read_scores(&path).unwrap().len(), 3);
        std::fs::write(&path, "a b 0.5 1\na b 0.5\na b 0.5 0\na b 0.5 1\n").unwrap();
        let error = read_scores(&path).unwrap_err().to_string();
        assert!(error.contains(":4: trial a b is target here and nontarget in line 3"), "{error}");
    }

    #[test]
    fn trials_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores");
        std::fs::write(&path, "b a 0.5 1\n\na b 0.25\nb b 0.125 0\n").unwrap();
        let mut words = Words::default();
        let list = ScoreList::read(Text::open(&path).unwrap(), &mut words, &mut |_| ()).unwrap();
        let (line, found) = list.find(&mut words, &mut |_, t| t.score < 0.5).unwrap().unwrap();
        assert_eq!((line, found.score, found.pair.label()), (3, 0.25, None));
        assert_eq!((words.get(found.pair.enroll()), words.get(found.pair.test())), ("a", "b"));
        assert!(list.find(&mut words, &mut |line, _| line > 4).unwrap().is_none());
        assert_eq!(size_of::<Scored>(), 16);
    }
}
