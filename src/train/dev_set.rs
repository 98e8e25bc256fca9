//! The test after each epoch: embeddings of the dev utterances, cosine scores of the dev trials,
//! error rates.

mod audio;
mod loader;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use burn::tensor::Device;
use burn::train::ItemLazy;
use burn::train::metric::Adaptor;
use rayon::prelude::*;

use self::audio::{check, silence};
pub(super) use self::loader::DevLoader;
use super::Recipe;
use super::dataset::left_out::LeftOut;
use crate::audio::pipe;
use crate::bytes::counted;
use crate::corpus::{Corpus, Done, Trial, read_trials, resolve};
use crate::error::{Error, Result};
use crate::inference::{Embedder, Extractor};
use crate::model_file::Frontend;
use crate::scoring::{Curve, Embeddings, Scorer};
use crate::zoo::Network;

/// Utterances that are read before the faults among them are counted.
const AT_ONCE: usize = 256;

/// The dev corpus and its trials.
pub struct DevSet {
    corpus: Corpus,
    /// The list of trials.
    list: PathBuf,
    pairs: Vec<(usize, usize)>,
    trials: Vec<Trial>,
    frontend: Frontend,
    /// Fewest frames that the network takes.
    least_frames: usize,
    left_out: LeftOut,
    warn: Arc<dyn Fn(&str) + Send + Sync>,
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
    /// Trials that are not among these, since an utterance of them cannot be read.
    pub left_out: usize,
}

impl DevSet {
    /// Reads lists. `warn` gets warnings about audio.
    ///
    /// # Errors
    /// Lists that cannot be read. A trial without a label or with an unknown utterance, at its
    /// line. Trials of one kind only.
    pub fn new(recipe: &Recipe, warn: Arc<dyn Fn(&str) + Send + Sync>) -> Result<Self> {
        let (corpus, list) = (Corpus::load_all(&recipe.data.dev)?, &recipe.data.trials);
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
        Ok(Self {
            list: list.clone(),
            pairs,
            trials,
            frontend: recipe.frontend(),
            least_frames: recipe.model.least_frames()?,
            left_out: LeftOut::of_dev(recipe.data.tolerate, corpus.utterances.len()),
            warn,
            corpus,
            stop: Arc::default(),
        })
    }

    /// The same with a flag that ends a test.
    #[must_use]
    pub fn stopped_by(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// Reads each file to its end, so that one that is missing, damaged, too short or silent is
    /// found before the first step. It is left out with its trials, as long as such files are few
    /// (`data.tolerate`). Commands are not run: what they give is judged by the tests. Calls `done`
    /// after each file.
    ///
    /// # Errors
    /// Files that cannot be used, if they are too many, at their lines. Trials of one kind only,
    /// once those of such files are left out. A stop that was asked for.
    pub fn check_audio(&self, done: &Done) -> Result<()> {
        self.left_out.foresee(self.corpus.missing().count());
        for (place, error) in self.corpus.missing() {
            self.leave_out(place, error)?;
        }
        let (all, missing) = (&self.corpus.utterances, self.left_out.numbers());
        let extractor = Extractor::new(&self.frontend)?.at_least(self.least_frames);
        let fault = |place: usize| {
            let is_command = |path: &Path| path.to_str().is_some_and(pipe::is_command);
            let is_wanted = !missing.contains(&place) && !all[place].path().is_some_and(is_command);
            if !is_wanted || self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let opened = self.corpus.open(&all[place], self.frontend.fbank.sample_rate, None);
            let checked = opened.and_then(|source| check(&extractor, source));
            done(0, all.len());
            Some((place, self.corpus.at(&all[place], checked.err()?)))
        };
        let places: Vec<usize> = (0..all.len()).collect();
        for some in places.chunks(AT_ONCE) {
            let faults: Vec<(usize, Error)> =
                some.par_iter().filter_map(|&place| fault(place)).collect();
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted("the dev files were being read".into()));
            }
            faults.into_iter().try_for_each(|(place, error)| self.leave_out(place, error))?;
        }
        self.check_kept()
    }

    /// Leaves out an utterance with its trials.
    ///
    /// # Errors
    /// Those of [`LeftOut::add`].
    fn leave_out(&self, place: usize, error: Error) -> Result<()> {
        if let Some(text) = self.left_out.add(place, error)? {
            (self.warn)(&format!("{text}; left out, with its dev trials"));
        }
        Ok(())
    }

    /// Refuses trials of one kind only, where the others are left out.
    fn check_kept(&self) -> Result<()> {
        let out = self.left_out.numbers();
        let kept = self.pairs.iter().zip(&self.trials);
        let kept = kept.filter(|((a, b), _)| !out.contains(a) && !out.contains(b));
        let curve = Curve::new(kept.map(|(_, t)| (0.0, t.target == Some(true))));
        match curve {
            Err(e) if !out.is_empty() => {
                let without = counted(out.len(), "utterance");
                let message = format!("{e}, without the trials of {without} that cannot be used");
                Err(Error::file(&self.list, message))
            }
            _ => Ok(()),
        }
    }

    /// What was left out because its audio cannot be used, one line for each utterance.
    pub fn left_out(&self) -> Vec<String> {
        self.left_out.faults()
    }

    /// Embeddings of all utterances that can be used, in order.
    ///
    /// # Errors
    /// Utterances that cannot be used, if they are too many, at their lines. An embedding that is
    /// not finite. A stop that was asked for.
    pub fn embeddings(&self, network: &Network, device: &Device) -> Result<Embeddings> {
        Ok(self.embed(network, device)?.0)
    }

    /// [`DevSet::embeddings`], and the row of each utterance of the corpus that has one.
    fn embed(&self, network: &Network, device: &Device) -> Result<(Embeddings, Rows)> {
        let embedder = Embedder::new(network, &self.frontend, device)?;
        let (utterances, out) = (&self.corpus.utterances, self.left_out.numbers());
        let (places, paths): (Vec<usize>, Vec<&Path>) = utterances
            .iter()
            .enumerate()
            .filter(|(place, _)| !out.contains(place))
            .filter_map(|(place, u)| Some((place, u.path()?)))
            .unzip();
        let (mut all, mut rows): (Option<Embeddings>, Rows) = (None, vec![None; utterances.len()]);
        embedder.files(&paths, &mut |i, result| {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted("stopped in the dev test".into()));
            }
            let u = &utterances[places[i]];
            let heard = result.and_then(|(facts, row)| match facts.silent {
                true => Err(silence(paths[i])),
                false => Ok(row),
            });
            let row = match heard {
                Ok(row) => row,
                Err(e) => return self.leave_out(places[i], self.corpus.at(u, e)),
            };
            if row.iter().any(|x| !x.is_finite()) {
                return Err(Error::Training(format!("the embedding of `{}` is not finite", u.id)));
            }
            let all = all.get_or_insert_with(|| Embeddings::new(row.len()));
            rows[places[i]] = Some(all.len());
            all.push(&u.id, &row)
        })?;
        let all = all.ok_or_else(|| Error::Undefined("no dev utterances".into()))?;
        Ok((all, rows))
    }

    /// Error rates of a network in evaluation state.
    ///
    /// # Errors
    /// Those of [`DevSet::embeddings`]. Scores whose error rates are undefined.
    pub fn test(&self, network: &Network, device: &Device) -> Result<DevResult> {
        let (embeddings, rows) = self.embed(network, device)?;
        let kept = self.pairs.iter().filter_map(|&(a, b)| Some((rows[a]?, rows[b]?)));
        let pairs: Vec<(usize, usize)> = kept.collect();
        let left_out = self.pairs.len() - pairs.len();
        let scorer = Scorer::for_trials(&embeddings, None, &pairs)?;
        let speaker = |i: usize| self.corpus.utterances[i].speaker;
        let all = self.pairs.iter().zip(&self.trials);
        let scored: Vec<_> = all
            .filter_map(|(&(a, b), t)| {
                let score = scorer.score(rows[a]?, rows[b]?);
                Some((score, t.target == Some(true), speaker(a), speaker(b)))
            })
            .collect();
        let curve = Curve::new(scored.iter().map(|s| (s.0, s.1)))?;
        let min_dcf = [curve.min_dcf(0.01).cost, curve.min_dcf(0.05).cost];
        Ok(DevResult { eer: curve.eer().rate, min_dcf, scored, left_out })
    }

    /// The dev corpus.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// The two utterances of the first target trial, for a person who wants to try the model.
    pub fn example_pair(&self) -> Option<(PathBuf, PathBuf)> {
        let out = self.left_out.numbers();
        let is_kept = |i: usize| {
            let (a, b) = self.pairs[i];
            !out.contains(&a) && !out.contains(&b)
        };
        let mut targets = (0..self.trials.len()).filter(|&i| self.trials[i].target == Some(true));
        let i = targets.find(|&i| is_kept(i))?;
        let path = |u: usize| self.corpus.utterances[u].path().map(Path::to_owned);
        Some((path(self.pairs[i].0)?, path(self.pairs[i].1)?))
    }
}

/// The row of each utterance of a corpus, if it has one.
type Rows = Vec<Option<usize>>;

/// The outcome of a test. Errors travel in it too, since burn-train's metrics cannot fail.
#[derive(Debug, Clone)]
pub struct DevOutcome(Arc<Mutex<Option<Result<DevResult>>>>, Option<(f64, [f64; 2], usize)>);

impl DevOutcome {
    pub(super) fn new(result: Result<DevResult>) -> Self {
        let rates = result.as_ref().ok().map(|r| (r.eer, r.min_dcf, r.left_out));
        Self(Arc::new(Mutex::new(Some(result))), rates)
    }

    /// The result, once.
    pub fn take(&self) -> Option<Result<DevResult>> {
        self.0.lock().expect("no holder panics").take()
    }

    /// EER and minDCFs. NaN for a failed test.
    pub fn rates(&self) -> (f64, [f64; 2]) {
        self.1.map_or((f64::NAN, [f64::NAN; 2]), |(eer, min_dcf, _)| (eer, min_dcf))
    }

    /// Trials that were left out. 0 for a failed test.
    pub fn left_out(&self) -> usize {
        self.1.map_or(0, |(_, _, left_out)| left_out)
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
