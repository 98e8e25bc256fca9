//! A recording that was heard.

use numpy::{PyArray1, ToPyArray};
use pyo3::prelude::*;
use revox::portable;

/// A recording that a model has heard. :meth:`Model.compare` takes it in a recording's place, so
/// that it need not be heard again.
#[pyclass(frozen, module = "revox")]
pub(crate) struct Utterance {
    pub heard: portable::Utterance,
    /// The hash of the model that has heard it.
    pub model: String,
}

#[pymethods]
impl Utterance {
    /// The embedding, float32 ``[dim]``; a copy.
    #[getter]
    fn embedding<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        self.heard.embedding.to_pyarray(py)
    }

    /// Length of the recording, seconds.
    #[getter]
    fn seconds(&self) -> f64 {
        self.heard.facts.seconds
    }

    /// Seconds of it in which somebody speaks.
    #[getter]
    fn speech_seconds(&self) -> f64 {
        self.heard.facts.quality.speech_seconds
    }

    /// Root mean square of the samples, full scale = 1.
    #[getter]
    fn rms(&self) -> f64 {
        self.heard.facts.rms
    }

    /// Share of samples that are clipped, 0 to 1.
    #[getter]
    fn clipped(&self) -> f64 {
        self.heard.facts.quality.clipped
    }

    /// Highest frequency that is heard, Hz; 0 if nothing is.
    #[getter]
    fn bandwidth(&self) -> f64 {
        self.heard.facts.quality.bandwidth
    }

    /// Whether nothing can be heard: the samples do not change.
    #[getter]
    fn silent(&self) -> bool {
        self.heard.facts.silent
    }

    /// What makes its scores less reliable, in words.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.heard.facts.warnings.clone()
    }

    fn __repr__(&self) -> String {
        format!(
            "<revox.Utterance: {:.2} s, {:.2} s of speech>",
            self.seconds(),
            self.speech_seconds()
        )
    }
}
