//! Reads archives and lists, entry by entry.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ark;
use super::array::{Array, Shape};
use super::bytes::shown;
use super::name::Name;
use super::scp::{Files, Line};
use crate::corpus::Words;
use crate::error::{Error, Result};
use crate::fs::{self, Mapped};

/// An entry of an archive or a list.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// What is stored under the key.
    pub array: Array,
    place: Place,
}

/// Where an entry is.
#[derive(Debug, Clone)]
enum Place {
    /// The place of its key in an archive.
    Byte(Arc<Path>, usize),
    /// The line of a list, from 1.
    Line(Arc<Path>, usize),
}

impl Place {
    /// An error about the entry here.
    fn error(&self, key: &str, message: &str) -> Error {
        let key = shown(key.as_bytes());
        match self {
            Self::Byte(path, at) => {
                Error::file(path, format!("`{key}`, entry at byte {at}: {message}"))
            }
            Self::Line(path, line) => Error::line(path, *line, format!("`{key}`: {message}")),
        }
    }

    /// The place as a number, and its words.
    fn number(&self) -> (usize, &'static str) {
        match self {
            Self::Byte(_, at) => (*at, "byte"),
            Self::Line(_, line) => (*line, "line"),
        }
    }
}

impl Entry {
    /// An error about this entry, which names its file, its key and its place.
    #[must_use]
    pub fn error(&self, message: &str) -> Error {
        self.place.error(&self.key, message)
    }

    /// The values of a vector, or of a matrix of one row.
    ///
    /// # Errors
    /// Another matrix; no values; values that are not finite.
    pub fn vector(&self) -> Result<&[f32]> {
        match self.array.shape {
            Shape::Vector { .. } | Shape::Matrix { rows: 1, .. } => self.finite(),
            Shape::Matrix { rows, columns } => {
                Err(self.error(&format!("a matrix of {rows} x {columns} where a vector is wanted")))
            }
        }
    }

    /// The values of a matrix `[rows, columns]`, and the number of rows.
    ///
    /// # Errors
    /// A vector; another number of columns; no rows; values that are not finite.
    pub fn matrix(&self, columns: usize) -> Result<(&[f32], usize)> {
        match self.array.shape {
            Shape::Matrix { rows, columns: found } if found == columns || rows == 0 => {
                self.finite().map(|values| (values, rows))
            }
            Shape::Matrix { rows, columns: found } => {
                let message = format!("a matrix of {rows} x {found}; {columns} columns are wanted");
                Err(self.error(&message))
            }
            Shape::Vector { length } => {
                let message = format!("a vector of {length} values where a matrix is wanted");
                Err(self.error(&message))
            }
        }
    }

    fn finite(&self) -> Result<&[f32]> {
        let values = &self.array.values;
        match values.iter().position(|x| !x.is_finite()) {
            _ if values.is_empty() => Err(self.error("holds no values")),
            Some(i) => Err(self.error(&format!("value {} is {}", i + 1, values[i]))),
            None => Ok(values),
        }
    }
}

/// The entries of an archive or a list in their order, one in memory at a time. It ends after an
/// error.
pub struct Reader {
    path: Arc<Path>,
    source: Source,
    /// The keys, with the places where they are.
    keys: Words,
    over: bool,
}

enum Source {
    Archive { bytes: Mapped, at: usize },
    List { text: String, at: usize, line: usize, files: Files },
}

impl Reader {
    /// Opens `F.ark`, `F.scp`, `ark:F` or `scp:F`; any other name is that of an archive. A long
    /// archive is mapped into memory, a pipe is read into it.
    ///
    /// Files that a list names are looked for beside the list, above it and in the working folder.
    ///
    /// # Errors
    /// A file that cannot be read; a name with both an archive and a list. Errors of entries come
    /// with the entries: they name file and key, and the byte or the line.
    pub fn open(name: impl AsRef<Path>) -> Result<Self> {
        let name = name.as_ref();
        let whole = || Name { ark: Some(name.to_owned()), scp: None, text: false };
        match Name::parse(name)?.unwrap_or_else(whole) {
            Name { ark: Some(ark), scp: None, .. } => {
                let bytes = fs::map(&ark)?;
                Ok(Self::of(ark, Source::Archive { bytes, at: 0 }))
            }
            Name { ark: None, scp: Some(scp), .. } => {
                let text = fs::read_to_string(&scp)?;
                let source = Source::List { text, at: 0, line: 0, files: Files::default() };
                Ok(Self::of(scp, source))
            }
            _ => Err(Error::file(name, "names an archive and a list; to read, name one of them")),
        }
    }

    /// An archive whose bytes are known; `path` is its name in errors.
    pub(crate) fn of_archive(path: &Path, bytes: Mapped) -> Self {
        Self::of(path.to_owned(), Source::Archive { bytes, at: 0 })
    }

    fn of(path: PathBuf, source: Source) -> Self {
        Self { path: path.into(), source, keys: Words::default(), over: false }
    }

    fn advance(&mut self) -> Result<Option<Entry>> {
        let file = &self.path;
        let (key, place, array) = match &mut self.source {
            Source::Archive { bytes, at } => {
                let found = ark::key(bytes, *at).map_err(|e| Error::file(file, e))?;
                let Some((key, begin)) = found else { return Ok(None) };
                let place = Place::Byte(Arc::clone(file), begin - 1 - key.len());
                let (array, end) =
                    ark::array(bytes, begin).map_err(|message| place.error(key, &message))?;
                *at = end;
                (key.to_owned(), place, array)
            }
            Source::List { text, at, line, files } => {
                let (number, text) = loop {
                    if *at >= text.len() {
                        return Ok(None);
                    }
                    let rest = &text[*at..];
                    let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
                    (*at, *line) = (*at + length, *line + 1);
                    if !rest[..length].trim().is_empty() {
                        break (*line, &rest[..length]);
                    }
                };
                let entry = Line::parse(text).map_err(|e| Error::line(file, number, e))?;
                let place = Place::Line(Arc::clone(file), number);
                let array = files
                    .array(file, &entry)
                    .map_err(|error| error.retold(|message| place.error(entry.key, &message)))?;
                (entry.key.to_owned(), place, array)
            }
        };
        let (at, word) = place.number();
        let (count, number) = (self.keys.len(), self.keys.intern(&key, at));
        match number {
            Some(number) if number as usize == count => Ok(Some(Entry { key, array, place })),
            Some(number) => {
                let first = self.keys.line(number);
                Err(place.error(&key, &format!("the key again; it is already at {word} {first}")))
            }
            None => Err(place.error(&key, "more keys than can be counted")),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.advance().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}
