//! Differences between a run and a checkpoint, gathered so that one message names them all.

use std::path::Path;

use super::Accept;
use crate::error::{Error, Result};

/// What a comparison has found.
pub(super) struct Findings<'a> {
    accept: &'a Accept,
    /// What a person should know of a run that goes on.
    pub notes: Vec<String>,
    refused: Vec<String>,
    /// Names by which all that is refused could be accepted, but for what is fixed.
    names: Vec<String>,
    fixed: Vec<String>,
}

impl<'a> Findings<'a> {
    /// Nothing yet.
    pub fn new(accept: &'a Accept) -> Self {
        Self {
            accept,
            notes: Vec::new(),
            refused: Vec::new(),
            names: Vec::new(),
            fixed: Vec::new(),
        }
    }

    /// A difference that can be accepted.
    pub fn add(&mut self, name: &str, text: String) {
        match self.accept.takes(name) {
            true => self.notes.push(format!("accepted: {text}")),
            false => {
                self.refused.push(text);
                self.names.push(format!("--accept {name}"));
            }
        }
    }

    /// A difference that cannot.
    pub fn add_fixed(&mut self, name: &str, text: String) {
        self.refused.push(text);
        self.fixed.push(name.to_owned());
    }

    /// Whether anything is refused so far.
    pub fn is_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// The notes.
    ///
    /// # Errors
    /// All that is refused, behind `head`, with the way to go on.
    pub fn end(self, path: &Path, head: &str) -> Result<Vec<String>> {
        if !self.is_refused() {
            return Ok(self.notes);
        }
        let anew = "name another folder (--out) to begin anew";
        let way = match self.fixed.is_empty() {
            true => format!("Go on with {}, or {anew}", self.names.join(" ")),
            false => format!("{} cannot change within a run: {anew}", self.fixed.join(", ")),
        };
        Err(Error::file(path, format!("{head}: {}. {way}", self.refused.join("; "))))
    }
}
