//! Error rates, and files of embeddings.

use std::path::PathBuf;

use numpy::{PyArray2, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use revox::corpus;
use revox::scoring::{Cost, Curve, Embeddings};

use crate::arrays::matrix;
use crate::errors::{exception, of_samples};
use crate::pool::detached;

/// Ids and embeddings ``[n, dim]``.
type Table<'py> = (Vec<String>, Bound<'py, PyArray2<f32>>);

/// The curve of scores and labels of equal number.
fn curve(
    py: Python<'_>,
    scores: &PyReadonlyArray1<'_, f64>,
    labels: &PyReadonlyArray1<'_, bool>,
) -> PyResult<Curve<'static>> {
    let (scores, labels) = (scores.as_slice()?, labels.as_slice()?);
    if scores.len() != labels.len() {
        let message = format!("{} scores and {} labels", scores.len(), labels.len());
        return Err(PyValueError::new_err(message));
    }
    let trials: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    detached(py, |_| Curve::new(trials))?.map_err(of_samples)
}

/// Equal error rate and its threshold.
#[pyfunction]
pub(crate) fn eer(
    py: Python<'_>,
    scores: PyReadonlyArray1<'_, f64>,
    labels: PyReadonlyArray1<'_, bool>,
) -> PyResult<(f64, f64)> {
    let eer = curve(py, &scores, &labels)?.eer();
    Ok((eer.rate, eer.threshold))
}

/// Least normalised detection cost and its threshold.
#[pyfunction]
pub(crate) fn min_dcf(
    py: Python<'_>,
    scores: PyReadonlyArray1<'_, f64>,
    labels: PyReadonlyArray1<'_, bool>,
    p_target: f64,
    c_miss: f64,
    c_fa: f64,
) -> PyResult<(f64, f64)> {
    let cost = Cost::new(p_target, c_miss, c_fa).map_err(exception)?;
    let least = curve(py, &scores, &labels)?.min_cost(&cost);
    Ok((least.cost, least.threshold))
}

/// Ids and embeddings of a file.
#[pyfunction]
pub(crate) fn read_embeddings(py: Python<'_>, path: PathBuf) -> PyResult<Table<'_>> {
    let read = |_: &_| {
        let embeddings = Embeddings::load(path)?;
        let (count, dim) = (embeddings.len(), embeddings.dim());
        let mut values = Vec::with_capacity(count * dim);
        (0..count).for_each(|i| values.extend_from_slice(embeddings.row(i)));
        let ids: Vec<String> = embeddings.ids().map(str::to_owned).collect();
        Ok((ids, values, (count, dim)))
    };
    let (ids, values, (count, dim)) = detached(py, read)?.map_err(exception)?;
    Ok((ids, matrix(py, count, dim, values)?))
}

/// Ids and paths of a list of recordings, `id path` a line. Paths that are not absolute are looked
/// for where the program looks for them.
#[pyfunction]
pub(crate) fn read_wav_scp(py: Python<'_>, path: PathBuf) -> PyResult<(Vec<String>, Vec<PathBuf>)> {
    let read = |_: &_| {
        let lines = corpus::read_wav_scp(&path)?;
        let place = |(id, file, _): (String, String, usize)| (id, corpus::locate(&path, &file));
        Ok(lines.into_iter().map(place).unzip())
    };
    detached(py, read)?.map_err(exception)
}
