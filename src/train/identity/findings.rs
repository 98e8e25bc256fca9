//! Differences between a run and a checkpoint, gathered for one message that names them all.

use std::path::Path;

use super::Accept;
use crate::error::{Error, Remedy, Result};

/// The result of a comparison.
pub(super) struct Findings<'a> {
    accept: &'a Accept,
    /// Remarks for people, if the run goes on.
    pub notes: Vec<String>,
    refused: Vec<String>,
    /// Names of refused differences that could be accepted.
    names: Vec<String>,
    /// Names of refused differences that cannot be accepted.
    fixed: Vec<String>,
    /// A refused setting, and the checkpoint's value of it.
    set: Option<(&'static str, String)>,
    /// A refused list of training data, and the checkpoint's.
    list: Option<(String, String)>,
}

impl<'a> Findings<'a> {
    /// No difference yet.
    pub fn new(accept: &'a Accept) -> Self {
        Self {
            accept,
            notes: Vec::new(),
            refused: Vec::new(),
            names: Vec::new(),
            fixed: Vec::new(),
            set: None,
            list: None,
        }
    }

    /// A difference that can be accepted.
    pub fn add(&mut self, name: &str, text: String) {
        match self.accept.takes(name) {
            true => self.notes.push(format!("accepted: {text}")),
            false => {
                self.refused.push(text);
                self.names.push(name.to_owned());
            }
        }
    }

    /// A difference that needs no acceptance.
    pub fn grant(&mut self, name: &str, text: String) {
        // Whoever accepts it all the same has accepted something.
        self.accept.takes(name);
        self.notes.push(format!("accepted: {text}"));
    }

    /// A difference that can be accepted. The checkpoint's value is more likely to be meant.
    pub fn add_set(&mut self, key: &'static str, value: String, text: String) {
        match self.accept.takes(key) {
            true => self.notes.push(format!("accepted: {text}")),
            false => {
                self.refused.push(text);
                self.set = Some((key, value));
            }
        }
    }

    /// Another list of training data, which may be meant as well as the checkpoint's: accepting it
    /// can drop speakers.
    pub fn add_list(&mut self, key: &str, value: &str, text: String) {
        self.add(key, text);
        if self.names.iter().any(|name| name == key) {
            self.list = Some((key.to_owned(), value.to_owned()));
        }
    }

    /// A difference that cannot be accepted.
    pub fn add_fixed(&mut self, name: &str, text: String) {
        self.refused.push(text);
        self.fixed.push(name.to_owned());
    }

    /// Whether anything is refused so far.
    pub fn is_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// The remarks.
    ///
    /// # Errors
    /// All refused differences, after `head`, with a remedy.
    pub fn end(self, path: &Path, head: &str) -> Result<Vec<String>> {
        if !self.is_refused() {
            return Ok(self.notes);
        }
        let message = format!("{head}: {}", self.refused.join("; "));
        if self.fixed.is_empty() {
            let mut names = self.names;
            let remedy = match (self.list, self.set) {
                (None, Some((key, value))) => Remedy::Set { key, value, names },
                (None, None) => Remedy::Accept { names },
                (Some(list), set) => {
                    let set = set.map(|(key, value)| (key.to_owned(), value));
                    names.extend(set.iter().map(|(key, _)| key.clone()));
                    Remedy::Keep { settings: [list].into_iter().chain(set).collect(), names }
                }
            };
            return Err(Error::file(path, message).with(remedy));
        }
        let message = format!("{message}. {} cannot change within a run", self.fixed.join(", "));
        Err(Error::file(path, message).with(Remedy::OtherFolder))
    }
}
