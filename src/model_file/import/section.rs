//! A map of a configuration, read by key. Every error names file, line and full key.

use std::ops::RangeInclusive;
use std::path::Path;
use std::rc::Rc;

use super::cell::Cell;
use super::yaml::{Entries, Node, Value};
use crate::error::{Error, Result};

/// A map of a configuration.
///
/// YAML's types do not matter: `8000`, `8000.0`, `'8000'` and `8e3` are the same number. Reading a
/// key that has no value is an error; a key that is missing reads as `None`.
pub(super) struct Section<'a> {
    file: &'a Path,
    /// The map's full key with a dot behind it; empty at the top level.
    prefix: String,
    entries: &'a Entries,
}

impl<'a> Section<'a> {
    /// The file's outermost map.
    ///
    /// # Errors
    /// The file is not a map.
    pub fn top(file: &'a Path, node: &'a Node) -> Result<Self> {
        match &node.value {
            Value::Map(entries) => Ok(Self { file, prefix: String::new(), entries }),
            Value::Scalar { .. } | Value::List(_) => {
                Err(Error::line(file, node.line, "not a map of keys and values"))
            }
        }
    }

    /// A map without entries, in the place of one that the file lacks.
    pub fn empty(file: &'a Path, none: &'a Entries) -> Self {
        Self { file, prefix: String::new(), entries: none }
    }

    /// The map under a key.
    ///
    /// # Errors
    /// Something else is there.
    pub fn section(&self, key: &str) -> Result<Option<Section<'a>>> {
        let Some(node) = self.node(key) else { return Ok(None) };
        match &node.value {
            Value::Map(entries) => Ok(Some(Section {
                file: self.file,
                prefix: format!("{}{key}.", self.prefix),
                entries,
            })),
            Value::Scalar { .. } | Value::List(_) => Err(self.error(key, "a map is wanted here")),
        }
    }

    fn node(&self, key: &str) -> Option<&'a Rc<Node>> {
        self.entries.iter().find(|(k, _)| k == key).map(|(_, node)| node)
    }

    /// The value under a key.
    pub fn cell(&self, key: &str) -> Option<Cell<'a>> {
        let node = self.node(key)?;
        Some(Cell::new(self.file, format!("{}{key}", self.prefix), node))
    }

    /// Whether there is such a key.
    pub fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    /// Refuses keys that are not among those known; the error says `why`.
    ///
    /// # Errors
    /// The first unknown key.
    pub fn only(&self, known: &[&[&str]], why: &str) -> Result<()> {
        match self.unknown(known) {
            Some(key) => Err(self.error(key, why)),
            None => Ok(()),
        }
    }

    /// The first key that is not among those known.
    pub fn unknown(&self, known: &[&[&str]]) -> Option<&'a str> {
        let mut keys = self.entries.iter().map(|(key, _)| key.as_str());
        keys.find(|key| !known.iter().any(|list| list.contains(key)))
    }

    /// An error about a key.
    pub fn error(&self, key: &str, message: impl std::fmt::Display) -> Error {
        let line = self.node(key).map_or(1, |node| node.line);
        Error::line(self.file, line, format!("{}{key}: {message}", self.prefix))
    }

    /// The text under a key.
    ///
    /// # Errors
    /// The key has no value, or a list or a map.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.cell(key).map(|cell| cell.text()).transpose()
    }

    /// The number under a key.
    ///
    /// # Errors
    /// It is no number, or outside the range.
    pub fn number(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<f64>> {
        self.cell(key).map(|cell| cell.number(range)).transpose()
    }

    /// The whole number under a key.
    ///
    /// # Errors
    /// It is no whole number, or outside the range, which must not reach below 0.
    pub fn whole(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<usize>> {
        self.cell(key).map(|cell| cell.whole(range)).transpose()
    }

    /// The truth value under a key.
    ///
    /// # Errors
    /// It is neither true nor false.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.cell(key).map(|cell| cell.flag()).transpose()
    }
}
