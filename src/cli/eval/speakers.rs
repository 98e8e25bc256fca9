//! Who speaks in scored trials, by a list of speakers.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::sides::{BySide, Named};
use crate::corpus::{Names, Pair, Words, label_name, read_utt2spk};
use crate::error::{Error, Result};
use crate::scoring::ScoreList;

/// A score file, and its words that no file before it has, each with the line where it first comes.
pub(in crate::cli) type FileWords<'a> = (&'a Path, &'a [(&'a str, usize)]);

/// The speakers of score files.
pub(in crate::cli) struct Speakers {
    /// The speaker of each word, as a number from 0, in the order of the words.
    pub numbers: BySide<u32>,
    /// The name of each speaker.
    pub names: Vec<String>,
}

impl Speakers {
    /// The speakers of utterances, and of models by their utterances.
    ///
    /// # Errors
    /// Those of [`read_utt2spk`] and [`Named::look_up`]; a model with utterances of two speakers.
    pub(in crate::cli) fn of(named: &Named, list: &Path) -> Result<Self> {
        let map = read_utt2spk(list)?;
        let entries = sorted(&map);
        let ids: Vec<&str> = entries.iter().map(|e| e.0).collect();
        let of_model = |model: usize, places: &[usize]| {
            let first = entries[places[0]].1;
            let other = places.iter().map(|&place| entries[place].1).find(|name| *name != first);
            match (other, named.models()) {
                (Some(other), Some(models)) => {
                    let list = list.display();
                    let what = format!("has utterances of `{first}` and `{other}` by {list}");
                    Err(models.error(model, &what))
                }
                _ => Ok(places[0]),
            }
        };
        let places = named.look_up::<usize>(list, &ids, &|_| None, &|place| place, &of_model)?;
        let mut numbering = Numbering::default();
        let numbers = places.map(&mut |_, place| Ok(numbering.number(entries[place].1)))?;
        Ok(Self { numbers, names: numbering.names })
    }
}

/// Utterances and their speakers, by utterance.
fn sorted(map: &HashMap<String, (String, usize)>) -> Vec<(&str, &str)> {
    let mut entries: Vec<(&str, &str)> =
        map.iter().map(|(id, (speaker, _))| (id.as_str(), speaker.as_str())).collect();
    entries.sort_unstable();
    entries
}

/// Numbers speakers as they come.
#[derive(Default)]
struct Numbering<'n> {
    known: HashMap<&'n str, u32>,
    names: Vec<String>,
}

impl<'n> Numbering<'n> {
    fn number(&mut self, name: &'n str) -> u32 {
        *self.known.entry(name).or_insert_with(|| {
            self.names.push(name.to_owned());
            self.names.len() as u32 - 1
        })
    }
}

/// The utterances of a list by their sorted ids, and by their files in the content of a wav.scp.
pub(super) fn names_of<'n>(
    list: &Path,
    ids: &[&'n str],
    listed: &'n [(String, String, usize)],
) -> Names<'n> {
    let mut names = Names::new(list, ids.iter().copied());
    for (id, file, _) in listed {
        if let Ok(place) = ids.binary_search(&id.as_str()) {
            names.add_file(place, file);
        }
    }
    names
}

/// The place of each word of `files`.
pub(super) fn resolved(names: &Names, files: &[FileWords]) -> Result<Vec<usize>> {
    let mut places = Vec::new();
    for (scores, words) in files.iter().filter(|file| !file.1.is_empty()) {
        places.extend(names.resolve_distinct(scores, words)?.places);
    }
    Ok(places)
}

/// Refuses labels that contradict the speakers of a `list`. With them, rates and intervals would be
/// of different trials. `same` says whether both sides of a trial are of one speaker.
pub(in crate::cli) fn check_same(
    scores: &ScoreList,
    words: &mut Words,
    list: &Path,
    same: &(dyn Fn(Pair) -> bool + Sync),
) -> Result<()> {
    let wrong =
        scores.trials.par_iter().map(|t| t.pair).filter(|pair| pair.is_target() != same(*pair));
    let mut wrong: Vec<u64> = wrong.map(|pair| pair.numbers()).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.sort_unstable();
    let first = scores.find(words, &mut |_, t| wrong.binary_search(&t.pair.numbers()).is_ok())?;
    let (line, t) = first.ok_or_else(|| scores.text().changed())?;
    // The label may come from another file. It is the one that the speakers exclude.
    let (label, speakers) = match same(t.pair) {
        true => (label_name(false), "one speaker"),
        false => (label_name(true), "two speakers"),
    };
    let (enroll, test, list) =
        (words.get(t.pair.enroll()), words.get(t.pair.test()), list.display());
    let message = format!("trial {enroll} {test} is {label}, but {list} has {speakers}");
    Err(Error::line(scores.text().path(), line, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Text;

    fn read(path: &Path) -> (ScoreList, Words) {
        let mut words = Words::default();
        (ScoreList::read(Text::open(path).unwrap(), &mut words, &mut |_| ()).unwrap(), words)
    }

    /// The speakers of both sides of each trial.
    fn sides(scores: &Path, list: &Path, wav_scp: Option<&Path>) -> Result<Vec<(u32, u32)>> {
        let (scored, words) = read(scores);
        let words: Vec<(&str, usize)> = words.iter().collect();
        let (files, ends) = ([scores.to_owned()], [0, words.len()]);
        let speakers = Speakers::of(&Named::of(&files, &ends, &words, None, wav_scp), list)?;
        Ok(scored.trials.iter().map(|t| speakers.numbers.of(t.pair).into()).collect())
    }

    #[test]
    fn speakers_are_numbered_as_trials_come() {
        let dir = tempfile::tempdir().unwrap();
        let (scores, list) = (dir.path().join("scores"), dir.path().join("utt2spk"));
        std::fs::write(&scores, "x/c.wav x/a.wav 1\nx/a.wav x/b.wav 0\n").unwrap();
        std::fs::write(&list, "a zoe\nb anna\nc zoe\nd carl\n").unwrap();
        assert_eq!(sides(&scores, &list, None).unwrap(), [(0, 0), (0, 1)]);
        // Files of other names, by the list of them.
        let (by_file, scp) = (dir.path().join("by_file"), dir.path().join("wav.scp"));
        std::fs::write(&scp, "a /d/c.wav\nc /d/a.wav\nb /d/b.wav\nnone /d/n.wav\n").unwrap();
        std::fs::write(&by_file, "d/c.wav d/b.wav 1\n").unwrap();
        assert_eq!(sides(&by_file, &list, Some(&scp)).unwrap(), [(0, 1)]);
        std::fs::write(&list, "a zoe\nc zoe\n").unwrap();
        let error = sides(&scores, &list, None).unwrap_err().to_string();
        assert!(
            error.contains("scores:2: unknown utterance `x/b.wav`") && error.contains("utt2spk"),
            "{error}"
        );
    }

    #[test]
    fn the_first_wrong_label_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores");
        std::fs::write(&path, "a b 0.5 1\n\nc a 0.4 0\na c 0.25 1\nb c 0 1\na c 0.25 1\n").unwrap();
        let (scores, mut words) = read(&path);
        // Numbers of the words: a, b, c.
        let mut check = |speakers: &[u32]| {
            let same = |t: Pair| speakers[t.enroll() as usize] == speakers[t.test() as usize];
            let error = check_same(&scores, &mut words, Path::new("utt2spk"), &same).err();
            error.map_or(String::new(), |e| {
                e.to_string().rsplit_once("scores:").unwrap().1.to_owned()
            })
        };
        assert_eq!(check(&[0, 0, 1]), "4: trial a c is target, but utt2spk has two speakers");
        assert_eq!(check(&[0, 0, 0]), "3: trial c a is nontarget, but utt2spk has one speaker");
        assert_eq!(check(&[0, 1, 1]), "1: trial a b is target, but utt2spk has two speakers");
    }
}
