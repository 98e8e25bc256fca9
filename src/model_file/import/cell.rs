//! One value of a configuration. Every error names file, line and full key.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::rc::Rc;

use super::yaml::{Node, Value};
use crate::error::{Error, Result};

/// The value under a key, or within a list under a key.
pub(super) struct Cell<'a> {
    file: &'a Path,
    /// The full key; places within lists in brackets, from 0.
    key: String,
    node: &'a Node,
}

impl<'a> Cell<'a> {
    /// The value `node` under this full key.
    pub fn new(file: &'a Path, key: String, node: &'a Node) -> Self {
        Self { file, key, node }
    }

    /// The line of the value.
    pub fn line(&self) -> usize {
        self.node.line
    }

    /// An error about the value.
    pub fn error(&self, message: impl Display) -> Error {
        Error::line(self.file, self.node.line, format!("{}: {message}", self.key))
    }

    /// Whether the value is YAML's null.
    pub fn is_null(&self) -> bool {
        matches!(&self.node.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What `read` makes of the value, or nothing for null.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn unless_null<T>(&self, read: impl FnOnce(&Self) -> Result<T>) -> Result<Option<T>> {
        if self.is_null() { Ok(None) } else { read(self).map(Some) }
    }

    /// The text.
    ///
    /// # Errors
    /// Null, a list or a map.
    pub fn text(&self) -> Result<&'a str> {
        match &self.node.value {
            Value::Scalar { .. } if self.is_null() => {
                Err(self.error("has no value; give one, or leave the key out for the default"))
            }
            Value::Scalar { text, .. } => Ok(text.trim()),
            Value::List(_) | Value::Map(_) => {
                Err(self.error("one value is wanted here, not a list or a map"))
            }
        }
    }

    /// The number.
    ///
    /// # Errors
    /// It is no number, or outside the range.
    pub fn number(&self, range: RangeInclusive<f64>) -> Result<f64> {
        let text = self.text()?;
        let value = number(text).ok_or_else(|| self.error(format!("`{text}` is not a number")))?;
        match range.contains(&value) {
            true => Ok(value),
            false => Err(self.error(format!(
                "{text}: {} to {} are possible",
                range.start(),
                range.end()
            ))),
        }
    }

    /// The whole number.
    ///
    /// # Errors
    /// It is no whole number, or outside the range, which must not reach below 0.
    pub fn whole(&self, range: RangeInclusive<f64>) -> Result<usize> {
        match self.number(range)? {
            value if value.fract() != 0.0 => {
                Err(self.error(format!("{value} is not a whole number")))
            }
            value => Ok(value as usize),
        }
    }

    /// The truth value.
    ///
    /// # Errors
    /// It is neither true nor false.
    pub fn flag(&self) -> Result<bool> {
        let text = self.text()?;
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(self.error(format!("`{text}` is neither true nor false"))),
        }
    }

    /// The values of a list.
    ///
    /// # Errors
    /// It is no list, or has more than `most` values.
    pub fn list(&self, most: usize) -> Result<Vec<Cell<'a>>> {
        let items = self.items()?;
        if items.len() > most {
            let count = items.len();
            return Err(self.error(format!("{count} values; at most {most} are possible")));
        }
        Ok((0..).zip(items).map(|(i, node)| self.inside(i, node)).collect())
    }

    /// The values of a list of so many.
    ///
    /// # Errors
    /// It is no list, or has another number of values.
    pub fn array<const N: usize>(&self) -> Result<[Cell<'a>; N]> {
        let items = self.items()?;
        if items.len() != N {
            let count = items.len();
            return Err(self.error(format!("{count} values, where {N} are wanted")));
        }
        Ok(std::array::from_fn(|i| self.inside(i, &items[i])))
    }

    fn items(&self) -> Result<&'a [Rc<Node>]> {
        match &self.node.value {
            Value::List(items) => Ok(items),
            Value::Scalar { .. } | Value::Map(_) => Err(self.error("a list is wanted here")),
        }
    }

    fn inside(&self, i: usize, node: &'a Node) -> Cell<'a> {
        Cell::new(self.file, format!("{}[{i}]", self.key), node)
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
    use crate::model_file::import::section::Section;
    use crate::model_file::import::yaml;

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

    #[test]
    fn values_of_lists_name_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, "a:\n  b: [3, x, ~]\n").unwrap();
        let tree = yaml::read(&path).unwrap();
        let section = Section::top(&path, &tree).unwrap().section("a").unwrap().unwrap();
        let cell = section.cell("b").unwrap();
        let [first, second, third] = cell.array().unwrap();
        assert_eq!(first.whole(1.0..=3.0).unwrap(), 3);
        let error = second.number(0.0..=9.0).unwrap_err().to_string();
        assert!(error.ends_with("c.yaml:2: a.b[1]: `x` is not a number"), "{error}");
        assert_eq!(third.unless_null(|c| c.whole(1.0..=3.0)).unwrap(), None);
        assert_eq!(cell.list(3).unwrap().len(), 3);
        assert!(cell.list(2).is_err() && cell.array::<2>().is_err() && first.list(1).is_err());
    }
}
