//! Lists of models: which utterances a speaker was enrolled with.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Names, Resolved};
use crate::error::{Error, Result};
use crate::fs;

/// A model of a speaker, as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    /// Its name.
    pub model: String,
    /// The names of its utterances in the list.
    pub utterances: Vec<String>,
    /// Its line, from 1.
    pub line: usize,
}

/// A list of models, `model utterance utterance ...` a line. Kaldi's `spk2utt` is one.
pub struct Enrollments {
    path: PathBuf,
    models: Vec<Enrollment>,
    numbers: HashMap<String, usize>,
}

impl Enrollments {
    /// Reads a list.
    ///
    /// # Errors
    /// A file that cannot be read; a model without utterances; a model in two lines; an utterance
    /// twice in a model; an empty list.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read_to_string(path)?;
        let mut models: Vec<Enrollment> = Vec::new();
        let mut numbers = HashMap::new();
        for (line, text) in (1..).zip(text.lines()) {
            let mut words = text.split_ascii_whitespace();
            let Some(model) = words.next() else { continue };
            let bad = |message: String| Error::line(path, line, message);
            let utterances: Vec<String> = words.map(str::to_owned).collect();
            if utterances.is_empty() {
                return Err(bad(format!(
                    "model `{model}` has no utterances; wanted `model utterance ...`"
                )));
            }
            let mut sorted: Vec<&String> = utterances.iter().collect();
            sorted.sort_unstable();
            if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(bad(format!("model `{model}` has utterance `{}` twice", twice[0])));
            }
            let model = Enrollment { model: model.to_owned(), utterances, line };
            if let Some(first) = numbers.insert(model.model.clone(), models.len()) {
                let (name, first) = (&model.model, models[first].line);
                return Err(bad(format!("model `{name}` again; it is already in line {first}")));
            }
            models.push(model);
        }
        match models.is_empty() {
            true => Err(Error::file(path, "holds no models")),
            false => Ok(Self { path: path.to_owned(), models, numbers }),
        }
    }

    /// The models, in the order of the list.
    pub fn models(&self) -> &[Enrollment] {
        &self.models
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of a model, from 0.
    pub fn find(&self, model: &str) -> Option<usize> {
        self.numbers.get(model).copied()
    }

    /// The places of each model's utterances, by the rules of [`Names`], and the note of
    /// [`Resolved`].
    ///
    /// # Errors
    /// Those of [`Names::resolve`]; two words of a model that mean one utterance, at their line.
    pub fn resolve(&self, names: &Names) -> Result<(Vec<Vec<usize>>, Option<String>)> {
        let words = self
            .models
            .iter()
            .flat_map(|m| m.utterances.iter().map(|word| (word.as_str(), m.line)));
        let Resolved { places, note } = names.resolve(&self.path, words)?;
        let mut places = places.into_iter();
        let mut all = Vec::with_capacity(self.models.len());
        for model in &self.models {
            let own: Vec<usize> = places.by_ref().take(model.utterances.len()).collect();
            let mut seen = HashMap::new();
            for (word, &place) in model.utterances.iter().zip(&own) {
                if let Some(other) = seen.insert(place, word) {
                    let message = format!("`{word}` and `{other}` are one utterance");
                    return Err(Error::line(&self.path, model.line, message));
                }
            }
            all.push(own);
        }
        Ok((all, note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Enrollments> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("enroll");
        std::fs::write(&path, text).unwrap();
        Enrollments::read(path)
    }

    #[test]
    fn models_have_their_utterances() {
        let list = read("ann a1 a2\r\n\n  bob\tb1 \n").unwrap();
        let named = |m: &Enrollment| (m.model.clone(), m.utterances.join(" "), m.line);
        let found: Vec<(String, String, usize)> = list.models().iter().map(named).collect();
        let wanted = [("ann", "a1 a2", 1), ("bob", "b1", 3)];
        assert_eq!(found, wanted.map(|(m, u, line)| (m.to_owned(), u.to_owned(), line)));
        assert_eq!(["bob", "ann", "a1"].map(|name| list.find(name)), [Some(1), Some(0), None]);
        let names = Names::new("e", ["b1", "a2", "a1"]);
        assert_eq!(list.resolve(&names).unwrap(), (vec![vec![2, 1], vec![0]], None));
        // An utterance may be in two models.
        let (places, _) = read("x a1\ny a1 b1\n").unwrap().resolve(&names).unwrap();
        assert_eq!(places, [vec![2], vec![2, 0]]);
    }

    #[test]
    fn bad_lines_are_named() {
        for (text, wanted) in [
            ("ann a1\n\nbob\n", ":3: model `bob` has no utterances"),
            ("ann a1\nbob b1\nann a2\n", ":3: model `ann` again; it is already in line 1"),
            ("ann a1 a2 a1\n", ":1: model `ann` has utterance `a1` twice"),
            ("\n \n", ": holds no models"),
        ] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn words_must_lead_to_utterances_of_their_own() {
        let mut names = Names::new("e", ["a1", "b1"]);
        let fails =
            |text: &str, names: &Names| read(text).unwrap().resolve(names).unwrap_err().to_string();
        let error = fails("ann a1\nbob b1 c1\n", &names);
        assert!(error.contains("enroll:2: unknown utterance `c1`; e has none"), "{error}");
        // The id and the file are both names of the utterance.
        names.add_file(0, "/d/a1.wav");
        let error = fails("bob b1\nann a1 /d/a1.wav\n", &names);
        assert!(error.ends_with("enroll:2: `/d/a1.wav` and `a1` are one utterance"), "{error}");
    }
}
