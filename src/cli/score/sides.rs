//! What the words of trials mean: utterances, or models of several utterances.

use std::path::PathBuf;

use super::Args;
use crate::corpus::{Enrollments, Names, Pair, TrialList, Words, read_wav_scp};
use crate::error::{Error, Result};
use crate::scoring::{Average, Embeddings, Models, Scorer};
use crate::terminal::note;

/// Models of several utterances.
#[derive(Debug, clap::Args)]
pub(super) struct Enrolled {
    /// Models of speakers: `model utterance utterance ...` a line. The enrolment side of the trials
    /// then names models.
    #[arg(long, value_name = "LIST")]
    pub enroll: Option<PathBuf>,
    /// What is averaged over a model's utterances [default: embeddings]. With --plda utterances are
    /// counted by the book unless this is `embeddings`; PLDA knows no other average.
    #[arg(long, value_enum, value_name = "WHAT", requires = "enroll")]
    pub average: Option<Average>,
    /// Leave out trials that name an utterance without an embedding, such as one that `embed
    /// --skip-errors` has left out, and say how many they are. Models must have all of theirs.
    #[arg(long)]
    pub skip_missing: bool,
}

/// The place of a word that is not on a side.
const NONE: usize = usize::MAX;

/// A word without an embedding, whose trials are to be left out.
pub(super) struct Missing {
    pub word: String,
    /// Its first line.
    pub line: usize,
}

/// What the words of trials mean.
pub(super) struct Sides {
    /// The embedding of each word.
    places: Vec<usize>,
    pub missing: Vec<Missing>,
    /// The models, if the enrolment side names such.
    pub enrolled: Option<EnrolledPlaces>,
}

/// Models by the places of their embeddings.
pub(super) struct EnrolledPlaces {
    list: Enrollments,
    /// The model of each word.
    by_word: Vec<usize>,
    /// The embeddings of each model.
    pub places: Vec<Vec<usize>>,
}

impl Sides {
    /// Finds the utterances, and the models if there is a list of them.
    ///
    /// # Errors
    /// A word that means nothing or several things, at its line.
    pub fn find(
        args: &Args,
        embeddings: &Embeddings,
        list: &TrialList,
        words: &mut Words,
    ) -> Result<Self> {
        let files = args.wav_scp.as_ref().map_or(Ok(Vec::new()), read_wav_scp)?;
        let listed: Vec<(usize, &str)> = files
            .iter()
            .filter_map(|(id, file, _)| Some((embeddings.position(id)?, file.as_str())))
            .collect();
        if let Some(list) = &args.wav_scp
            && listed.is_empty()
        {
            return Err(Error::file(
                list,
                format!("has none of the utterances of {}", args.embeddings.display()),
            ));
        }
        let mut names = Names::new(&args.embeddings, embeddings.ids());
        for (place, file) in listed {
            names.add_file(place, file);
        }
        let Some(path) = &args.enrolled.enroll else {
            let (places, missing) = utterances(args, &names, words, &vec![true; words.len()])?;
            return Ok(Self { places, missing, enrolled: None });
        };
        let models = Enrollments::read(path)?;
        let used = models.models().iter().flat_map(|m| m.utterances.iter().map(String::as_str));
        let (enrolled, note) = models.resolve(&names).map_err(|e| hinted(args, e, used))?;
        tell(note);
        let by_word = models_by_word(&models, list, words)?;
        let mut is_test = vec![false; words.len()];
        list.trials().iter().for_each(|pair| is_test[pair.test() as usize] = true);
        let (places, missing) = utterances(args, &names, words, &is_test)?;
        let enrolled = Some(EnrolledPlaces { list: models, by_word, places: enrolled });
        Ok(Self { places, missing, enrolled })
    }

    /// Whether both sides of a trial are there.
    pub fn has(&self, pair: Pair) -> bool {
        let (enroll, test) = self.of(pair);
        enroll != NONE && test != NONE
    }

    /// The model or utterance and the utterance that a trial compares.
    pub fn of(&self, pair: Pair) -> (usize, usize) {
        let enrolled = self.enrolled.as_ref().map_or(&self.places, |models| &models.by_word);
        (enrolled[pair.enroll() as usize], self.places[pair.test() as usize])
    }

    /// The models or utterances on the enrolment side.
    pub fn enrolled(&self) -> impl Iterator<Item = usize> + '_ {
        let enrolled = self.enrolled.as_ref().map_or(&self.places, |models| &models.by_word);
        enrolled.iter().copied().filter(|place| *place != NONE)
    }

    /// The utterances on the test side; without models, those of both sides.
    pub fn tested(&self) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().copied().filter(|place| *place != NONE)
    }

    /// The utterances that are looked at, on whatever side.
    pub fn utterances(&self) -> impl Iterator<Item = usize> + '_ {
        let models = self.enrolled.iter().flat_map(|models| models.places.iter().flatten());
        self.tested().chain(models.copied())
    }

    /// The models, if there are any.
    ///
    /// # Errors
    /// A model without a direction, at its list.
    pub fn models(&self, scorer: &Scorer, average: Average) -> Result<Option<Models>> {
        let Some(EnrolledPlaces { list, places, .. }) = &self.enrolled else { return Ok(None) };
        let names = list.models().iter().map(|model| model.model.as_str());
        let models = names.zip(places.iter().map(Vec::as_slice));
        let models = Models::new(scorer, models, average);
        models.map(Some).map_err(|e| Error::file(list.path(), e.to_string()))
    }
}

impl EnrolledPlaces {
    /// An error of a model, at its line.
    pub fn at_fault(&self, model: usize, error: &Error) -> Error {
        let line = self.list.models()[model].line;
        Error::line(self.list.path(), line, error.to_string())
    }
}

/// The embedding of each word that names an utterance, and the words to be left out.
fn utterances(
    args: &Args,
    names: &Names,
    words: &Words,
    is_utterance: &[bool],
) -> Result<(Vec<usize>, Vec<Missing>)> {
    let all: Vec<(&str, usize)> = words.iter().collect();
    let mut numbers: Vec<usize> = (0..all.len()).filter(|&i| is_utterance[i]).collect();
    let mut missing = Vec::new();
    if args.enrolled.skip_missing {
        let known = names.are_known(numbers.iter().map(|&i| all[i].0));
        // Where nothing fits, the whole list names utterances in another manner.
        if known.contains(&true) {
            for (&i, _) in numbers.iter().zip(&known).filter(|(_, known)| !**known) {
                let (word, line) = all[i];
                missing.push(Missing { word: word.to_owned(), line });
            }
            let kept = numbers.into_iter().zip(known).filter(|(_, known)| *known);
            numbers = kept.map(|(i, _)| i).collect();
        }
    }
    let named: Vec<(&str, usize)> = numbers.iter().map(|&i| all[i]).collect();
    let resolved = names.resolve_distinct(&args.trials, &named);
    let resolved = resolved.map_err(|e| hinted(args, e, named.iter().map(|w| w.0)))?;
    tell(resolved.note);
    let mut places = vec![NONE; all.len()];
    numbers.into_iter().zip(resolved.places).for_each(|(i, place)| places[i] = place);
    Ok((places, missing))
}

/// The model of each word on the enrolment side.
fn models_by_word(models: &Enrollments, list: &TrialList, words: &mut Words) -> Result<Vec<usize>> {
    let mut by_word = vec![NONE; words.len()];
    for pair in list.trials() {
        let number = pair.enroll();
        let model = &mut by_word[number as usize];
        if *model == NONE {
            *model = match models.find(words.get(number)) {
                Some(found) => found,
                None => return Err(unknown_model(models, list, words, number)?),
            };
        }
    }
    Ok(by_word)
}

/// The error of the first line whose model is no model.
fn unknown_model(
    models: &Enrollments,
    list: &TrialList,
    words: &mut Words,
    number: u32,
) -> Result<Error> {
    let Some((line, _)) = list.find(words, &mut |_, pair| pair.enroll() == number)? else {
        return Ok(list.text().changed());
    };
    let (word, source) = (words.get(number), models.path().display());
    let message = format!("unknown model `{word}`; {source} has none of that name");
    Ok(Error::line(list.text().path(), line, message))
}

/// Says what would help where words name files whose list is not known.
fn hinted<'w>(args: &Args, error: Error, mut words: impl Iterator<Item = &'w str>) -> Error {
    match error {
        Error::Line { path, line, message }
            if args.wav_scp.is_none() && words.any(|word| word.contains('/')) =>
        {
            let more = "--wav-scp LIST tells which files the embeddings are of";
            Error::line(path, line, format!("{message}; {more}"))
        }
        Error::Line { path, line, message }
            if path == args.trials && message.starts_with("unknown utterance") =>
        {
            Error::line(path, line, format!("{message}; --skip-missing leaves out such trials"))
        }
        other => other,
    }
}

fn tell(note: Option<String>) {
    if let Some(text) = note {
        note!("{text}");
    }
}
