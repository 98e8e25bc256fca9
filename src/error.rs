//! One error type for the whole library. Every variant carries what a user needs to find the cause:
//! the file, the line, the tensor and the shapes, never only a phrase. What would help is data too
//! ([`Remedy`]): each program has its own words for it.

mod remedy;

use std::path::{Path, PathBuf};

pub use self::remedy::Remedy;
use crate::bytes::human;

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
    #[error(
        "{}: tensor `{tensor}` has shape {found:?}, {wanted_by} wants {expected:?}",
        path.display()
    )]
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
    /// The device has no memory left.
    #[error("the device has no memory left: {}", shortage(*asked, words))]
    OutOfMemory {
        /// Bytes of the allocation that failed, where the backend tells.
        asked: Option<u64>,
        /// The backend's own words, their first line.
        words: String,
    },
    /// The device does not answer any more.
    #[error("the device was lost: {words}")]
    DeviceLost {
        /// The backend's own words, their first line.
        words: String,
    },
    /// Training cannot go on.
    #[error("{0}")]
    Training(String),
    /// A signal or a key of the dashboard stopped the work.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// An error with what would help. It is shown as the error alone.
    #[error("{error}")]
    Remedied {
        /// The error.
        error: Box<Error>,
        /// What would help.
        remedy: Remedy,
    },
}

/// What was asked of a memory that is full, or the backend's words if they do not tell.
fn shortage(asked: Option<u64>, words: &str) -> String {
    asked.map_or_else(|| words.to_owned(), |bytes| format!("{} were asked for", human(bytes)))
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

    /// The same error with what would help. It takes the place of an earlier remedy.
    #[must_use]
    pub fn with(self, remedy: Remedy) -> Self {
        let error = match self {
            Self::Remedied { error, .. } => error,
            bare => Box::new(bare),
        };
        Self::Remedied { error, remedy }
    }

    /// The same error told by another one, which keeps the remedy: `e.retold(|text| ...)`.
    #[must_use]
    pub fn retold(self, tell: impl FnOnce(String) -> Self) -> Self {
        match self {
            Self::Remedied { error, remedy } => tell(error.to_string()).with(remedy),
            bare => tell(bare.to_string()),
        }
    }

    /// What would help, if it is known.
    pub fn remedy(&self) -> Option<&Remedy> {
        match self {
            Self::Remedied { remedy, .. } => Some(remedy),
            _ => None,
        }
    }

    /// The error itself, without what would help.
    pub fn bare(&self) -> &Self {
        match self {
            Self::Remedied { error, .. } => error.bare(),
            bare => bare,
        }
    }

    /// The same error with more to say behind it. The remedy stays.
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
            Self::OutOfMemory { asked, words } => {
                let words = format!("{}; {more}", shortage(asked, &words));
                Self::OutOfMemory { asked: None, words }
            }
            Self::DeviceLost { words } => Self::DeviceLost { words: format!("{words}; {more}") },
            Self::Training(message) => Self::Training(format!("{message}; {more}")),
            Self::Interrupted(message) => Self::Interrupted(format!("{message}; {more}")),
            Self::Remedied { error, remedy } => {
                Self::Remedied { error: Box::new(error.and(more)), remedy }
            }
        }
    }

    /// The file that is at fault and the line in it, as far as they are known.
    pub fn place(&self) -> (Option<&Path>, Option<usize>) {
        match self {
            Self::Io { path, .. } | Self::File { path, .. } | Self::Shape { path, .. } => {
                (Some(path), None)
            }
            Self::Line { path, line, .. } => (Some(path), Some(*line)),
            Self::Remedied { error, .. } => error.place(),
            Self::Undefined(_)
            | Self::Invalid(_)
            | Self::Backend(_)
            | Self::OutOfMemory { .. }
            | Self::DeviceLost { .. }
            | Self::Training(_)
            | Self::Interrupted(_) => (None, None),
        }
    }

    /// An impossible argument.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_changes_neither_text_nor_place() {
        let bare = Error::line("a.lst", 3, "two channels");
        let text = bare.to_string();
        let error = bare.with(Remedy::Resume).with(Remedy::ChooseChannel { channels: 2 });
        assert_eq!(error.to_string(), text);
        assert_eq!(error.remedy(), Some(&Remedy::ChooseChannel { channels: 2 }));
        assert_eq!(error.place(), (Some(Path::new("a.lst")), Some(3)));
        let error = error.and("not one");
        assert_eq!(error.to_string(), "a.lst:3: two channels; not one");
        assert!(matches!(error.bare(), Error::Line { line: 3, .. }));
        let error = error.retold(|text| Error::line("wav.scp", 7, text));
        assert_eq!(error.to_string(), "wav.scp:7: a.lst:3: two channels; not one");
        assert_eq!(error.remedy(), Some(&Remedy::ChooseChannel { channels: 2 }));
    }

    #[test]
    fn a_full_memory_says_what_was_asked_for() {
        let full = |asked| Error::OutOfMemory { asked, words: "no more".into() }.to_string();
        assert_eq!(
            full(Some(400 << 20)),
            "the device has no memory left: 400.0 MiB were asked for"
        );
        assert_eq!(full(None), "the device has no memory left: no more");
        let error = Error::OutOfMemory { asked: Some(400 << 20), words: "no more".into() };
        let error = error.and("try less");
        assert!(matches!(error, Error::OutOfMemory { .. }));
        assert_eq!(
            error.to_string(),
            "the device has no memory left: 400.0 MiB were asked for; try less"
        );
    }
}
