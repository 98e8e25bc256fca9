//! The test after each epoch: embeddings of the dev utterances, cosine scores of the dev trials,
//! error rates.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use burn::train::ItemLazy;
use burn::train::metric::Adaptor;
use rayon::prelude::*;

use super::Recipe;
use crate::audio::pipe;
use crate::corpus::{Corpus, Done, Trial, Utterance, read_trials, resolve};
use crate::error::{Error, Result};
use crate::inference::Embedder;
use crate::model_file::Frontend;
use crate::scoring::{Curve, Embeddings, Scorer};
use crate::zoo::Network;

/// The dev corpus and its trials.
pub struct DevSet {
    corpus: Corpus,
    pairs: Vec<(usize, usize)>,
    trials: Vec<Trial>,
    frontend: Frontend,
    stop: Arc<AtomicBool>,
}

/// Error rates of one test, and the scores behind them.
#[derive(Debug, Clone)]
pub struct DevResult {
    /// Equal error rate.
    pub eer: f64,
    /// Normalised minDCF at 0.01 and 0.05.
    pub min_dcf: [f64; 2],
    /// Score, label and speakers of each trial.
    pub scored: Vec<(f64, bool, u32, u32)>,
}

impl DevSet {
    /// Reads lists.
    ///
    /// # Errors
    /// Lists that cannot be read. A trial without a label or with an unknown utterance, at its
    /// line. Trials of one kind only.
    pub fn new(recipe: &Recipe) -> Result<Self> {
        let (corpus, list) = (Corpus::load(&recipe.data.dev)?, &recipe.data.trials);
        if corpus.utterances.iter().any(|u| u.path().is_none()) {
            let what = "names tar files; dev utterances must be files of their own (wav.scp)";
            return Err(Error::file(&corpus.list, what));
        }
        let trials = read_trials(list)?;
        if let Some(t) = trials.iter().find(|t| t.target.is_none()) {
            return Err(Error::line(list, t.line, "a dev trial needs a label"));
        }
        let (pairs, _) = resolve(list, &trials, &corpus.names())?;
        Curve::new(trials.iter().map(|t| (0.0, t.target == Some(true))))
            .map_err(|e| Error::file(list, e.to_string()))?;
        Ok(Self { pairs, trials, frontend: recipe.frontend(), corpus, stop: Arc::default() })
    }

    /// The same with a flag that ends a test.
    #[must_use]
    pub fn stopped_by(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// Opens each file, so that one that is missing, cut as its header tells, or of an unknown
    /// format is found before any work. Commands are not run. Calls `done` after each file.
    ///
    /// # Errors
    /// The first file that cannot be opened, at its line. A stop that was asked for.
    pub fn check_audio(&self, done: &Done) -> Result<()> {
        let (all, rate) = (&self.corpus.utterances, self.frontend.fbank.sample_rate);
        let fault = |u: &Utterance| {
            if self.stop.load(Ordering::Relaxed) {
                return Some(Error::Interrupted("the dev files were being opened".into()));
            }
            let is_file = |path: &&Path| !path.to_str().is_some_and(pipe::is_command);
            u.path().filter(is_file)?;
            let opened = self.corpus.open(u, rate, None);
            done(0, all.len());
            let error = self.corpus.at(u, opened.err()?);
            Some(error.and("mend the file, or take it out of the dev lists and trials"))
        };
        all.par_iter().find_map_first(fault).map_or(Ok(()), Err)
    }

    /// Embeddings of all utterances, in order.
    ///
    /// # Errors
    /// An utterance that cannot be read, at its line. A stop that was asked for.
    pub fn embeddings(&self, network: &Network, device: &Device) -> Result<Embeddings> {
        let embedder = Embedder::new(network, &self.frontend, device)?;
        let utterances = &self.corpus.utterances;
        let paths: Vec<&Path> = utterances.iter().filter_map(Utterance::path).collect();
        let mut all: Option<Embeddings> = None;
        embedder.files(&paths, &mut |i, result| {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted("stopped in the dev test".into()));
            }
            let u = &utterances[i];
            let (_, row) = result.map_err(|e| self.corpus.at(u, e))?;
            if row.iter().any(|x| !x.is_finite()) {
                return Err(Error::Training(format!("the embedding of `{}` is not finite", u.id)));
            }
            all.get_or_insert_with(|| Embeddings::new(row.len())).push(&u.id, &row)
        })?;
        all.ok_or_else(|| Error::Undefined("no dev utterances".into()))
    }

    /// Error rates of a network in evaluation state.
    ///
    /// # Errors
    /// Those of [`DevSet::embeddings`]. Scores whose error rates are undefined.
    pub fn test(&self, network: &Network, device: &Device) -> Result<DevResult> {
        let embeddings = self.embeddings(network, device)?;
        let scorer = Scorer::for_trials(&embeddings, None, &self.pairs)?;
        let speaker = |i: usize| self.corpus.utterances[i].speaker;
        let scored: Vec<_> = self
            .pairs
            .iter()
            .zip(&self.trials)
            .map(|(&(a, b), t)| {
                (scorer.score(a, b), t.target == Some(true), speaker(a), speaker(b))
            })
            .collect();
        let curve = Curve::new(scored.iter().map(|s| (s.0, s.1)))?;
        let min_dcf = [curve.min_dcf(0.01).cost, curve.min_dcf(0.05).cost];
        Ok(DevResult { eer: curve.eer().rate, min_dcf, scored })
    }

    /// The dev corpus.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// The two utterances of the first target trial, for a person who wants to try the model.
    pub fn example_pair(&self) -> Option<(PathBuf, PathBuf)> {
        let i = self.trials.iter().position(|t| t.target == Some(true))?;
        let path = |u: usize| self.corpus.utterances[u].path().map(Path::to_owned);
        Some((path(self.pairs[i].0)?, path(self.pairs[i].1)?))
    }
}

/// The outcome of a test. Errors travel in it too, since burn-train's metrics cannot fail.
#[derive(Debug, Clone)]
pub struct DevOutcome(Arc<Mutex<Option<Result<DevResult>>>>, Option<(f64, [f64; 2])>);

impl DevOutcome {
    pub(super) fn new(result: Result<DevResult>) -> Self {
        let rates = result.as_ref().ok().map(|r| (r.eer, r.min_dcf));
        Self(Arc::new(Mutex::new(Some(result))), rates)
    }

    /// The result, once.
    pub fn take(&self) -> Option<Result<DevResult>> {
        self.0.lock().expect("no holder panics").take()
    }

    /// EER and minDCFs. NaN for a failed test.
    pub fn rates(&self) -> (f64, [f64; 2]) {
        self.1.unwrap_or((f64::NAN, [f64::NAN; 2]))
    }
}

impl ItemLazy for DevOutcome {
    fn sync(self) -> Result<Self, burn::tensor::ExecutionError> {
        Ok(self)
    }
}

impl Adaptor<DevOutcome> for DevOutcome {
    fn adapt(&self) -> DevOutcome {
        self.clone()
    }
}

/// The test as a loader for burn-train. It has one item, the whole dev set.
pub struct DevLoader(pub Arc<DevSet>);

struct Once(Option<Arc<DevSet>>);

impl Iterator for Once {
    type Item = Result<Arc<DevSet>, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl DataLoaderIterator<Arc<DevSet>> for Once {
    fn progress(&self) -> Progress {
        Progress::new(usize::from(self.0.is_none()), 1, Some("tests".to_owned()))
    }
}

impl DataLoader<Arc<DevSet>> for DevLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Arc<DevSet>> + 'a> {
        Box::new(Once(Some(self.0.clone())))
    }

    fn num_items(&self) -> usize {
        1
    }

    fn to_device(&self, _device: &Device) -> Arc<dyn DataLoader<Arc<DevSet>>> {
        Arc::new(Self(self.0.clone()))
    }

    fn slice(&self, _start: usize, _end: usize) -> Arc<dyn DataLoader<Arc<DevSet>>> {
        unreachable!("only multi-device strategies slice, and this training runs on one device")
    }
}
