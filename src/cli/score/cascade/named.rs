//! Trials, and the recordings that they name.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::archive;
use crate::bytes::hex;
use crate::cli::chosen;
use crate::cli::embed::List;
use crate::cli::values::ends_in;
use crate::corpus::{Names, Pair, Text, TrialList, Words};
use crate::error::{Error, Result};
use crate::fs;
use crate::progress::Progress;
use crate::terminal::note;

/// Trials, and a list of the recordings that they name.
pub(super) struct Named {
    words: Words,
    trials: TrialList,
    recordings: List,
    /// The list's file or folder.
    source: PathBuf,
    /// For each word the place of its recording in the list.
    places: Vec<usize>,
}

impl Named {
    /// Reads trials, and the list of their recordings.
    ///
    /// # Errors
    /// Embeddings in the place of recordings; those of [`TrialList::read`] and [`List::of_path`]; a
    /// word that means no recording or several.
    pub fn read(trials: &Path, source: &Path, quiet: bool) -> Result<Self> {
        check_source(source)?;
        let text = Text::open(trials)?;
        let mut progress = Progress::new("reading trials", text.size(), quiet);
        let mut words = Words::default();
        let list = TrialList::read(text, &mut words, &mut |bytes| progress.add(bytes))?;
        drop(progress);
        let recordings = List::of_path(source)?;
        let places = places(trials, &words, source, &recordings)?;
        Ok(Self { words, trials: list, recordings, source: source.to_owned(), places })
    }

    /// The trials, in the order of their list.
    pub fn trials(&self) -> &[Pair] {
        self.trials.trials()
    }

    /// The trials' file.
    pub fn path(&self) -> &Path {
        self.trials.text().path()
    }

    /// The words of the trials.
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// The recordings.
    pub fn recordings(&self) -> &List {
        &self.recordings
    }

    /// The files that are read.
    pub fn inputs(&self) -> Vec<Cow<'_, Path>> {
        let lists = [self.path(), &self.source].into_iter().map(Cow::<Path>::from);
        lists.chain(self.recordings.inputs()).collect()
    }

    /// SHA-256 over the recordings and the trials, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new().chain_update(self.recordings.digest());
        for trial in 0..self.trials().len() {
            self.sides(trial).iter().for_each(|side| hash.update((*side as u64).to_le_bytes()));
        }
        hex(hash)
    }

    /// The places of the enrollment and the test recording of a trial.
    pub fn sides(&self, trial: usize) -> [usize; 2] {
        let pair = self.trials()[trial];
        [pair.enroll(), pair.test()].map(|word| self.places[word as usize])
    }

    /// The places of all recordings of these trials, ascending.
    pub fn used(&self, trials: &[usize]) -> Vec<usize> {
        let all: BTreeSet<usize> = trials.iter().flat_map(|&trial| self.sides(trial)).collect();
        all.into_iter().collect()
    }

    /// The labels, if the trials allow error rates: all have one, and both kinds are there.
    pub fn labels(&self) -> Option<Vec<bool>> {
        let labels: Vec<bool> = self.trials().iter().filter_map(|pair| pair.label()).collect();
        if labels.is_empty() {
            return None;
        }
        let path = self.path().display();
        if labels.len() < self.trials().len() {
            note!("{path}: some trials have no label, so there are no error rates");
            return None;
        }
        if labels.iter().all(|label| *label == labels[0]) {
            note!("{path}: error rates need targets and nontargets");
            return None;
        }
        Some(labels)
    }

    /// The labels of trials that must have them.
    ///
    /// # Errors
    /// The first trial without a label, at its line.
    pub fn wanted_labels(&self) -> Result<Vec<bool>> {
        let mut labels = Vec::with_capacity(self.trials().len());
        for (i, pair) in self.trials().iter().enumerate() {
            let Some(label) = pair.label() else {
                let line = self.trials.text().line_of(i)?;
                let message = "has no label: a band is chosen on targets and nontargets";
                return Err(Error::line(self.path(), line, message));
            };
            labels.push(label);
        }
        Ok(labels)
    }
}

/// Bytes at the beginning of a file that tell text from other content.
const BEGINNING: u64 = 4096;

/// Refuses embeddings, and whatever else is no list of recordings.
fn check_source(source: &Path) -> Result<()> {
    // A wav.scp may have any name that ends so. A pipe can be read only once.
    let is_other = archive::is_archive(source) && !ends_in(source, "scp")
        || chosen::is_model(source)
        || source.is_file() && begins_with_zeros(source)?;
    match is_other {
        true => Err(Error::file(
            source,
            "is no list of recordings: a cascade makes its own embeddings; give wav.scp, raw.list \
             or shard.list, or a folder with one of them",
        )),
        false => Ok(()),
    }
}

/// Whether there are bytes of zero at the beginning of a file. No text has them; safetensors files,
/// NumPy's and Kaldi's archives do.
fn begins_with_zeros(path: &Path) -> Result<bool> {
    let mut beginning = Vec::new();
    let read = fs::open(path)?.take(BEGINNING).read_to_end(&mut beginning);
    read.map_err(|e| Error::io(path, "read", e))?;
    Ok(beginning.contains(&0))
}

/// For each word of the trials the place of its recording.
fn places(trials: &Path, words: &Words, source: &Path, list: &List) -> Result<Vec<usize>> {
    let files: Vec<Cow<str>> = (0..list.len()).map(|place| list.shown(place)).collect();
    let mut names = Names::new(source, (0..list.len()).map(|place| list.id(place)));
    for (place, file) in files.iter().enumerate() {
        names.add_file(place, file);
    }
    let words: Vec<(&str, usize)> = words.iter().collect();
    let resolved = names.resolve_distinct(trials, &words)?;
    if let Some(text) = resolved.note {
        note!("{text}");
    }
    Ok(resolved.places)
}
