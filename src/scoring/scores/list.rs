//! Score files of any length.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use rayon::prelude::*;

use super::{ScoreLine, Value, push_line};
use crate::corpus::{Found, Pair, Text, Words, find_line, label_name, read_all};
use crate::error::{Error, Result};
use crate::fs;
use crate::scoring::parts::write_parts;

/// Number of trials whose lines are made together.
const PART: usize = 4096;

/// Trials whose names and scores are looked up one right after the other: processors wait for the
/// memory of several at once.
const TOGETHER: usize = 32;

/// A trial with its score, in sixteen bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Higher means more alike.
    pub score: f64,
    /// The numbers of both sides, and the label.
    pub pair: Pair,
}

/// A score file in sixteen bytes a trial. The ids are in [`Words`].
pub struct ScoreList {
    text: Text,
    /// The trials. [`read`](Self::read) leaves them in the order of their pairs.
    pub trials: Vec<Scored>,
}

impl ScoreList {
    /// Reads a score file as [`read_scores`](super::read_scores) does. It adds new ids to `words`.
    /// `done` gets the number of bytes read since its last call.
    ///
    /// # Errors
    /// The first bad line, and a trial that has two scores or two labels.
    pub fn read(text: Text, words: &mut Words, done: &mut dyn FnMut(usize)) -> Result<Self> {
        let (mut trials, wrong) = read_all(&text, &ScoreLine, words, scored, None, done)?;
        trials.par_sort_unstable_by_key(|t| t.pair);
        check(&text, words, &trials, wrong)?;
        Ok(Self { text, trials })
    }

    /// The file.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// Reads the file again and returns the first trial that is `wanted`, with its line (from 1).
    /// `words` must be those of the first reading.
    ///
    /// # Errors
    /// The file is gone or cannot be read.
    pub fn find(
        &self,
        words: &mut Words,
        wanted: &mut dyn FnMut(usize, &Scored) -> bool,
    ) -> Result<Option<(usize, Scored)>> {
        let first = find_line(&self.text, &ScoreLine, words, &mut |line, found| {
            wanted(line, &scored(found))
        })?;
        Ok(first.map(|(line, found)| (line, scored(&found))))
    }
}

pub(super) fn scored(found: &Found<Value>) -> Scored {
    let (score, label) = found.value;
    Scored { score, pair: Pair::new(found.words[0], found.words[1], label) }
}

/// Refuses a list for a trial that contradicts an earlier line, for a line that is `wrong`, or for
/// holding nothing, whichever comes first. `trials` are those before the wrong line, in the order
/// of their pairs.
pub(super) fn check(
    text: &Text,
    words: &mut Words,
    trials: &[Scored],
    wrong: Option<Error>,
) -> Result<()> {
    let differ = |a: &Scored, b: &Scored| {
        a.score != b.score || labels_differ(a.pair.label(), b.pair.label())
    };
    let neighbours = trials.par_windows(2).filter(|w| w[0].pair.numbers() == w[1].pair.numbers());
    let doubtful: Vec<u64> =
        neighbours.filter(|w| differ(&w[0], &w[1])).map(|w| w[0].pair.numbers()).collect();
    if !doubtful.is_empty()
        && let Some(error) = contradiction(text, words, &doubtful)?
    {
        return Err(error);
    }
    match wrong {
        Some(error) => Err(error),
        None if trials.is_empty() => Err(Error::file(text.path(), "holds no scores")),
        None => Ok(()),
    }
}

fn labels_differ(a: Option<bool>, b: Option<bool>) -> bool {
    a.zip(b).is_some_and(|(a, b)| a != b)
}

/// The first line that contradicts the line before it of the same trial. `doubtful` are the sorted
/// numbers of the trials to look at.
fn contradiction(text: &Text, words: &mut Words, doubtful: &[u64]) -> Result<Option<Error>> {
    let mut seen: HashMap<u64, (Scored, usize)> = HashMap::new();
    let mut what = None;
    let first = find_line(text, &ScoreLine, words, &mut |line, found| {
        let now = scored(found);
        let numbers = now.pair.numbers();
        if doubtful.binary_search(&numbers).is_ok()
            && let Some((then, first)) = seen.insert(numbers, (now, line))
        {
            let (label, old) = (now.pair.label(), then.pair.label());
            if now.score != then.score {
                what =
                    Some(format!("scores {} here and {} in line {first}", now.score, then.score));
            } else if let (Some(label), Some(old)) = (label, old)
                && label != old
            {
                what = Some(format!(
                    "is {} here and {} in line {first}",
                    label_name(label),
                    label_name(old)
                ));
            }
        }
        what.is_some()
    })?;
    Ok(first.zip(what).map(|((line, found), what)| {
        let (enroll, test) = (words.get(found.words[0]), words.get(found.words[1]));
        Error::line(text.path(), line, format!("trial {enroll} {test} {what}"))
    }))
}

/// Writes a score file atomically. `score` gives the score of the trial at a place of `trials`; it
/// runs on all cores, and scores are not kept. `done` gets the number of trials written since its
/// last call.
///
/// # Errors
/// As [`fs::write_atomic`].
pub fn write_scored(
    path: impl AsRef<Path>,
    words: &Words,
    trials: &[Pair],
    score: &(dyn Fn(usize) -> f64 + Sync),
    done: &mut dyn FnMut(usize),
) -> Result<()> {
    fs::write_atomic(path, |out| write_in_parts(out, PART, words, trials, score, done))
}

fn write_in_parts(
    out: &mut dyn Write,
    size: usize,
    words: &Words,
    trials: &[Pair],
    score: &(dyn Fn(usize) -> f64 + Sync),
    done: &mut dyn FnMut(usize),
) -> io::Result<()> {
    let lines = |part: usize| {
        let (mut text, first) = (String::with_capacity(64 * size), part * size);
        let trials = &trials[first..trials.len().min(first + size)];
        for (group, some) in trials.chunks(TOGETHER).enumerate() {
            let first = first + TOGETHER * group;
            let named: Vec<[&str; 2]> =
                some.iter().map(|t| [words.get(t.enroll()), words.get(t.test())]).collect();
            let scores: Vec<f64> = (first..first + some.len()).map(score).collect();
            for ((trial, [enroll, test]), score) in some.iter().zip(named).zip(scores) {
                push_line(&mut text, enroll, test, score, trial.label());
            }
        }
        text
    };
    let mut left = trials.len();
    write_parts(out, trials.len().div_ceil(size), &lines, &mut |parts| {
        let written = left.min(parts * size);
        left -= written;
        done(written);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_written_in_the_order_of_the_trials() {
        let dir = tempfile::tempdir().unwrap();
        let list: String = (0..1000).map(|i| format!("{} a{} b{i}\n", i % 3 % 2, i / 10)).collect();
        std::fs::write(dir.path().join("t"), list).unwrap();
        let mut words = Words::default();
        let text = Text::open(dir.path().join("t")).unwrap();
        let list = crate::corpus::TrialList::read(text, &mut words, &mut |_| ()).unwrap();
        let label = |i: usize| if i % 3 % 2 == 1 { "target" } else { "nontarget" };
        let line =
            |i: usize| format!("a{} b{i} {:.9} {}\n", i / 10, i as f64 / 7.0 - 9.0, label(i));
        let wanted: String = (0..1000).map(line).collect();
        for size in [1, 3, 64, 999, 1000, 5000] {
            let (mut out, mut written) = (Vec::new(), 0);
            let score = |i: usize| i as f64 / 7.0 - 9.0;
            write_in_parts(&mut out, size, &words, list.trials(), &score, &mut |trials| {
                written += trials
            })
            .unwrap();
            assert!(written == 1000 && out == wanted.as_bytes(), "{size}");
        }
        let path = dir.path().join("scores");
        write_scored(&path, &words, list.trials(), &|_| 0.5, &mut |_| ()).unwrap();
        assert_eq!(crate::scoring::read_scores(&path).unwrap().len(), 1000);
    }
}
