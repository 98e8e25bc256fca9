//! Errors of the library as exceptions of Python.

use std::path::Path;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use revox::Error;
use revox::portable::advice;

pyo3::import_exception!(revox._errors, RevoxError);

/// The exception of an error: `OSError` where the operating system refused, `ValueError` where an
/// argument is impossible, else `RevoxError` with the file and the line at fault.
pub(crate) fn exception(error: Error) -> PyErr {
    match error.bare() {
        Error::Io { path, source, .. } if source.raw_os_error().is_some() => {
            return refused(path, source);
        }
        Error::Io { .. } => return PyOSError::new_err(error.to_string()),
        Error::Invalid(_) => return PyValueError::new_err(told(&error)),
        _ => (),
    }
    let exception = RevoxError::new_err(told(&error));
    let (file, line) = error.place();
    let (file, line) = (file.map(|path| path.display().to_string()), line);
    let set = Python::attach(|py| {
        let value = exception.value(py);
        value.setattr("file", file)?;
        value.setattr("line", line)
    });
    set.map_or_else(|e| e, |()| exception)
}

/// The exception of samples in memory: they have a name in messages, but no file.
pub(crate) fn of_samples(error: Error) -> PyErr {
    match error.bare() {
        Error::File { .. } | Error::Undefined(_) => PyValueError::new_err(told(&error)),
        _ => exception(error),
    }
}

/// As Python tells it: `[Errno 2] No such file or directory: 'a.wav'`, by an exception of the
/// number's class.
fn refused(path: &Path, source: &std::io::Error) -> PyErr {
    let text = source.to_string();
    let text = text.rsplit_once(" (os error").map_or(text.as_str(), |(reason, _)| reason);
    PyOSError::new_err((source.raw_os_error(), text.to_owned(), path.display().to_string()))
}

/// The message, and what helps.
fn told(error: &Error) -> String {
    match advice(error) {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    }
}
