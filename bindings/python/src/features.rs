//! Filter banks.

use std::path::{Path, PathBuf};

use numpy::{PyArray2, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use revox::audio::{Fbank, FbankConfig, Source, Window, subtract_mean};
use revox::{Error, Result};

use crate::arrays::{contiguous, matrix};
use crate::errors::{exception, of_samples};
use crate::pool::detached;

/// A dictionary of settings.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Settings {
    rate: u32,
    mels: usize,
    window: String,
    frame_length_ms: f64,
    frame_shift_ms: f64,
    scale: f64,
    preemphasis: f32,
    low_freq: f64,
    high_freq: f64,
    snip_edges: bool,
    cmn: bool,
}

impl Settings {
    fn config(&self) -> PyResult<FbankConfig> {
        let window = match self.window.as_str() {
            "hamming" => Window::Hamming,
            "povey" => Window::Povey,
            "hanning" => Window::Hanning,
            other => {
                let message = format!("window `{other}`: hamming, povey and hanning are possible");
                return Err(PyValueError::new_err(message));
            }
        };
        Ok(FbankConfig {
            sample_rate: self.rate,
            mels: self.mels,
            frame_length_ms: self.frame_length_ms,
            frame_shift_ms: self.frame_shift_ms,
            window,
            scale: self.scale,
            preemphasis: self.preemphasis,
            low_freq: self.low_freq,
            high_freq: self.high_freq,
            snip_edges: self.snip_edges,
            ..FbankConfig::default()
        })
    }

    /// The features ``[frames, mels]`` of what is opened at a rate.
    fn features<'py>(
        &self,
        py: Python<'py>,
        open: impl FnOnce(u32) -> Result<Source> + Send,
        told: fn(Error) -> PyErr,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let config = self.config()?;
        let features = detached(py, |_| {
            let fbank = Fbank::new(config)?;
            let mut features = fbank.features_of(&mut open(self.rate)?, None)?;
            if self.cmn {
                subtract_mean(&mut features, self.mels);
            }
            Ok(features)
        })?;
        let features = features.map_err(told)?;
        matrix(py, features.len() / self.mels, self.mels, features)
    }
}

/// Kaldi's log-mel filter banks of an audio file: ``[frames, mels]``.
#[pyfunction]
pub(crate) fn fbank_of_file(
    py: Python<'_>,
    path: PathBuf,
    channel: Option<usize>,
    settings: Settings,
) -> PyResult<Bound<'_, PyArray2<f32>>> {
    settings.features(py, |rate| Source::open(path, rate, channel), exception)
}

/// Kaldi's log-mel filter banks of samples of one channel, full scale = 1, at a rate in Hz.
#[pyfunction]
pub(crate) fn fbank_of_samples<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    own_rate: u32,
    settings: Settings,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let samples = contiguous(&samples)?;
    let name = Path::new("the recording");
    settings.features(py, |rate| Source::of_samples(name, samples, own_rate, rate), of_samples)
}
