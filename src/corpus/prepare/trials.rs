//! Trial lists of a corpus, checked against its utterances.

use std::io::{self, Write};
use std::path::Path;

use super::survey::Entry;
use super::{ProblemKind, Problems, TrialsReport};
use crate::bytes::counted;
use crate::corpus::{Pair, Text, TrialList, Words};
use crate::error::{Error, Result};

/// What a word is that a trial cannot be made of.
const UNUSABLE: &str = "no usable utterance of the corpus";

/// Trials of a corpus.
pub(super) struct TrialSet {
    /// The list's name below the output folder.
    pub name: String,
    /// Its trials, as numbers of utterances.
    pairs: Vec<Pair>,
    left_out: usize,
}

impl TrialSet {
    /// Reads a list. `find` gives the number of the utterance that a word means. Trials of
    /// utterances that are not usable are left out, with a problem.
    ///
    /// # Errors
    /// Those of [`TrialList::read`]; a list of which no trial is left.
    pub fn read(
        list: &Path,
        name: String,
        problems: &mut Problems,
        find: &dyn Fn(&str) -> Option<usize>,
    ) -> Result<Self> {
        let mut words = Words::default();
        let read = TrialList::read(Text::open(list)?, &mut words, &mut |_| ())?;
        let numbers: Vec<Option<u32>> = words
            .iter()
            .map(|(word, _)| find(word).and_then(|number| u32::try_from(number).ok()))
            .collect();
        let known = |pair: &Pair| {
            let (enroll, test) = (numbers[pair.enroll() as usize], numbers[pair.test() as usize]);
            Some(Pair::new(enroll?, test?, pair.label()))
        };
        let pairs: Vec<Pair> = read.trials().iter().filter_map(known).collect();
        let left_out = read.trials().len() - pairs.len();
        let missing: Vec<(&str, usize)> = words
            .iter()
            .zip(&numbers)
            .filter(|(_, number)| number.is_none())
            .map(|(word, _)| word)
            .collect();
        if let Some(&(word, line)) = missing.first() {
            if pairs.is_empty() {
                let message = format!("`{word}` is {UNUSABLE}; none of the list's trials is left");
                return Err(Error::line(list, line, message));
            }
            let who = match missing.len() {
                1 => format!("`{word}` is {UNUSABLE}"),
                more => {
                    let others = counted(more - 1, "other");
                    format!("`{word}` and {others} are not among the usable utterances")
                }
            };
            let (list, all) = (list.display(), counted(read.trials().len(), "trial"));
            let text = format!("{list}:{line}: {who}; left out: {left_out} of {all}");
            problems.add(ProblemKind::Trials, text);
        }
        Ok(Self { name, pairs, left_out })
    }

    /// Its sizes.
    pub fn report(&self) -> TrialsReport {
        TrialsReport { name: self.name.clone(), trials: self.pairs.len(), left_out: self.left_out }
    }

    /// Whether each of `entries` utterances occurs.
    pub fn occur(&self, entries: usize) -> Vec<bool> {
        let mut occur = vec![false; entries];
        for pair in &self.pairs {
            occur[pair.enroll() as usize] = true;
            occur[pair.test() as usize] = true;
        }
        occur
    }

    /// Writes the list in VoxCeleb's form. Trials without a label have two fields.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, entries: &[Entry], out: &mut dyn Write) -> io::Result<()> {
        self.pairs.iter().try_for_each(|pair| {
            let id = |number: u32| &entries[number as usize].id;
            let (enroll, test) = (id(pair.enroll()), id(pair.test()));
            match pair.label() {
                Some(label) => writeln!(out, "{} {enroll} {test}", u8::from(label)),
                None => writeln!(out, "{enroll} {test}"),
            }
        })
    }
}
