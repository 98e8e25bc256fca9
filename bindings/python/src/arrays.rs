//! Arrays of NumPy.

use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray2, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A copy of values that lie side by side.
pub(crate) fn contiguous(array: &PyReadonlyArray1<'_, f32>) -> PyResult<Vec<f32>> {
    Ok(array.as_slice()?.to_vec())
}

/// Values ``[rows, columns]``, row-major, as an array.
pub(crate) fn matrix(
    py: Python<'_>,
    rows: usize,
    columns: usize,
    values: Vec<f32>,
) -> PyResult<Bound<'_, PyArray2<f32>>> {
    let array = Array2::from_shape_vec((rows, columns), values);
    Ok(array.map_err(|e| PyValueError::new_err(e.to_string()))?.into_pyarray(py))
}
