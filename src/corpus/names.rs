//! The utterances that the words of a trial list mean.

mod fits;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::iter::once;
use std::path::{Path, PathBuf};

use self::fits::{Fits, insert, one};
use super::endings::bare;
use crate::error::{Error, Result};

/// The utterances that a list may name. Each has a place, its number.
///
/// The first of these rules that fits any utterance decides what a word means. If it fits several,
/// that is an error.
///
/// 1. The word is the utterance's id, or its file as wav.scp has it.
/// 2. The word differs from the id or file only in an ending of audio files: `a/b.wav` means `a/b`
///    or `a/b.flac`.
/// 3. The word is the end of the file's path: `id1/x/1.wav` means `/data/vox/id1/x/1.wav`.
/// 4. The word is a path whose last name, without ending, is the id: `flac/1/7.wav` means `7`. This
///    is a guess, since the id may be that of `flac/2/7.wav`. So the rule applies only if no files
///    are known, no id has folders, and every word of the list is a path that needs the rule.
///    [`Resolved::note`] then says so.
///
/// Two words of a list that mean one utterance are an error, unless both are its names by rule 1,
/// or by rule 3 with the file's own ending.
pub struct Names<'a> {
    source: PathBuf,
    ids: Vec<&'a str>,
    files: Vec<(&'a str, usize)>,
    exact: HashMap<&'a str, Fits>,
    bare: HashMap<&'a str, Fits>,
    by_end: OnceCell<Vec<(&'a str, usize)>>,
}

/// The result of [`Names::resolve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The place of each word's utterance.
    pub places: Vec<usize>,
    /// A note for the user if words were found by their last names.
    pub note: Option<String>,
}

/// An utterance, and whether the word can mean no other one.
#[derive(Debug, Clone, Copy)]
struct Found {
    place: usize,
    certain: bool,
}

/// Whether a path ends in the folders and file of `end`.
fn is_end(end: &str, path: &str) -> bool {
    path.strip_suffix(end).is_some_and(|rest| rest.ends_with('/'))
}

/// The last name of a path, without ending.
fn last_name(path: &str) -> &str {
    bare(path.rsplit_once('/').map_or(path, |(_, last)| last))
}

impl<'a> Names<'a> {
    /// The utterances of the file `source`, which errors name. The place of an utterance is its
    /// number in `ids`, from 0.
    pub fn new(source: impl Into<PathBuf>, ids: impl IntoIterator<Item = &'a str>) -> Self {
        let ids: Vec<&str> = ids.into_iter().collect();
        let (mut exact, mut without_ending) = (HashMap::new(), HashMap::new());
        for (place, &id) in ids.iter().enumerate() {
            insert(&mut exact, id, place);
            insert(&mut without_ending, bare(id), place);
        }
        Self {
            source: source.into(),
            ids,
            files: Vec::new(),
            exact,
            bare: without_ending,
            by_end: OnceCell::new(),
        }
    }

    /// Adds the file of the utterance at a place, as wav.scp has it.
    pub fn add_file(&mut self, place: usize, listed: &'a str) {
        insert(&mut self.exact, listed, place);
        insert(&mut self.bare, bare(listed), place);
        self.files.push((listed, place));
        self.by_end = OnceCell::new();
    }

    /// The place of each word of `list`. The words come with their lines.
    ///
    /// # Errors
    /// A word that means no utterance or several, and two words that mean one, at their line.
    pub fn resolve<'w>(
        &self,
        list: &Path,
        words: impl IntoIterator<Item = (&'w str, usize)>,
    ) -> Result<Resolved> {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut distinct: Vec<(&str, usize)> = Vec::new();
        let mut order = Vec::new();
        for (word, line) in words {
            let number = *numbers.entry(word).or_insert(distinct.len());
            if number == distinct.len() {
                distinct.push((word, line));
            }
            order.push(number);
        }
        let Resolved { places, note } = self.resolve_distinct(list, &distinct)?;
        Ok(Resolved { places: order.into_iter().map(|number| places[number]).collect(), note })
    }

    /// [`resolve`](Self::resolve) for the distinct words of a list, in the order of their first
    /// lines, with these lines.
    ///
    /// # Errors
    /// Those of [`resolve`](Self::resolve).
    pub fn resolve_distinct(&self, list: &Path, words: &[(&str, usize)]) -> Result<Resolved> {
        let at = |line: usize, message: String| Error::line(list, line, message);
        let several = |word: &str, line: usize, (a, b): (usize, usize)| {
            let (a, b, source) = (self.ids[a], self.ids[b], self.source.display());
            at(line, format!("`{word}` may be utterance `{a}` or `{b}` of {source}"))
        };
        let mut found: Vec<Option<Found>> = Vec::with_capacity(words.len());
        for &(word, line) in words {
            found.push(self.find(word).map_err(|fits| several(word, line, fits))?);
        }
        let mut note = None;
        if self.only_last_names_fit(words, &found) {
            for (&(word, line), found) in words.iter().zip(&mut found) {
                let fits = one(self.bare.get(last_name(word)).copied());
                *found = fits
                    .map_err(|fits| several(word, line, fits))?
                    .map(|place| Found { place, certain: false });
            }
            note = words.first().zip(found[0]).map(|((word, _), first)| {
                let (list, source) = (list.display(), self.source.display());
                let id = self.ids[first.place];
                format!(
                    "{list} names files by path, {source} by last name: \
                     `{word}` is taken for `{id}`"
                )
            });
        }
        // One word that nothing is named like keeps rule 4 from all others, so it is to blame.
        let mut unknown = words.iter().zip(&found).filter(|(_, found)| found.is_none());
        let unlike = unknown.find(|((word, _), _)| !self.bare.contains_key(last_name(word)));
        let unlike = unlike.map(|(&word, _)| word);
        // The last word that means each place, and whether it is certain.
        let mut taken: Vec<Option<(usize, bool)>> = vec![None; self.ids.len()];
        let mut places = Vec::with_capacity(words.len());
        for (number, (&(word, line), found)) in words.iter().zip(found).enumerate() {
            let Found { place, certain } = found.ok_or_else(|| {
                let (word, line) = unlike.unwrap_or((word, line));
                at(line, self.unknown(word))
            })?;
            if let Some((other, other_certain)) = taken[place].replace((number, certain))
                && !(certain && other_certain)
            {
                let ((other, first), id, source) =
                    (words[other], self.ids[place], self.source.display());
                let message = format!(
                    "`{word}` and `{other}` (line {first}) both lead to utterance `{id}` of \
                     {source}"
                );
                return Err(at(line, message));
            }
            places.push(place);
        }
        Ok(Resolved { places, note })
    }

    /// Whether each word means any utterance, by the rules 1 to 3.
    pub fn are_known<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Vec<bool> {
        words.into_iter().map(|word| !matches!(self.find(word), Ok(None))).collect()
    }

    /// Finds a word by rules 1 to 3.
    fn find(&self, word: &str) -> Result<Option<Found>, (usize, usize)> {
        if let Some(place) = one(self.exact.get(word).copied())? {
            return Ok(Some(Found { place, certain: true }));
        }
        let by_end = self.find_by_end(word)?;
        match (one(self.bare.get(bare(word)).copied())?, by_end) {
            // `2.wav` may be utterance `2`, or the file `/d/2.wav` of another one.
            (Some(place), Some(other)) if place != other.place => Err((place, other.place)),
            (Some(place), _) => Ok(Some(Found { place, certain: false })),
            (None, by_end) => Ok(by_end),
        }
    }

    /// Finds a word by rule 3.
    fn find_by_end(&self, word: &str) -> Result<Option<Found>, (usize, usize)> {
        let word = word.strip_prefix("./").unwrap_or(word);
        if word.is_empty() || word.starts_with('/') {
            return Ok(None);
        }
        let wanted = bare(word);
        let files = self.by_end.get_or_init(|| {
            let mut files = self.files.clone();
            files.sort_unstable_by(|a, b| bare(a.0).bytes().rev().cmp(bare(b.0).bytes().rev()));
            files
        });
        // Paths with a common end are neighbours in this order.
        let begin = files.partition_point(|f| {
            bare(f.0).bytes().rev().lt(wanted.bytes().rev().chain(once(b'/')))
        });
        let alike: Vec<&(&str, usize)> =
            files[begin..].iter().take_while(|f| is_end(wanted, bare(f.0))).collect();
        if let Some(place) =
            one(Fits::all(alike.iter().filter(|f| is_end(word, f.0)).map(|f| f.1)))?
        {
            return Ok(Some(Found { place, certain: true }));
        }
        Ok(one(Fits::all(alike.iter().map(|f| f.1)))?.map(|place| Found { place, certain: false }))
    }

    /// Whether rule 4 applies.
    fn only_last_names_fit(&self, words: &[(&str, usize)], found: &[Option<Found>]) -> bool {
        !words.is_empty()
            && self.files.is_empty()
            && found.iter().all(Option::is_none)
            && words.iter().all(|(word, _)| word.contains('/'))
            && !self.ids.iter().any(|id| id.contains('/'))
    }

    fn unknown(&self, word: &str) -> String {
        let source = self.source.display();
        match self.bare.get(last_name(word)) {
            Some(Fits::One(place) | Fits::Several(place, _)) => {
                let id = self.ids[*place];
                format!(
                    "unknown utterance `{word}`; \
                     `{id}` of {source} may be another recording of that name"
                )
            }
            None => format!("unknown utterance `{word}`; {source} has none of that name"),
        }
    }
}

#[cfg(test)]
mod tests;
