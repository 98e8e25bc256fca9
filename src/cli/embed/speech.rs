//! Seconds of speech by utterance, as a list.

use std::path::Path;

use super::List;
use crate::error::{Error, Result};
use crate::fs;

/// Refuses ids that a list with other words in its lines cannot keep.
///
/// # Errors
/// The first such id.
pub(super) fn check_words(list: &List) -> Result<()> {
    let is_word = |id: &str| !id.is_empty() && !id.contains(char::is_whitespace);
    (0..list.len()).find(|&place| !is_word(list.id(place))).map_or(Ok(()), |place| {
        let id = list.id(place);
        let message = format!("--speech: the id {id:?} is no word without blanks");
        Err(list.at(place, Error::invalid(message), false))
    })
}

/// Writes the seconds of speech of utterances: `id seconds` a line.
///
/// # Errors
/// Those of [`fs::write_atomic`].
pub(super) fn write_speech(file: &Path, speech: &[(&str, f64)]) -> Result<()> {
    fs::write_atomic(file, |out| {
        speech.iter().try_for_each(|(id, seconds)| writeln!(out, "{id} {seconds:.3}"))
    })
}
