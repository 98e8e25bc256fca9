//! A recipe as it is read: TOML values that know their places in the text, so that an error points
//! at its line, whichever check finds it.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::base::BASE;
use super::{Changes, ranges};
use crate::error::{Error, Result};
use crate::train::OptimizerConfig;

/// The place of a value that the text does not hold.
const NOWHERE: Range<usize> = usize::MAX..usize::MAX;

/// The section that may be a name too, and whose `kind` has a default.
const OPTIMIZER: &str = "optimizer";

/// Most dots of a line. A key `a.a.a...` makes a table for each dot, one inside the other, and a
/// long line of dots would overflow the stack.
const DEEPEST: usize = 200;

/// The text of a recipe, as a tree. It may lie over the texts of other recipes.
pub(super) struct Text<'t> {
    path: &'t Path,
    /// The recipe's own text, and behind it those below.
    pieces: Vec<Piece<'t>>,
    root: Spanned<DeTable<'t>>,
    /// What errors call the changes, if there are any.
    changed: Option<&'t str>,
}

/// One of a tree's texts. Places in the tree are counted through all of its texts, one behind the
/// other with a byte in between.
struct Piece<'t> {
    path: &'t Path,
    text: &'t str,
    /// The place of the first byte.
    start: usize,
}

impl<'t> Text<'t> {
    /// Parses TOML; `path` appears in errors. The name of a base is left out.
    ///
    /// # Errors
    /// Text that is not TOML, with its line.
    pub fn parse(text: &'t str, path: &'t Path) -> Result<Self> {
        let mut root = parsed(text, path)?;
        root.get_mut().remove(BASE);
        let pieces = vec![Piece { path, text, start: 0 }];
        Ok(Self { path, pieces, root, changed: None })
    }

    /// The same with what it lacks from the text below it, table by table.
    #[must_use]
    pub fn over(mut self, mut below: Self) -> Self {
        let shift = self.pieces.last().map_or(0, |piece| piece.start + piece.text.len() + 1);
        let place = |span: Range<usize>| match span == NOWHERE {
            true => NOWHERE,
            false => span.start + shift..span.end + shift,
        };
        // A section of settings may lie over the name of an optimizer.
        spell_out(below.root.get_mut());
        let entries = entries_placed(below.root.into_inner(), &place);
        complete(self.root.get_mut(), entries);
        let pieces = below.pieces.into_iter();
        self.pieces.extend(pieces.map(|piece| Piece { start: piece.start + shift, ..piece }));
        self
    }

    /// Adds the top-level sections of another text that this one lacks.
    ///
    /// # Errors
    /// Text that is not TOML.
    pub fn complete_with(&mut self, sections: &'t str) -> Result<()> {
        let more = DeTable::parse(sections).map_err(|e| Error::file(self.path, e.message()))?;
        for (name, value) in more.into_inner() {
            if self.root.get_ref().get(&**name.get_ref()).is_none() {
                self.root.get_mut().insert(key(name.into_inner()), elsewhere(value.into_inner()));
            }
        }
        Ok(())
    }

    /// Applies changes.
    ///
    /// # Errors
    /// A change without `=`, or below something that is no section.
    pub fn change(&mut self, changes: Changes<'t>) -> Result<()> {
        if !changes.list().is_empty() {
            self.changed = Some(changes.name());
        }
        apply(self.root.get_mut(), changes)
    }

    /// The values as `T`, after every number has been compared with its range.
    ///
    /// # Errors
    /// Numbers out of range; what `T` refuses: unknown and missing keys, wrong types.
    pub fn values<T: DeserializeOwned>(&mut self) -> Result<T> {
        name_optimizer(self.root.get_mut());
        ranges::check(self.root.get_ref())
            .map_err(|outside| self.at(Some(outside.span), outside.message))?;
        T::deserialize(Deserializer::from(self.root.clone()))
            .map_err(|e| self.at(e.span(), readable(&e)))
    }

    /// The error of a value that does not fit other values: at the line of its key, or of the
    /// section that leaves the key at its default.
    pub fn fault(&self, key: &str, message: String) -> Error {
        let (mut place, mut span) = (self.root.get_ref(), None);
        for part in key.split('.') {
            let Some(value) = place.get(part) else { break };
            match value.get_ref() {
                // A change may be of any key of the section.
                DeValue::Table(section) => {
                    (place, span) = (section, self.changed.is_none().then(|| value.span()));
                }
                _ => {
                    span = Some(value.span());
                    break;
                }
            }
        }
        match span.and_then(|span| self.line(span)) {
            Some((path, line)) => Error::line(path, line, message),
            None => Error::file(self.path, message),
        }
    }

    fn at(&self, span: Option<Range<usize>>, message: String) -> Error {
        match (span.and_then(|span| self.line(span)), self.changed) {
            (Some((path, line)), _) => Error::line(path, line, message),
            (None, Some(name)) => Error::file(self.path, format!("with {name}: {message}")),
            (None, None) => Error::file(self.path, message),
        }
    }

    /// The file and the line of a place. None if no text holds it.
    fn line(&self, span: Range<usize>) -> Option<(&'t Path, usize)> {
        let mut pieces = self.pieces.iter();
        let piece = pieces.rfind(|piece| span != NOWHERE && piece.start <= span.start)?;
        Some((piece.path, line_of(piece.text, span.start - piece.start)))
    }
}

/// Parses TOML; `path` appears in errors.
///
/// # Errors
/// Text that is not TOML, with its line.
pub(super) fn parsed<'t>(text: &'t str, path: &Path) -> Result<Spanned<DeTable<'t>>> {
    let is_deep =
        |line: &str| !line.trim_start().starts_with('#') && line.matches('.').count() > DEEPEST;
    if let Some(i) = text.lines().position(is_deep) {
        return Err(Error::line(path, i + 1, format!("more than {DEEPEST} dots")));
    }
    DeTable::parse(text).map_err(|e| match e.span() {
        Some(span) => Error::line(path, line_of(text, span.start), e.message()),
        None => Error::file(path, e.message()),
    })
}

/// The line, from 1, of a byte.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    1 + text.as_bytes().iter().take(byte).filter(|&&b| b == b'\n').count()
}

/// A deserializer's message on one line. It names the key.
pub(super) fn readable(error: &toml::de::Error) -> String {
    error.to_string().trim_end().replace('\n', " ")
}

/// A key that the text does not hold.
pub(super) fn key<'t>(name: impl Into<DeString<'t>>) -> Spanned<DeString<'t>> {
    Spanned::new(NOWHERE, name.into())
}

/// A value that the text does not hold, with all that is in it.
pub(super) fn elsewhere(value: DeValue<'_>) -> Spanned<DeValue<'_>> {
    placed(Spanned::new(NOWHERE, value), &|_| NOWHERE)
}

/// A value with other places, and all that is in it.
fn placed<'t>(
    value: Spanned<DeValue<'t>>,
    place: &impl Fn(Range<usize>) -> Range<usize>,
) -> Spanned<DeValue<'t>> {
    let span = place(value.span());
    let value = match value.into_inner() {
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| placed(item, place)).collect())
        }
        DeValue::Table(table) => DeValue::Table(entries_placed(table, place)),
        other => other,
    };
    Spanned::new(span, value)
}

/// [`placed`] for the entries of a table.
fn entries_placed<'t>(
    table: DeTable<'t>,
    place: &impl Fn(Range<usize>) -> Range<usize>,
) -> DeTable<'t> {
    let entries = table.into_iter().map(|(key, value)| {
        let span = place(key.span());
        (Spanned::new(span, key.into_inner()), placed(value, place))
    });
    entries.collect()
}

/// Adds to a table what it lacks, and to its tables what these lack.
fn complete<'t>(table: &mut DeTable<'t>, below: DeTable<'t>) {
    for (key, value) in below {
        match table.get_mut(&**key.get_ref()) {
            None => drop(table.insert(key, value)),
            Some(ours) => {
                if let (DeValue::Table(ours), DeValue::Table(below)) =
                    (ours.get_mut(), value.into_inner())
                {
                    complete(ours, below);
                }
            }
        }
    }
}

/// Sets the keys of changes.
///
/// # Errors
/// A change without `=`, or below something that is no section.
pub(super) fn apply<'t>(table: &mut DeTable<'t>, changes: Changes<'t>) -> Result<()> {
    changes.list().iter().try_for_each(|change| set(table, change, changes.name()))
}

/// Sets a dotted key. The value is TOML; what is not TOML is a string.
fn set<'t>(table: &mut DeTable<'t>, change: &'t str, name: &str) -> Result<()> {
    let bad = |m: &str| Error::Invalid(format!("{name} {change}: {m}"));
    let (keys, value) = change.split_once('=').ok_or_else(|| bad("wanted key=value"))?;
    let value = value.trim();
    let text = || DeValue::String(Cow::Borrowed(value));
    let value = match value.is_empty() {
        true => text(),
        false => DeValue::parse(value).map_or_else(|_| text(), Spanned::into_inner),
    };
    let keys: Vec<&'t str> = keys.trim().split('.').collect();
    if keys.len() > DEEPEST {
        return Err(Error::Invalid(format!("{name}: a key with more than {DEEPEST} dots")));
    }
    let (last, sections) = keys.split_last().expect("split gives at least one");
    if sections.first() == Some(&OPTIMIZER) {
        spell_out(table);
    }
    let mut place = table;
    for &section in sections {
        place = section_of(place, section)
            .ok_or_else(|| bad(&format!("`{section}` is not a section")))?;
    }
    place.insert(key(*last), elsewhere(value));
    Ok(())
}

/// The section of a name, which is made if there is none. None if the name has a plain value.
fn section_of<'a, 't>(place: &'a mut DeTable<'t>, name: &'t str) -> Option<&'a mut DeTable<'t>> {
    if place.get(name).is_none() {
        place.insert(key(name), elsewhere(DeValue::Table(DeTable::new())));
    }
    match place.get_mut(name)?.get_mut() {
        DeValue::Table(section) => Some(section),
        _ => None,
    }
}

/// Replaces `optimizer = "adamw"` by a section with this `kind`.
fn spell_out(table: &mut DeTable<'_>) {
    if let Some(value) = table.get_mut(OPTIMIZER)
        && let DeValue::String(name) = value.get_ref()
    {
        let kind = Spanned::new(value.span(), DeValue::String(name.clone()));
        *value.get_mut() = DeValue::Table(DeTable::from_iter([(key("kind"), kind)]));
    }
}

/// Gives a section of the optimizer without a `kind` the default one.
fn name_optimizer(table: &mut DeTable<'_>) {
    if let Some(value) = table.get_mut(OPTIMIZER)
        && let DeValue::Table(section) = value.get_mut()
        && section.get("kind").is_none()
    {
        let kind = OptimizerConfig::default().name();
        section.insert(key("kind"), elsewhere(DeValue::String(Cow::Borrowed(kind))));
    }
}

#[cfg(test)]
mod tests;
