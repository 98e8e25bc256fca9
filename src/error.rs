//! One error type for the whole library. Every variant carries what a user needs to find the cause:
//! the file, the line, the tensor and the shapes, never only a phrase.

use std::path::{Path, PathBuf};

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The verb: `read`, `write`, `create`, ...
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A line of a list file is wrong.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A file as a whole is wrong.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A tensor in a file does not have the shape the network asks for.
    #[error("{}: tensor `{tensor}` has shape {found:?}, {wanted_by} wants {expected:?}", path.display())]
    Shape {
        /// The model or feature file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Which architecture asks.
        wanted_by: String,
        /// The shape asked for.
        expected: Vec<usize>,
        /// The shape found.
        found: Vec<usize>,
    },
    /// A computation has no defined result.
    #[error("{0}")]
    Undefined(String),
    /// An argument or a recipe value is impossible.
    #[error("{0}")]
    Invalid(String),
    /// A backend is not there.
    #[error("{0}")]
    Backend(String),
    /// Training cannot go on.
    #[error("{0}")]
    Training(String),
    /// A signal or a key of the dashboard stopped the work.
    #[error("interrupted: {0}")]
    Interrupted(String),
}

impl Error {
    /// An operating-system error with the file it concerns.
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().into(), action, source }
    }

    /// An error in one line (from 1) of a list.
    pub fn line(path: impl AsRef<Path>, line: usize, message: impl Into<String>) -> Self {
        Self::Line { path: path.as_ref().into(), line, message: message.into() }
    }

    /// An error in a file as a whole.
    pub fn file(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().into(), message: message.into() }
    }

    /// The same error with more to say behind it.
    #[must_use]
    pub fn and(self, more: &str) -> Self {
        match self {
            Self::Io { path, action, source } => {
                Self::file(path, format!("cannot {action}: {source}; {more}"))
            }
            Self::Line { path, line, message } => {
                Self::line(path, line, format!("{message}; {more}"))
            }
            Self::File { path, message } => Self::file(path, format!("{message}; {more}")),
            shape @ Self::Shape { .. } => Self::Invalid(format!("{shape}; {more}")),
            Self::Undefined(message) => Self::Undefined(format!("{message}; {more}")),
            Self::Invalid(message) => Self::Invalid(format!("{message}; {more}")),
            Self::Backend(message) => Self::Backend(format!("{message}; {more}")),
            Self::Training(message) => Self::Training(format!("{message}; {more}")),
            Self::Interrupted(message) => Self::Interrupted(format!("{message}; {more}")),
        }
    }

    /// The file that is at fault and the line in it, as far as they are known.
    pub fn place(&self) -> (Option<&Path>, Option<usize>) {
        match self {
            Self::Io { path, .. } | Self::File { path, .. } | Self::Shape { path, .. } => {
                (Some(path), None)
            }
            Self::Line { path, line, .. } => (Some(path), Some(*line)),
            _ => (None, None),
        }
    }

    /// An impossible argument.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}
