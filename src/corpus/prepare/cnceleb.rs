//! CN-Celeb: speakers to train on in `data`, a test set in `eval`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::layout::{Found, Layout, ListFolder, Named};
use super::names::{as_id, shown, stem};
use super::survey::Survey;
use super::trials::{ListOfTrials, TrialSet};
use super::{PrepareReport, PrepareSettings, ProblemKind, gather, lists, survey};
use crate::bytes::counted;
use crate::corpus::Done;
use crate::error::Result;
use crate::fs;

/// The group to train on.
const DEV: u32 = 0;
/// The group of the test set.
const EVAL: u32 = 1;
/// The test set's trials, below its folder and below the output folder.
const TRIALS: [&str; 2] = ["eval/lists/trials.lst", "eval/trials.txt"];
/// The speakers to train on, below a corpus.
const SPEAKERS: &str = "dev/dev.lst";
/// The folders of a corpus, below the one that the user names, which may be it.
const FOLDERS: [&str; 5] = ["", "CN-Celeb_flac", "CN-Celeb", "CN-Celeb1_flac", "CN-Celeb2_flac"];

struct CnCeleb;

impl Layout for CnCeleb {
    fn wanted(&self) -> &'static str {
        "files data/SPEAKER/FILE, eval/enroll/FILE and eval/test/FILE"
    }

    fn name(&mut self, parts: &[&str], _root: usize) -> Named {
        let utterance = |folder: &str, file: &str, speaker: &str, group| Named::Utterance {
            // Trials say .wav, whatever the format.
            id: format!("{}/{}.wav", as_id(folder), as_id(stem(file))),
            speaker: Some(as_id(speaker)),
            group,
        };
        match parts {
            [.., "data", speaker, file] => utterance(speaker, file, speaker, DEV),
            [.., "eval", part @ ("enroll" | "test"), file] => match file.split_once('-') {
                Some((speaker, _)) => utterance(part, file, speaker, EVAL),
                None => Named::Misplaced("its name does not begin with a speaker"),
            },
            _ => Named::Misplaced("in none of the folders data/SPEAKER, eval/enroll, eval/test"),
        }
    }

    fn lists(&self) -> Vec<ListFolder> {
        [("dev", DEV), ("eval", EVAL)]
            .map(|(name, group)| ListFolder {
                name: name.to_owned(),
                groups: vec![group],
                speakers: true,
                copies: group == EVAL,
            })
            .to_vec()
    }
}

/// Makes the lists of CN-Celeb in `out`: `dev` with the speakers to train on, those that are not in
/// the test set and, where a corpus has a list `dev/dev.lst`, in it, and `eval` with the test set
/// and its trials, `trials.txt`. The list is of the corpus in whose folder it is: beside CN-Celeb1,
/// CN-Celeb2 has none. Ids are `id00000/singing-01-001.wav`, `enroll/id00800-enroll.wav` and
/// `test/id00800-singing-01-001.wav`. What cannot be used is left out and reported. `done` is
/// called after each file.
///
/// # Errors
/// A root without usable audio; a list of speakers or trials that cannot be read; lists in `out`; a
/// file that cannot be written.
pub fn prepare_cnceleb(
    root: &Path,
    out: &Path,
    settings: &PrepareSettings,
    done: &Done,
) -> Result<PrepareReport> {
    let mut found = gather(&[root], out, &mut CnCeleb, settings)?;
    keep_apart(root, &mut found)?;
    // A list that is wrong is found before hours of audio are read.
    let list = below(root, TRIALS[0]).map(|list| ListOfTrials::read(&list)).transpose()?;
    let mut survey = survey::survey(found, CnCeleb.wanted(), &[root], settings, done)?;
    let trials = match list {
        Some(list) => vec![trials(&list, &mut survey)?],
        None => Vec::new(),
    };
    lists::finish(survey, &CnCeleb.lists(), &trials, out, settings)
}

/// A file of a corpus, whether the user names its folder or the one above.
fn below(root: &Path, file: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| root.join(folder).join(file)).find(|path| path.is_file())
}

/// A list of speakers to train on.
struct Listed {
    path: PathBuf,
    /// The folder whose speakers it lists.
    data: PathBuf,
    speakers: BTreeSet<String>,
}

impl Listed {
    /// The lists of all corpora below a folder.
    fn read(root: &Path) -> Result<Vec<Self>> {
        let mut lists = Vec::new();
        for corpus in FOLDERS.map(|folder| root.join(folder)) {
            let (path, data) = (corpus.join(SPEAKERS), corpus.join("data"));
            if path.is_file() {
                let text = fs::read_to_string(&path)?;
                let names = text.lines().filter_map(|line| line.split_ascii_whitespace().next());
                let speakers = names.map(as_id).collect();
                lists.push(Self { path, data, speakers });
            }
        }
        Ok(lists)
    }
}

/// Why a speaker is left out of the training set.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Apart {
    /// Of the test set.
    Tested,
    /// Not in the list of this number.
    Unlisted(usize),
}

/// Leaves speakers out of the training set that are not meant for it.
fn keep_apart(root: &Path, found: &mut Found) -> Result<()> {
    let tested: BTreeSet<u32> =
        found.files.iter().filter(|f| f.group == EVAL).filter_map(|f| f.speaker).collect();
    let lists = Listed::read(root)?;
    let Found { files, speakers, problems, .. } = found;
    let speakers: &[String] = speakers;
    // How many files of each are left out.
    let mut apart: BTreeMap<(Apart, &str), usize> = BTreeMap::new();
    files.retain(|file| {
        let Some(number) = file.speaker.filter(|_| file.group == DEV) else { return true };
        let speaker = speakers[number as usize].as_str();
        let list = lists.iter().position(|list| file.path.starts_with(&list.data));
        let why = match list.filter(|&list| !lists[list].speakers.contains(speaker)) {
            _ if tested.contains(&number) => Apart::Tested,
            Some(list) => Apart::Unlisted(list),
            None => return true,
        };
        *apart.entry((why, speaker)).or_default() += 1;
        false
    });
    for ((why, speaker), count) in apart {
        let (kind, why) = match why {
            Apart::Tested => (ProblemKind::TestSpeaker, "occurs in the test set".to_owned()),
            Apart::Unlisted(list) => {
                (ProblemKind::Speaker, format!("is not in {}", shown(&lists[list].path)))
            }
        };
        let files = counted(count, "file");
        problems.add(kind, format!("speaker `{speaker}` {why}; {files} left out of dev"));
    }
    Ok(())
}

/// The trials of the test set, which name enrollments without folder and ending.
fn trials(list: &ListOfTrials, survey: &mut Survey) -> Result<TrialSet> {
    let Survey { entries, problems, .. } = survey;
    let eval = entries.iter().enumerate().filter(|(_, entry)| entry.group == EVAL);
    let numbers: HashMap<&str, usize> = eval.map(|(i, entry)| (&*entry.id, i)).collect();
    let find = |word: &str| {
        let bare = word.strip_suffix(".wav").or(word.strip_suffix(".flac")).unwrap_or(word);
        ["", "enroll/", "test/"]
            .iter()
            .find_map(|folder| numbers.get(format!("{folder}{bare}.wav").as_str()).copied())
    };
    list.resolve(TRIALS[1].to_owned(), problems, &find)
}
