//! What the words of score files mean: utterances, or models of several utterances on the side of
//! the enrolment.

use std::path::{Path, PathBuf};

use super::speakers::{FileWords, names_of, resolved};
use crate::corpus::{Enrollments, Pair, Words, read_wav_scp};
use crate::error::{Error, Result};
use crate::scoring::ScoreList;

/// A value for each word, on either side of trials.
pub(in crate::cli) struct BySide<T> {
    /// As an utterance; none of words that are models only.
    utterance: Vec<Option<T>>,
    /// As a model, where the enrolment side names models; none of other words.
    model: Option<Vec<Option<T>>>,
}

impl<T: Copy> BySide<T> {
    /// One value for each word, whatever its side.
    pub fn of_words(values: impl IntoIterator<Item = T>) -> Self {
        Self { utterance: values.into_iter().map(Some).collect(), model: None }
    }

    /// The values of the enrolment and the test side of a trial.
    pub fn of(&self, pair: Pair) -> [T; 2] {
        let enrolled = self.model.as_ref().unwrap_or(&self.utterance);
        let sides = [enrolled[pair.enroll() as usize], self.utterance[pair.test() as usize]];
        sides.map(|value| value.expect("each word of a trial was looked up"))
    }

    /// Other values, made of these and of the numbers of their words.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn map<U>(&self, make: &mut dyn FnMut(usize, T) -> Result<U>) -> Result<BySide<U>> {
        let mut all = |values: &[Option<T>]| -> Result<Vec<Option<U>>> {
            let made =
                |(word, value): (usize, &Option<T>)| value.map(|v| make(word, v)).transpose();
            values.iter().enumerate().map(made).collect()
        };
        let utterance = all(&self.utterance)?;
        Ok(BySide { utterance, model: self.model.as_deref().map(all).transpose()? })
    }
}

/// The models of an enrolment list, and the words that name them.
pub(in crate::cli) struct Models {
    list: Enrollments,
    /// The model of each word on the enrolment side.
    of_word: Vec<Option<usize>>,
    /// Whether a word is on the test side, where it is an utterance.
    is_tested: Vec<bool>,
}

impl Models {
    /// Reads the list, and finds the models of score files whose words are the first `count`.
    ///
    /// # Errors
    /// Those of [`Enrollments::read`]; a word on the enrolment side that is no model, at its line.
    pub fn find(
        list: &Path,
        scores: &[ScoreList],
        words: &mut Words,
        count: usize,
    ) -> Result<Self> {
        let list = Enrollments::read(list)?;
        let (mut of_word, mut is_tested) = (vec![None; count], vec![false; count]);
        for scores in scores {
            let mut all_known = true;
            for t in &scores.trials {
                is_tested[t.pair.test() as usize] = true;
                let number = t.pair.enroll();
                let model = &mut of_word[number as usize];
                if model.is_none() {
                    *model = list.find(words.get(number));
                }
                all_known &= model.is_some();
            }
            if !all_known {
                return Err(unknown(&list, scores, words, &of_word)?);
            }
        }
        Ok(Self { list, of_word, is_tested })
    }

    /// The line of a model, and its name.
    fn at(&self, model: usize) -> (usize, &str) {
        let model = &self.list.models()[model];
        (model.line, &model.model)
    }

    /// An error of a model, at its line of the list.
    pub fn error(&self, model: usize, what: &str) -> Error {
        let (line, name) = self.at(model);
        Error::line(self.list.path(), line, format!("model `{name}` {what}"))
    }
}

/// The error of the first line whose model is no model.
fn unknown(
    list: &Enrollments,
    scores: &ScoreList,
    words: &mut Words,
    of_word: &[Option<usize>],
) -> Result<Error> {
    let is_unknown = |number: u32| of_word.get(number as usize).is_none_or(Option::is_none);
    let Some((line, t)) = scores.find(words, &mut |_, t| is_unknown(t.pair.enroll()))? else {
        return Ok(scores.text().changed());
    };
    let (word, source) = (words.get(t.pair.enroll()), list.path().display());
    let message = format!("unknown model `{word}`; {source} has none of that name");
    Ok(Error::line(scores.text().path(), line, message))
}

/// The words of score files.
pub(in crate::cli) struct Named<'a> {
    /// The score files, each with the utterances that no file before has.
    files: Vec<(&'a Path, Vec<(&'a str, usize)>)>,
    /// The numbers of these utterances among all words.
    numbers: Vec<usize>,
    /// All words, each with the line where it first comes.
    words: &'a [(&'a str, usize)],
    /// The first word of each file, and the number of all.
    ends: &'a [usize],
    /// The models, if the enrolment side names such.
    models: Option<&'a Models>,
    /// The list of the utterances' files.
    wav_scp: Option<&'a Path>,
}

impl<'a> Named<'a> {
    /// The words of score files. Those from `ends[i]` to `ends[i + 1]` first come in the file `i`.
    pub fn of(
        scores: &'a [PathBuf],
        ends: &'a [usize],
        words: &'a [(&'a str, usize)],
        models: Option<&'a Models>,
        wav_scp: Option<&'a Path>,
    ) -> Self {
        let is_utterance = |word: &usize| models.is_none_or(|models| models.is_tested[*word]);
        let (mut files, mut numbers) = (Vec::new(), Vec::new());
        for (path, ends) in scores.iter().zip(ends.windows(2)) {
            let own: Vec<usize> = (ends[0]..ends[1]).filter(is_utterance).collect();
            files.push((path.as_path(), own.iter().map(|&word| words[word]).collect()));
            numbers.extend(own);
        }
        Self { files, numbers, words, ends, models, wav_scp }
    }

    /// An error of a word, at the line where it first comes.
    pub fn error(&self, word: usize, message: String) -> Error {
        let file = self.ends[1..].partition_point(|end| *end <= word);
        Error::line(self.files[file].0, self.words[word].1, message)
    }

    /// Number of words.
    pub fn count(&self) -> usize {
        self.words.len()
    }

    /// The place of each utterance among the sorted `ids` of a `list`.
    ///
    /// # Errors
    /// Words that mean no utterance or several, at their line.
    pub fn places(&self, list: &Path, ids: &[&str]) -> Result<Vec<usize>> {
        let listed = self.wav_scp.map_or(Ok(Vec::new()), read_wav_scp)?;
        resolved(&names_of(list, ids, &listed), &self.files())
    }

    /// The score files with their utterances.
    fn files(&self) -> Vec<FileWords<'_>> {
        self.files.iter().map(|(path, words)| (*path, words.as_slice())).collect()
    }

    /// A word by its number.
    pub fn word(&self, word: usize) -> &'a str {
        self.words[word].0
    }

    /// The models, if the enrolment side names such.
    pub fn models(&self) -> Option<&'a Models> {
        self.models
    }

    /// A value for each word: `of_utterance` has that of the utterance at a place among the sorted
    /// `ids` of a `list`, `of_model` that of a model whose utterances are at some places. The model
    /// of a name that is `by_itself` is no matter of its utterances.
    ///
    /// # Errors
    /// Words that mean no utterance or several, at their line; those of the functions.
    pub fn look_up<T: Copy>(
        &self,
        list: &Path,
        ids: &[&str],
        by_itself: &dyn Fn(&str) -> Option<T>,
        of_utterance: &dyn Fn(usize) -> T,
        of_model: &dyn Fn(usize, &[usize]) -> Result<T>,
    ) -> Result<BySide<T>> {
        let listed = self.wav_scp.map_or(Ok(Vec::new()), read_wav_scp)?;
        let names = names_of(list, ids, &listed);
        let mut utterance = vec![None; self.words.len()];
        for (&word, place) in self.numbers.iter().zip(resolved(&names, &self.files())?) {
            utterance[word] = Some(of_utterance(place));
        }
        let Some(models) = self.models else { return Ok(BySide { utterance, model: None }) };
        let mut model = vec![None; self.words.len()];
        let used = models.of_word.iter().enumerate().filter_map(|(word, of)| Some((word, (*of)?)));
        let mut left = Vec::new();
        for (word, number) in used {
            model[word] = by_itself(self.word(word));
            left.extend(model[word].is_none().then_some((word, number)));
        }
        if !left.is_empty() {
            let (places, _) = models.list.resolve(&names)?;
            for (word, number) in left {
                model[word] = Some(of_model(number, &places[number])?);
            }
        }
        Ok(BySide { utterance, model: Some(model) })
    }
}
