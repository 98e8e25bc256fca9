//! Trials on which a PLDA model is measured.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::corpus::{Names, Text, TrialList, Words};
use crate::error::{Error, Result};
use crate::scoring::{Curve, Eer, Embeddings, Plda};
use crate::terminal::note;

/// Trials with labels, by the places of their embeddings.
pub(super) struct Measured {
    path: PathBuf,
    /// Both sides, and whether they are of one speaker.
    trials: Vec<([usize; 2], bool)>,
}

impl Measured {
    /// Reads trials of `embeddings`, which are those of the file `source`.
    ///
    /// # Errors
    /// Those of [`TrialList::read`]; a word that means no utterance or several; a trial without a
    /// label.
    pub fn read(path: &Path, source: &Path, embeddings: &Embeddings) -> Result<Self> {
        let mut words = Words::default();
        let list = TrialList::read(Text::open(path)?, &mut words, &mut |_| ())?;
        let names = Names::new(source, embeddings.ids());
        let known: Vec<(&str, usize)> = words.iter().collect();
        let resolved = names.resolve_distinct(path, &known)?;
        if let Some(text) = resolved.note {
            note!("{text}");
        }
        let mut trials = Vec::with_capacity(list.trials().len());
        for (i, pair) in list.trials().iter().enumerate() {
            let Some(label) = pair.label() else {
                let what = "has no label: error rates need targets and nontargets";
                return Err(Error::line(path, list.text().line_of(i)?, what));
            };
            let sides = [pair.enroll(), pair.test()].map(|word| resolved.places[word as usize]);
            trials.push((sides, label));
        }
        Ok(Self { path: path.to_owned(), trials })
    }

    /// The list.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The equal error rate of a model. One that asks for a mean gets that of `embeddings`.
    ///
    /// # Errors
    /// Those of [`Plda::scorer`]; trials of one kind only.
    pub fn eer(&self, plda: &Plda, embeddings: &Embeddings) -> Result<Eer> {
        let mean = plda.lacks_mean().then(|| embeddings.mean());
        let places = self.trials.iter().flat_map(|(sides, _)| *sides);
        let scorer = plda.scorer(embeddings, mean.as_deref(), places)?;
        let score =
            |([enroll, test], target): &([usize; 2], bool)| (scorer.llr(*enroll, *test), *target);
        let scores: Vec<(f64, bool)> = self.trials.par_iter().map(score).collect();
        let curve = Curve::new(scores).map_err(|e| e.retold(|m| Error::file(&self.path, m)))?;
        Ok(curve.eer())
    }
}
