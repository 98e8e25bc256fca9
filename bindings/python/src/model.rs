//! Models.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use numpy::PyReadonlyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use revox::portable::{self, Each};
use revox::scoring::bayes_threshold;
use revox::{Error, Result};

use crate::arrays::contiguous;
use crate::errors::{exception, of_samples};
use crate::pool::detached;
use crate::utterance::Utterance;

/// Score, log-likelihood ratio, probability, prior, threshold, decision, warnings.
type Verdict = (f64, Option<f64>, Option<f64>, Option<f64>, Option<f64>, Option<bool>, Vec<String>);

/// A model, ready to hear: what `revox.Model` stands on.
#[pyclass(frozen, module = "revox._revox")]
pub(crate) struct Model(portable::Model);

#[pymethods]
impl Model {
    /// The model of a file, or the one that revox ships.
    #[new]
    #[pyo3(signature = (path=None))]
    fn new(py: Python<'_>, path: Option<PathBuf>) -> PyResult<Self> {
        let open =
            |_: &_| path.map_or_else(portable::Model::shipped, |p| portable::Model::open(&p));
        detached(py, open)?.map(Self).map_err(exception)
    }

    /// The model whose file's bytes these are.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: Vec<u8>) -> PyResult<Self> {
        detached(py, |_| portable::Model::from_bytes(data))?.map(Self).map_err(exception)
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn dim(&self) -> usize {
        self.0.dim()
    }

    #[getter]
    fn sample_rate(&self) -> u32 {
        self.0.sample_rate()
    }

    #[getter]
    fn hash(&self) -> &str {
        self.0.hash()
    }

    /// The prior of the calibration, if cosines have ratios by it.
    #[getter]
    fn prior(&self) -> Option<f64> {
        let scoring = &self.0.header().scoring;
        let mean = scoring.embedding_mean.as_deref();
        let stored = scoring.calibration.as_ref();
        stored.filter(|stored| stored.takes_cosines(mean)).map(|stored| stored.fitted.prior)
    }

    /// Hears files on all threads.
    #[pyo3(signature = (paths, channel=None))]
    fn hear_files(
        &self,
        py: Python<'_>,
        paths: Vec<PathBuf>,
        channel: Option<usize>,
    ) -> PyResult<Vec<Utterance>> {
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let hear = |each: &mut Each| self.0.hear_files(&paths, channel, each);
        heard(py, self.hash(), paths.len(), &hear, exception)
    }

    /// Hears samples of one channel, float32, full scale = 1, each at its rate in Hz, on all
    /// threads. They are copied: Python may change them meanwhile.
    fn hear_samples(
        &self,
        py: Python<'_>,
        samples: Vec<PyReadonlyArray1<'_, f32>>,
        rates: Vec<u32>,
    ) -> PyResult<Vec<Utterance>> {
        let samples: Vec<Vec<f32>> = samples.iter().map(contiguous).collect::<PyResult<_>>()?;
        let all: Vec<(&[f32], u32)> = samples.iter().map(Vec::as_slice).zip(rates).collect();
        let hear = |each: &mut Each| self.0.hear_many(&all, each);
        heard(py, self.hash(), all.len(), &hear, of_samples)
    }

    /// The cosine of two embeddings, less the model's mean if it has one.
    fn score(&self, a: PyReadonlyArray1<'_, f32>, b: PyReadonlyArray1<'_, f32>) -> PyResult<f64> {
        self.0.score(&contiguous(&a)?, &contiguous(&b)?).map_err(exception)
    }

    /// Whether two recordings have the same speaker. A prior is that of a calibration unless it is
    /// given.
    #[pyo3(signature = (a, b, prior=None))]
    fn compare(&self, a: &Utterance, b: &Utterance, prior: Option<f64>) -> PyResult<Verdict> {
        for (side, utterance) in [("first", a), ("second", b)] {
            if utterance.model != self.hash() {
                let text = format!(
                    "the {side} recording was heard by another model, whose embeddings cannot be \
                     compared with this one's"
                );
                return Err(PyValueError::new_err(text));
            }
        }
        let verdict = self.0.compare(&a.heard, &b.heard).map_err(exception)?;
        let portable::Verdict { score, llr, mut probability, threshold, mut same, warnings } =
            verdict;
        if let (Some(prior), Some(llr)) = (prior, llr) {
            probability = Some(self.0.probability(llr, Some(prior)));
            same = Some(llr >= bayes_threshold(prior, 1.0, 1.0));
        }
        let prior = prior.or_else(|| self.prior()).filter(|_| llr.is_some());
        Ok((score, llr, probability, prior, threshold, same, warnings))
    }

    /// The score from which on it is the same speaker, at a false-accept rate or at the equal error
    /// rate.
    #[pyo3(signature = (far=None))]
    fn threshold(&self, far: Option<f64>) -> PyResult<f64> {
        self.0.threshold(far).map_err(exception)
    }
}

/// What a function of the model of this hash hears of `count` recordings, without Python's lock.
/// Ctrl-C ends it.
fn heard(
    py: Python<'_>,
    model: &str,
    count: usize,
    hear: &(dyn Fn(&mut Each) -> Result<()> + Sync),
    told: fn(Error) -> PyErr,
) -> PyResult<Vec<Utterance>> {
    let heard = detached(py, |stop| {
        let mut utterances = Vec::with_capacity(count);
        hear(&mut |_, utterance| {
            utterances.push(Utterance { heard: utterance?, model: model.to_owned() });
            match stop.load(Ordering::Relaxed) {
                true => Err(Error::Interrupted("by the user".into())),
                false => Ok(()),
            }
        })?;
        Ok(utterances)
    })?;
    heard.map_err(told)
}
