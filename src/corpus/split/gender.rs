//! Genders of speakers.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::fs;

/// The genders of speakers; true for female.
pub type Genders = HashMap<String, bool>;

/// A word that names a gender.
fn gender(word: &str) -> Option<bool> {
    let is = |names: [&str; 2]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    if is(["f", "female"]) { Some(true) } else { is(["m", "male"]).then_some(false) }
}

/// Reads a list with the speaker first and the gender in one of the other fields: Kaldi's
/// `spk2gender`, VoxCeleb's `vox1_meta.csv` and `vox2_meta.csv`, LibriSpeech's `SPEAKERS.TXT`.
/// Fields are divided by blanks, commas or `|`. Lines that begin with `;` or `#` are remarks, and
/// the first line may be a heading.
///
/// # Errors
/// A file that cannot be read; a line without a gender; a speaker with two genders; no speakers.
pub fn read_genders(path: &Path) -> Result<Genders> {
    let text = fs::read_to_string(path)?;
    let mut genders = Genders::new();
    for (i, line) in text.lines().enumerate() {
        let mut fields = line
            .split(|c: char| c.is_ascii_whitespace() || c == ',' || c == '|')
            .filter(|field| !field.is_empty());
        let Some(speaker) = fields.next().filter(|first| !first.starts_with([';', '#'])) else {
            continue;
        };
        let Some(gender) = fields.find_map(gender) else {
            if i == 0 {
                continue;
            }
            let message = format!("no gender of `{speaker}`; wanted `speaker f` or `speaker m`");
            return Err(Error::line(path, i + 1, message));
        };
        if genders.insert(speaker.to_owned(), gender).is_some_and(|other| other != gender) {
            return Err(Error::line(path, i + 1, format!("`{speaker}` had another gender before")));
        }
    }
    match genders.is_empty() {
        true => Err(Error::file(path, "holds no genders; wanted lines `speaker f` or `speaker m`")),
        false => Ok(genders),
    }
}

/// Most names that a message shows.
const SHOWN: usize = 3;

/// The first of some names: `` `ann`, `ben`, `cleo`, and 2 more ``.
pub(super) fn first_of<S: AsRef<str>>(names: &[S]) -> String {
    let first: Vec<String> =
        names.iter().take(SHOWN).map(|name| format!("`{}`", name.as_ref())).collect();
    match names.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{}, and {more} more", first.join(", ")),
        _ => first.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_names_are_shown() {
        assert_eq!(first_of(&["a"]), "`a`");
        assert_eq!(first_of(&["a", "b", "c"]), "`a`, `b`, `c`");
        assert_eq!(first_of(&["a", "b", "c", "d", "e"]), "`a`, `b`, `c`, and 2 more");
    }

    #[test]
    fn lists_of_corpora_are_understood() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("genders");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_genders(&path).map_err(|e| e.to_string())
        };
        for text in [
            "a f\nb m\n",
            "VoxCeleb1 ID\tVGGFace1 ID\tGender\tSet\na\tA.J._B\tf\tdev\nb\tC\tm\ttest\n",
            "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set\na ,n01 ,f ,dev \nb ,n02 ,m ,dev \n",
            ";ID |SEX| SUBSET\n\na    | F | train-clean-100 | 25.03 | x\nb | M | dev | 8 | y\n",
            "a Female\nb male\n",
        ] {
            let genders = read(text).unwrap();
            assert_eq!((genders.len(), genders["a"], genders["b"]), (2, true, false), "{text}");
        }
        for (text, wanted) in [
            ("a f\nb x\n", "genders:2: no gender of `b`"),
            ("a f\na m\n", "genders:2: `a` had another gender"),
            ("heading\n", "holds no genders"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
