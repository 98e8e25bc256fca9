//! Trial lists of a corpus, checked against its utterances.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::survey::Entry;
use super::{ProblemKind, Problems, TrialsReport};
use crate::bytes::counted;
use crate::corpus::{Pair, Text, TrialList, Words};
use crate::error::{Error, Result};

/// What a word is that a trial cannot be made of.
const UNUSABLE: &str = "no usable utterance of the corpus";

/// A list of trials that was read, before any audio is: its lines are sound.
pub(super) struct ListOfTrials {
    path: PathBuf,
    words: Words,
    trials: TrialList,
}

impl ListOfTrials {
    /// Reads a list.
    ///
    /// # Errors
    /// Those of [`TrialList::read`].
    pub fn read(path: &Path) -> Result<Self> {
        let mut words = Words::default();
        let trials = TrialList::read(Text::open(path)?, &mut words, &mut |_| ())?;
        Ok(Self { path: path.to_owned(), words, trials })
    }

    /// Refuses a list that would lose all its trials. `is_there` tells whether a word names an
    /// utterance.
    ///
    /// # Errors
    /// The first word that names none.
    pub fn check(&self, is_there: &dyn Fn(&str) -> bool) -> Result<()> {
        let there: Vec<bool> = self.words.iter().map(|(word, _)| is_there(word)).collect();
        let is_whole = |pair: &Pair| there[pair.enroll() as usize] && there[pair.test() as usize];
        let missing = self.words.iter().zip(&there).find(|(_, there)| !**there);
        match missing {
            Some(((word, line), _)) if !self.trials.trials().iter().any(is_whole) => {
                Err(self.none_left(word, line))
            }
            _ => Ok(()),
        }
    }

    /// The error of a list without a trial that can be used.
    fn none_left(&self, word: &str, line: usize) -> Error {
        let message = format!("`{word}` is {UNUSABLE}; none of the list's trials is left");
        Error::line(&self.path, line, message)
    }

    /// The trials as numbers of utterances. `find` gives the number of the utterance that a word
    /// means. Trials of utterances that are not usable are left out, with a problem. `name` is the
    /// list's name below the output folder.
    ///
    /// # Errors
    /// A list of which no trial is left.
    pub fn resolve(
        &self,
        name: String,
        problems: &mut Problems,
        find: &dyn Fn(&str) -> Option<usize>,
    ) -> Result<TrialSet> {
        let trials = self.trials.trials();
        let numbers: Vec<Option<u32>> = self
            .words
            .iter()
            .map(|(word, _)| find(word).and_then(|number| u32::try_from(number).ok()))
            .collect();
        let known = |pair: &Pair| {
            let (enroll, test) = (numbers[pair.enroll() as usize], numbers[pair.test() as usize]);
            Some(Pair::new(enroll?, test?, pair.label()))
        };
        let pairs: Vec<Pair> = trials.iter().filter_map(known).collect();
        let left_out = trials.len() - pairs.len();
        let missing: Vec<(&str, usize)> = self
            .words
            .iter()
            .zip(&numbers)
            .filter(|(_, number)| number.is_none())
            .map(|(word, _)| word)
            .collect();
        if let Some(&(word, line)) = missing.first() {
            if pairs.is_empty() {
                return Err(self.none_left(word, line));
            }
            let who = match missing.len() {
                1 => format!("`{word}` is {UNUSABLE}"),
                more => {
                    let others = counted(more - 1, "other");
                    format!("`{word}` and {others} are not among the usable utterances")
                }
            };
            let (list, all) = (self.path.display(), counted(trials.len(), "trial"));
            let text = format!("{list}:{line}: {who}; left out: {left_out} of {all}");
            problems.add(ProblemKind::Trials, text);
        }
        Ok(TrialSet { name, pairs, left_out })
    }
}

/// Trials of a corpus.
pub(super) struct TrialSet {
    /// The list's name below the output folder.
    pub name: String,
    /// Its trials, as numbers of utterances.
    pairs: Vec<Pair>,
    left_out: usize,
}

impl TrialSet {
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
