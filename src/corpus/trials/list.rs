//! Trial lists of any length.

use std::collections::HashMap;

use rayon::prelude::*;

use super::form::TrialLine;
use super::label::label_name;
use super::pair::Pair;
use super::scan::{Found, find_line, read_all};
use super::text::Text;
use super::words::Words;
use crate::error::{Error, Result};
use crate::rng::mix64;

/// Trials that are searched for contradictions at a time.
const ROUND: usize = 1 << 22;

/// A trial list with eight bytes a trial. The names are in [`Words`].
pub struct TrialList {
    text: Text,
    trials: Vec<Pair>,
    /// The trials of the file that were left out, by their numbers, ascending.
    left_out: Vec<usize>,
}

impl TrialList {
    /// Reads a list, in the forms of [`read_trials`](super::read_trials). Adds new words to
    /// `words`, and calls `done` with the number of bytes that were read since the last call.
    ///
    /// # Errors
    /// The first bad line; a trial with two labels; a list without trials; a file that cannot be
    /// read.
    pub fn read(text: Text, words: &mut Words, done: &mut dyn FnMut(usize)) -> Result<Self> {
        Self::read_with(text, words, None, done)
    }

    /// [`read`](Self::read), which also appends the line of each trial to `lines`, if given.
    pub(super) fn read_with(
        text: Text,
        words: &mut Words,
        lines: Option<&mut Vec<usize>>,
        done: &mut dyn FnMut(usize),
    ) -> Result<Self> {
        let (trials, wrong) = read_all(&text, &TrialLine::of(&text), words, pair, lines, done)?;
        let doubtful = contradicted(&trials, ROUND);
        if !doubtful.is_empty() {
            return Err(contradiction(&text, words, &doubtful)?);
        }
        match wrong {
            Some(error) => Err(error),
            None if trials.is_empty() => Err(Error::file(text.path(), "holds no trials")),
            None => Ok(Self { text, trials, left_out: Vec::new() }),
        }
    }

    /// The trials in the order of the list, or of their numbers after [`sort`](Self::sort).
    pub fn trials(&self) -> &[Pair] {
        &self.trials
    }

    /// The file.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// Leaves out the trials that are not `wanted`, and tells how many those are. To be called
    /// once, and before [`sort`](Self::sort).
    pub fn retain(&mut self, wanted: impl Fn(Pair) -> bool) -> usize {
        let unwanted = |(i, pair): (usize, &Pair)| (!wanted(*pair)).then_some(i);
        self.left_out = self.trials.iter().enumerate().filter_map(unwanted).collect();
        self.trials.retain(|pair| wanted(*pair));
        self.left_out.len()
    }

    /// The line of a trial, before [`sort`](Self::sort).
    ///
    /// # Errors
    /// A file that cannot be read any more, or that has changed.
    pub fn line_of(&self, trial: usize) -> Result<usize> {
        let in_file = self.left_out.iter().fold(trial, |at, &gone| at + usize::from(gone <= at));
        self.text.line_of(in_file)
    }

    /// Puts the trials in the order of their numbers.
    pub fn sort(&mut self) {
        self.trials.par_sort_unstable();
    }

    /// Reads the file again up to the first trial that is `wanted`, and returns it with its line.
    /// `wanted` gets line and trial. `words` must be those of the first reading.
    ///
    /// # Errors
    /// A file that cannot be read any more.
    pub fn find(
        &self,
        words: &mut Words,
        wanted: &mut dyn FnMut(usize, Pair) -> bool,
    ) -> Result<Option<(usize, Pair)>> {
        let first =
            find_line(&self.text, &TrialLine::of(&self.text), words, &mut |line, found| {
                wanted(line, pair(found))
            })?;
        Ok(first.map(|(line, found)| (line, pair(&found))))
    }
}

fn pair(found: &Found<Option<bool>>) -> Pair {
    Pair::new(found.words[0], found.words[1], found.value)
}

/// The numbers of trials that have two labels, ascending. About `most` trials are sorted at a time.
fn contradicted(trials: &[Pair], most: usize) -> Vec<u64> {
    let rounds = trials.len().div_ceil(most) as u64;
    let mut all: Vec<u64> = Vec::new();
    for round in 0..rounds {
        // Trials of the same numbers are due in the same round.
        let is_due = |t: &Pair| ((mix64(t.numbers()) >> 32) * rounds) >> 32 == round;
        let mut due: Vec<Pair> =
            trials.par_iter().copied().filter(|t| t.label().is_some() && is_due(t)).collect();
        due.par_sort_unstable();
        let twice = due.par_windows(2).filter(|w| w[0].numbers() == w[1].numbers() && w[0] != w[1]);
        all.par_extend(twice.map(|w| w[0].numbers()));
    }
    all.sort_unstable();
    all
}

/// The error of the first line that contradicts one before it. `doubtful` are the numbers of
/// trials with two labels, ascending.
fn contradiction(text: &Text, words: &mut Words, doubtful: &[u64]) -> Result<Error> {
    let mut seen: HashMap<u64, (bool, usize)> = HashMap::new();
    let mut then = None;
    let first = find_line(text, &TrialLine::of(text), words, &mut |line, found| {
        let numbers = pair(found).numbers();
        if let Some(label) = found.value
            && doubtful.binary_search(&numbers).is_ok()
        {
            then = seen.insert(numbers, (label, line)).filter(|then| then.0 != label);
        }
        then.is_some()
    })?;
    let (Some((line, found)), Some((label, first))) = (first, then) else {
        return Ok(text.changed());
    };
    let (enroll, test) = (words.get(found.words[0]), words.get(found.words[1]));
    let (now, then) = (label_name(!label), label_name(label));
    Ok(Error::line(
        text.path(),
        line,
        format!("trial {enroll} {test} is {now} here and {then} in line {first}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn lines_are_those_of_the_file_whatever_was_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trials");
        std::fs::write(&path, "1 x a\n1 a b\n\n0 b x\n1 x x\n0 c a\n1 b a\n0 x c\n").unwrap();
        let mut words = Words::default();
        let text = Text::open(&path).unwrap();
        let mut list = TrialList::read(text, &mut words, &mut |_| ()).unwrap();
        assert_eq!(
            (0..7).map(|i| list.line_of(i).unwrap()).collect::<Vec<_>>(),
            [1, 2, 4, 5, 6, 7, 8]
        );
        let x = words.find("x").unwrap();
        assert_eq!(list.retain(|pair| pair.enroll() != x && pair.test() != x), 4);
        assert_eq!(list.trials().len(), 3);
        assert_eq!([0, 1, 2].map(|i| list.line_of(i).unwrap()), [2, 6, 7]);
    }

    #[test]
    fn contradictions_are_found_in_any_number_of_rounds() {
        let mut stream = Stream::new(3, "test", &[]);
        let mut labels = HashMap::new();
        let (mut trials, mut wanted) = (Vec::new(), Vec::new());
        for _ in 0..2000 {
            let (a, b) = (stream.below(40) as u32, stream.below(40) as u32);
            let label = stream.chance(0.9).then(|| stream.chance(0.5));
            let trial = Pair::new(a, b, label);
            trials.push(trial);
            if label
                .is_some_and(|l| labels.insert(trial.numbers(), l).is_some_and(|other| other != l))
            {
                wanted.push(trial.numbers());
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        assert!(wanted.len() > 100);
        for most in [50, 300, 2000, ROUND] {
            let mut found = contradicted(&trials, most);
            assert!(found.is_sorted());
            found.dedup();
            assert_eq!(found, wanted, "{most}");
        }
        assert!(contradicted(&[], ROUND).is_empty());
    }
}
