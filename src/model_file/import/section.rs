//! A map of a configuration, read by key. Every error names file, line and full key.

use std::ops::RangeInclusive;
use std::path::Path;
use std::rc::Rc;

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

    /// Whether there is such a key.
    pub fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    /// Refuses keys that are not among those known; the error says `why`.
    ///
    /// # Errors
    /// The first unknown key.
    pub fn only(&self, known: &[&[&str]], why: &str) -> Result<()> {
        match self
            .entries
            .iter()
            .find(|(key, _)| !known.iter().any(|list| list.contains(&key.as_str())))
        {
            Some((key, _)) => Err(self.error(key, why)),
            None => Ok(()),
        }
    }

    /// The line of a key's value, or 1.
    pub fn line(&self, key: &str) -> usize {
        self.node(key).map_or(1, |node| node.line)
    }

    /// An error about a key.
    pub fn error(&self, key: &str, message: impl std::fmt::Display) -> Error {
        Error::line(self.file, self.line(key), format!("{}{key}: {message}", self.prefix))
    }

    /// The text under a key.
    ///
    /// # Errors
    /// The key has no value, or a list or a map.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        let Some(node) = self.node(key) else { return Ok(None) };
        match &node.value {
            Value::Scalar { text, plain }
                if *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") =>
            {
                Err(self.error(key, "has no value; give one, or leave the key out for the default"))
            }
            Value::Scalar { text, .. } => Ok(Some(text.trim())),
            Value::List(_) | Value::Map(_) => {
                Err(self.error(key, "one value is wanted here, not a list or a map"))
            }
        }
    }

    /// The number under a key.
    ///
    /// # Errors
    /// It is no number, or outside the range.
    pub fn number(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<f64>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let value =
            number(text).ok_or_else(|| self.error(key, format!("`{text}` is not a number")))?;
        match range.contains(&value) {
            true => Ok(Some(value)),
            false => Err(self
                .error(key, format!("{text}: {} to {} are possible", range.start(), range.end()))),
        }
    }

    /// The whole number under a key.
    ///
    /// # Errors
    /// It is no whole number, or outside the range, which must not reach below 0.
    pub fn whole(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<usize>> {
        match self.number(key, range)? {
            Some(value) if value.fract() != 0.0 => {
                Err(self.error(key, format!("{value} is not a whole number")))
            }
            value => Ok(value.map(|v| v as usize)),
        }
    }

    /// The truth value under a key.
    ///
    /// # Errors
    /// It is neither true nor false.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Some(true)),
            "false" | "no" | "off" | "0" => Ok(Some(false)),
            _ => Err(self.error(key, format!("`{text}` is neither true nor false"))),
        }
    }
}

/// A number in any of YAML's spellings. A leading zero is refused: some readers take such a number
/// as octal.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(hex) = digits.strip_prefix("0x") {
        let value = u32::from_str_radix(hex, 16).ok().map(f64::from)?;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    let mut chars = digits.chars();
    if chars.next() == Some('0') && chars.next().is_some_and(|c| c.is_ascii_digit() || c == '_') {
        return None;
    }
    match digits {
        ".inf" | ".Inf" | ".INF" => {
            Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY })
        }
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        _ if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            text.replace('_', "").parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_spelling() {
        for text in ["8000", "8000.0", "8e3", "8E3", "8_000", "+8000", "0x1f40", "8000.", "8.0e+03"]
        {
            assert_eq!(number(text), Some(8000.0), "{text}");
        }
        assert_eq!(number("-16000"), Some(-16000.0));
        assert_eq!(number("0"), Some(0.0));
        assert_eq!(number("0.5"), Some(0.5));
        assert_eq!(number(".5"), Some(0.5));
        assert_eq!(number("-.inf"), Some(f64::NEG_INFINITY));
        assert!(number(".nan").unwrap().is_nan());
        for text in [
            "", "-", "x", "08000", "0_8", "1:30", "8000 Hz", "inf", "nan", "infinity", "true",
            "0x", "8,000",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
