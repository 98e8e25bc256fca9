//! The recipes that a recipe is based on: `base = "resnet.toml"`.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::text::{Text, line_of, parsed};
use crate::error::{Error, Result};
use crate::fs;

/// The key that names a base.
pub(super) const BASE: &str = "base";

/// Most recipes below a recipe.
const MOST_BASES: usize = 8;

/// The text of a recipe.
struct Source {
    path: PathBuf,
    text: String,
}

/// A recipe, and the recipes below it.
pub(super) struct Chain {
    recipe: Source,
    /// The recipe's base, the base of that, and so on.
    bases: Vec<Source>,
}

impl Chain {
    /// Reads the bases of a recipe. The path of a base is relative to the folder of the recipe that
    /// names it.
    ///
    /// # Errors
    /// Text that is not TOML; a base that is no path, cannot be read, or is in the chain already; a
    /// chain of more recipes than anybody needs. All with the line.
    pub fn read(path: &Path, text: String) -> Result<Self> {
        let recipe = Source { path: path.to_owned(), text };
        let mut chain = Self { recipe, bases: Vec::new() };
        while let Some(base) = chain.lower()? {
            chain.bases.push(base);
        }
        Ok(chain)
    }

    /// The recipe over its bases, as one tree.
    ///
    /// # Errors
    /// Text that is not TOML.
    pub fn text(&self) -> Result<Text<'_>> {
        layered(&self.recipe, &self.bases)
    }

    /// The string that a top-level key has in the first recipe with the key.
    ///
    /// # Errors
    /// Text that is not TOML.
    pub fn string(&self, key: &str) -> Result<Option<String>> {
        for Source { path, text } in std::iter::once(&self.recipe).chain(&self.bases) {
            let root = parsed(text, path)?;
            if let Some(value) = root.get_ref().get(key) {
                return Ok(match value.get_ref() {
                    DeValue::String(text) => Some(text.to_string()),
                    _ => None,
                });
            }
        }
        Ok(None)
    }

    /// The base of the last recipe.
    fn lower(&self) -> Result<Option<Source>> {
        let Source { path, text } = self.bases.last().unwrap_or(&self.recipe);
        let root = parsed(text, path)?;
        let Some(value) = root.get_ref().get(BASE) else { return Ok(None) };
        let bad = |message: String| {
            let line = line_of(text, value.span().start);
            Err(Error::line(path, line, format!("{BASE}: {message}")))
        };
        let DeValue::String(name) = value.get_ref() else {
            return bad("must be the path of a recipe, as in \"resnet.toml\"".into());
        };
        let base = path.parent().unwrap_or(Path::new("")).join(&**name);
        let mut all = std::iter::once(&self.recipe).chain(&self.bases);
        if all.any(|source| is_one_file(&source.path, &base)) {
            let (below, top) = (base.display(), path.display());
            return bad(format!("a circle: {below} is itself based on {top}"));
        }
        if self.bases.len() == MOST_BASES {
            return bad(format!("a recipe has at most {MOST_BASES} others below it"));
        }
        match fs::read_to_string(&base) {
            Ok(text) => Ok(Some(Source { path: base, text })),
            Err(error) => bad(error.to_string()),
        }
    }
}

fn layered<'t>(recipe: &'t Source, bases: &'t [Source]) -> Result<Text<'t>> {
    let text = Text::parse(&recipe.text, &recipe.path)?;
    match bases {
        [] => Ok(text),
        [base, below @ ..] => Ok(text.over(layered(base, below)?)),
    }
}

/// Whether two paths lead to one file. Text that comes from no file has only the name it was given.
fn is_one_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests;
