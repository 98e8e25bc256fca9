//! Trial lists, with `label enroll test` (VoxCeleb) or `enroll test label` (Kaldi) a line. Labels
//! are 1 and 0, or words such as target and nontarget.
//!
//! Ids may look like labels. If both ends of a line do, a word is taken for the label rather than a
//! number. With two words or two numbers, the other lines of the list decide, if all their labels
//! are at the same end. If they do not decide, equal labels are read in VoxCeleb's form, and
//! opposite ones are an error.

mod form;
mod label;
mod list;
mod pair;
mod scan;
mod text;
mod words;

use std::path::Path;

pub(crate) use self::label::{label_name, parse_label};
pub use self::list::TrialList;
pub use self::pair::Pair;
pub(crate) use self::scan::{Entry, Fields, Found, Grammar, find_line, read_all};
pub use self::text::Text;
pub use self::words::Words;
use super::Names;
use crate::error::{Error, Result};
use crate::fs;

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Name of the enrollment utterance in the list.
    pub enroll: String,
    /// Name of the test utterance in the list.
    pub test: String,
    /// True for the same speaker; none if the list has no label.
    pub target: Option<bool>,
    /// Its line, from 1.
    pub line: usize,
}

/// Reads a trial list, in which labels come first, last or not at all. [`TrialList`] is for lists
/// of many millions of trials.
///
/// # Errors
/// Those of [`TrialList::read`].
pub fn read_trials(path: impl AsRef<Path>) -> Result<Vec<Trial>> {
    trials_of(Text::open(path.as_ref())?)
}

fn trials_of(text: Text) -> Result<Vec<Trial>> {
    let (mut words, mut lines) = (Words::default(), Vec::new());
    let list = TrialList::read_with(text, &mut words, Some(&mut lines), &mut |_| ())?;
    let trial = |(pair, line): (&Pair, usize)| {
        let word = |number| words.get(number).to_owned();
        Trial { enroll: word(pair.enroll()), test: word(pair.test()), target: pair.label(), line }
    };
    Ok(list.trials().iter().zip(lines).map(trial).collect())
}

/// Writes a list in VoxCeleb's form, whole or not at all.
///
/// # Errors
/// A trial without a label; a file that cannot be written.
pub fn write_trials(path: impl AsRef<Path>, trials: &[Trial]) -> Result<()> {
    let mut text = String::new();
    for t in trials {
        let label = t.target.ok_or_else(|| {
            Error::file(&path, format!("trial {} {} has no label", t.enroll, t.test))
        })?;
        text += &format!("{} {} {}\n", u8::from(label), t.enroll, t.test);
    }
    fs::write_bytes(path, text.as_bytes())
}

/// Places of the two sides of a trial.
pub type Sides = (usize, usize);

/// Places of both sides of each trial of `list`, by the rules of [`Names`], and the note of
/// [`super::Resolved`].
///
/// # Errors
/// Those of [`Names::resolve`].
pub fn resolve(
    list: &Path,
    trials: &[Trial],
    names: &Names,
) -> Result<(Vec<Sides>, Option<String>)> {
    let words =
        trials.iter().flat_map(|t| [(t.enroll.as_str(), t.line), (t.test.as_str(), t.line)]);
    let resolved = names.resolve(list, words)?;
    Ok((resolved.places.chunks_exact(2).map(|sides| (sides[0], sides[1])).collect(), resolved.note))
}

#[cfg(test)]
mod tests;
