//! Changes of single values of a recipe.

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
