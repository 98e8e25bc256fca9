//! A recipe as it is read: TOML values that know their places in the text, so that an error points
//! at its line, whichever check finds it.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::ranges;
use crate::error::{Error, Result};
use crate::train::OptimizerConfig;

/// The place of a value that the text does not hold.
const NOWHERE: Range<usize> = usize::MAX..usize::MAX;

/// The section that may be a name too, and that has a default kind.
const OPTIMIZER: &str = "optimizer";

/// Most dots of a line. A key `a.a.a...` is a table for each dot, one inside the other, and no
/// stack is deep enough for as many as a file may hold.
const DEEPEST: usize = 200;

/// The text of a recipe, as a tree.
pub(super) struct Text<'t> {
    path: &'t Path,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
    changed: bool,
}

impl<'t> Text<'t> {
    /// Parses TOML; `path` appears in errors.
    ///
    /// # Errors
    /// Text that is not TOML, with its line.
    pub fn parse(text: &'t str, path: &'t Path) -> Result<Self> {
        let is_deep =
            |line: &str| !line.trim_start().starts_with('#') && line.matches('.').count() > DEEPEST;
        if let Some(i) = text.lines().position(is_deep) {
            return Err(Error::line(path, i + 1, format!("more than {DEEPEST} dots")));
        }
        let root = DeTable::parse(text).map_err(|e| match e.span() {
            Some(span) => Error::line(path, line_of(text, span.start), e.message()),
            None => Error::file(path, e.message()),
        })?;
        Ok(Self { path, text, root, changed: false })
    }

    /// Adds those top-level sections of another text that this one lacks.
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

    /// Applies a change `key=value`.
    ///
    /// # Errors
    /// A change without `=`, or below something that is no section.
    pub fn set(&mut self, change: &'t str) -> Result<()> {
        self.changed = true;
        apply(self.root.get_mut(), change)
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

    /// The error of a value that goes wrong together with others: at the line of its key, or of the
    /// section that leaves the key at its default.
    pub fn fault(&self, key: &str, message: String) -> Error {
        let (mut place, mut span) = (self.root.get_ref(), None);
        for part in key.split('.') {
            let Some(value) = place.get(part) else { break };
            match value.get_ref() {
                // The key that was changed may be any of the section.
                DeValue::Table(section) => {
                    (place, span) = (section, (!self.changed).then(|| value.span()));
                }
                _ => {
                    span = Some(value.span());
                    break;
                }
            }
        }
        match span.filter(|s| *s != NOWHERE) {
            Some(span) => Error::line(self.path, line_of(self.text, span.start), message),
            None => Error::file(self.path, message),
        }
    }

    fn at(&self, span: Option<Range<usize>>, message: String) -> Error {
        match span {
            Some(span) if span != NOWHERE => {
                Error::line(self.path, line_of(self.text, span.start), message)
            }
            _ if self.changed => Error::file(self.path, format!("with --set: {message}")),
            _ => Error::file(self.path, message),
        }
    }
}

/// The line, from 1, of a byte.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    1 + text.as_bytes().iter().take(byte).filter(|&&b| b == b'\n').count()
}

/// What a deserializer has to say, on one line, with the key it is about.
pub(super) fn readable(error: &toml::de::Error) -> String {
    error.to_string().trim_end().replace('\n', " ")
}

/// A key that the text does not hold.
pub(super) fn key<'t>(name: impl Into<DeString<'t>>) -> Spanned<DeString<'t>> {
    Spanned::new(NOWHERE, name.into())
}

/// A value that the text does not hold, with all that is in it.
pub(super) fn elsewhere(value: DeValue<'_>) -> Spanned<DeValue<'_>> {
    let value = match value {
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| elsewhere(item.into_inner())).collect())
        }
        DeValue::Table(table) => {
            let entries = table.into_iter();
            DeValue::Table(
                entries.map(|(k, v)| (key(k.into_inner()), elsewhere(v.into_inner()))).collect(),
            )
        }
        other => other,
    };
    Spanned::new(NOWHERE, value)
}

/// Sets a dotted key. The value is TOML; what is not TOML is a string.
pub(super) fn apply<'t>(table: &mut DeTable<'t>, change: &'t str) -> Result<()> {
    let bad = |m: &str| Error::Invalid(format!("--set {change}: {m}"));
    let (keys, value) = change.split_once('=').ok_or_else(|| bad("wanted key=value"))?;
    let value = value.trim();
    let text = || DeValue::String(Cow::Borrowed(value));
    let value = match value.is_empty() {
        true => text(),
        false => DeValue::parse(value).map_or_else(|_| text(), Spanned::into_inner),
    };
    let keys: Vec<&'t str> = keys.trim().split('.').collect();
    if keys.len() > DEEPEST {
        return Err(Error::Invalid(format!("--set: a key with more than {DEEPEST} dots")));
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

/// The section of a name, made if there is none; nothing if the name has a plain value.
fn section_of<'a, 't>(place: &'a mut DeTable<'t>, name: &'t str) -> Option<&'a mut DeTable<'t>> {
    if place.get(name).is_none() {
        place.insert(key(name), elsewhere(DeValue::Table(DeTable::new())));
    }
    match place.get_mut(name)?.get_mut() {
        DeValue::Table(section) => Some(section),
        _ => None,
    }
}

/// `optimizer = "adamw"` as the section with this `kind` that it stands for.
fn spell_out(table: &mut DeTable<'_>) {
    if let Some(value) = table.get_mut(OPTIMIZER)
        && let DeValue::String(name) = value.get_ref()
    {
        let kind = Spanned::new(value.span(), DeValue::String(name.clone()));
        *value.get_mut() = DeValue::Table(DeTable::from_iter([(key("kind"), kind)]));
    }
}

/// An optimizer whose kind nobody names is the default one.
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
mod tests {
    use super::*;

    const TEXT: &str = "seed = 1\n\n[data]\nspeeds = [\n  1.0,\n  0.9,\n]\nsynth.out = \"x\"\n[train]\nepochs = 3\n";

    fn text() -> Text<'static> {
        Text::parse(TEXT, Path::new("r.toml")).unwrap()
    }

    #[test]
    fn faults_are_at_the_line_of_their_key_or_section() {
        let at = |key: &str| text().fault(key, "m".into()).place().1;
        assert_eq!(
            [at("seed"), at("data.speeds"), at("data.synth.out")],
            [Some(1), Some(4), Some(8)]
        );
        assert_eq!(
            [at("train.epochs"), at("train.patience"), at("train")],
            [Some(10), Some(9), Some(9)]
        );
        assert_eq!(at("margin.last"), None);
    }

    #[test]
    fn keys_that_no_stack_could_hold_are_errors() {
        let deep = "a.".repeat(100_000);
        let text = format!("seed = 1\n{deep}a = 1\n");
        let error = Text::parse(&text, "r.toml".as_ref()).err().unwrap().to_string();
        assert!(error.starts_with("r.toml:2: more than"), "{error}");
        let change = format!("{deep}a=1");
        assert!(apply(&mut DeTable::new(), &change).unwrap_err().to_string().contains("more than"));
        let comment = format!("# {}\nseed = 1\n", ".".repeat(300));
        Text::parse(&comment, "r.toml".as_ref()).unwrap();
    }

    #[test]
    fn what_was_changed_has_no_line() {
        let mut changed = text();
        changed.set("train.epochs = 5").unwrap();
        changed.set("margin.last=0.1").unwrap();
        let at = |key: &str| changed.fault(key, "m".into()).to_string();
        assert_eq!(at("train.epochs"), "r.toml: m");
        assert_eq!(at("train.patience"), "r.toml: m");
        assert_eq!(at("margin.last"), "r.toml: m");
        assert_eq!(at("seed"), "r.toml:1: m");
    }

    #[test]
    fn sections_that_are_there_are_left_alone() {
        let mut whole = text();
        whole.complete_with("[train]\nepochs = 9\n[model]\nname = \"n\"\n").unwrap();
        let values: toml::Table = whole.values().unwrap();
        assert_eq!(values["train"]["epochs"].as_integer(), Some(3));
        assert_eq!(values["model"]["name"].as_str(), Some("n"));
    }

    #[test]
    fn what_is_not_toml_is_a_string() {
        let values = |change: &'static str| {
            let mut text = text();
            text.set(change).unwrap();
            text.values::<toml::Table>().unwrap()["x"].clone()
        };
        assert_eq!(values("x=runs/a b"), toml::Value::from("runs/a b"));
        assert_eq!(values("x="), toml::Value::from(""));
        assert_eq!(values("x = 0x10"), toml::Value::from(16));
        assert_eq!(values("x=[1, 2]"), toml::Value::from(vec![1, 2]));
        assert_eq!(values("x=\"7\""), toml::Value::from("7"));
    }
}
