//! Changes of single values of a recipe.

use toml::Spanned;
use toml::de::DeValue;

/// Changes of the form `key=value`, with the name that errors give them.
///
/// Keys are dotted: `train.epochs=3`. Values are TOML; what is not TOML is a string. A list of
/// strings becomes changes of the name `override`.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    list: &'a [String],
    name: &'a str,
}

impl<'a> Changes<'a> {
    /// Changes that errors call `name`, for instance by the option that they were given with.
    pub fn named(list: &'a [String], name: &'a str) -> Self {
        Self { list, name }
    }

    /// The changes, in order.
    pub(super) fn list(self) -> &'a [String] {
        self.list
    }

    /// The string that they give a top-level key, if they do.
    pub(super) fn string(self, key: &str) -> Option<String> {
        let mut pairs = self.list.iter().rev().filter_map(|change| change.split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.trim() == key)?;
        let value = value.trim();
        Some(match DeValue::parse(value).map(Spanned::into_inner) {
            Ok(DeValue::String(text)) => text.into_owned(),
            _ => value.to_owned(),
        })
    }

    /// What errors call them.
    pub(super) fn name(self) -> &'a str {
        self.name
    }
}

impl<'a> From<&'a [String]> for Changes<'a> {
    fn from(list: &'a [String]) -> Self {
        Self::named(list, "override")
    }
}

impl<'a> From<&'a Vec<String>> for Changes<'a> {
    fn from(list: &'a Vec<String>) -> Self {
        list.as_slice().into()
    }
}

impl<'a, const N: usize> From<&'a [String; N]> for Changes<'a> {
    fn from(list: &'a [String; N]) -> Self {
        list.as_slice().into()
    }
}
