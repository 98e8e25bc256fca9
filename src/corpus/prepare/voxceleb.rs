//! VoxCeleb1 and VoxCeleb2 as their archives unpack, and the trials of VoxCeleb1.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::layout::{Found, Layout, ListFolder, Named};
use super::names::{as_id, shown, stem};
use super::survey::Survey;
use super::trials::{ListOfTrials, TrialSet};
use super::{
    PrepareReport, PrepareSettings, ProblemKind, check_roots, gather, lists, refuse_existing,
    survey,
};
use crate::bytes::counted;
use crate::corpus::Done;
use crate::error::{Error, Result};

/// The parts, by the number of their group.
const PARTS: [&str; 4] = ["vox1_dev", "vox1_test", "vox2_dev", "vox2_test"];
/// All of VoxCeleb1.
const ALL: &str = "vox1";
/// The groups of VoxCeleb1.
const FIRST: [u32; 2] = [0, 1];
/// The groups to train on.
const TRAINING: [u32; 2] = [0, 2];
/// The speakers of VoxCeleb1's test part: those whose names begin with E.
const TESTED: std::ops::RangeInclusive<u32> = 10_270..=10_309;
/// The first speaker of VoxCeleb1; those of VoxCeleb2 have lower numbers.
const FIRST_SPEAKER: u32 = 10_001;

/// A file that is no utterance.
const MISPLACED: Named = Named::Misplaced("not in a speaker's folder (idNNNNN/VIDEO)");

/// The official names of the trial lists, and those that all others use.
const TRIALS: [(&str, &str); 6] = [
    ("veri_test.txt", "vox1_O.txt"),
    ("veri_test2.txt", "vox1_O_cleaned.txt"),
    ("list_test_all.txt", "vox1_E.txt"),
    ("list_test_all2.txt", "vox1_E_cleaned.txt"),
    ("list_test_hard.txt", "vox1_H.txt"),
    ("list_test_hard2.txt", "vox1_H_cleaned.txt"),
];

/// The folders and lists of VoxCeleb.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VoxCeleb {
    /// The folder of VoxCeleb1.
    pub vox1: Option<PathBuf>,
    /// The folder of VoxCeleb2.
    pub vox2: Option<PathBuf>,
    /// Trial lists of VoxCeleb1.
    pub trials: Vec<PathBuf>,
}

/// The number of a speaker's folder, `id` and five digits.
fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("id").filter(|digits| digits.len() == 5)?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Whether a path's folders say that it is of a test part. The nearest one to the file decides.
fn of_test(folders: &[&str]) -> Option<bool> {
    folders.iter().rev().find_map(|folder| {
        let has = |wanted: &str| {
            folder.split(['_', '-', '.']).any(|word| word.eq_ignore_ascii_case(wanted))
        };
        match (has("dev"), has("test")) {
            (true, false) => Some(false),
            (false, true) => Some(true),
            _ => None,
        }
    })
}

struct Vox;

impl Layout for Vox {
    fn wanted(&self) -> &'static str {
        "files idNNNNN/VIDEO/NUMBER.wav (or .m4a, .flac)"
    }

    fn name(&mut self, parts: &[&str], root: usize) -> Named {
        let [above @ .., speaker, video, file] = parts else { return MISPLACED };
        let Some(number) = number(speaker) else { return MISPLACED };
        // The folder that the user names may be `dev/aac`.
        let of_test = of_test(&above[root.saturating_sub(2).min(above.len())..]);
        let group = match number >= FIRST_SPEAKER {
            true => u32::from(of_test.unwrap_or_else(|| TESTED.contains(&number))),
            false => 2 + u32::from(of_test.unwrap_or(false)),
        };
        Named::Utterance {
            // Trials say .wav, whatever the format.
            id: format!("{speaker}/{}/{}.wav", as_id(video), as_id(stem(file))),
            speaker: Some((*speaker).to_owned()),
            group,
        }
    }

    fn lists(&self) -> Vec<ListFolder> {
        let part = |(group, name): (u32, &str)| ListFolder {
            name: name.to_owned(),
            groups: vec![group],
            speakers: true,
            copies: !TRAINING.contains(&group),
        };
        let all = ListFolder { groups: FIRST.to_vec(), copies: true, ..part((0, ALL)) };
        (0..).zip(PARTS).map(part).chain([all]).collect()
    }
}

/// Makes the lists of VoxCeleb in `out`: folders `vox1_dev`, `vox1_test`, `vox2_dev` and
/// `vox2_test`, as far as their files are there, and `vox1` with all of VoxCeleb1, which the trials
/// E and H need. Each has `wav.scp`, `utt2spk` and `spk2utt`.
///
/// Utterances have the names of the official trials, `id10004/1zcIwhmdeo4/00002.wav`, whether the
/// files are WAV, M4A or FLAC. Folders `dev` and `test` above the speakers tell the parts; where
/// they are missing, VoxCeleb1 is divided by its official test speakers, and VoxCeleb2 is taken for
/// its dev part.
///
/// Trial lists are checked and written to `out` as `vox1_O.txt`, `vox1_O_cleaned.txt` and so on;
/// lists of other names keep them. Trials of utterances that are left out are left out too, and
/// counted. Speakers of dev parts that occur in the trials are reported. Copies of other files are
/// left out of dev parts only. Ids tell the corpora apart; a folder that holds speakers of the
/// corpus that it is not given for is reported.
///
/// # Errors
/// No folder; a folder without usable audio; a trial list that cannot be read, or of which nothing
/// is left; two lists of one name; lists in `out`; a file that cannot be written. Nothing is
/// written then.
pub fn prepare_voxceleb(
    voxceleb: &VoxCeleb,
    out: &Path,
    settings: &PrepareSettings,
    done: &Done,
) -> Result<PrepareReport> {
    let roots: Vec<&Path> =
        [&voxceleb.vox1, &voxceleb.vox2].into_iter().flatten().map(PathBuf::as_path).collect();
    if roots.is_empty() {
        return Err(Error::invalid("no folder of VoxCeleb1 or VoxCeleb2 is given"));
    }
    let names = voxceleb.trials.iter().map(|list| trial_name(list)).collect::<Result<Vec<_>>>()?;
    if let Some(i) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
        let message = format!("another trial list is {} already", names[i]);
        return Err(Error::file(&voxceleb.trials[i], message));
    }
    check_roots(&roots)?;
    if !settings.dry_run {
        refuse_existing(out, &names)?;
    }
    if let Some(list) = voxceleb.trials.iter().find(|list| !list.exists()) {
        return Err(Error::file(list, "no such file"));
    }
    // Lists that are wrong, or of another corpus, are found before hours of audio are read.
    let read = voxceleb.trials.iter().map(|list| ListOfTrials::read(list));
    let read = read.collect::<Result<Vec<_>>>()?;
    let mut found = gather(&roots, out, &mut Vox, settings)?;
    remark_on_others(voxceleb, &mut found);
    if !read.is_empty() {
        let of_first = found.files.iter().filter(|file| FIRST.contains(&file.group));
        let ids: HashSet<&str> = of_first.map(|file| &*file.id).collect();
        read.iter().try_for_each(|list| list.check(&|word| ids.contains(word)))?;
    }
    let mut survey = survey::survey(found, Vox.wanted(), &roots, settings, done)?;
    let trials = trials(&read, names, &mut survey)?;
    lists::finish(survey, &Vox.lists(), &trials, out, settings)
}

/// Remarks on files of the one corpus in the folder that is given for the other.
fn remark_on_others(voxceleb: &VoxCeleb, found: &mut Found) {
    let (one, two) = (voxceleb.vox1.as_deref(), voxceleb.vox2.as_deref());
    let nested = one.zip(two).is_some_and(|(a, b)| a.starts_with(b) || b.starts_with(a));
    // A folder that holds both is given for either.
    if nested {
        return;
    }
    for (root, is_first) in [(one, true), (two, false)] {
        let Some(root) = root else { continue };
        let mut others = found
            .files
            .iter()
            .filter(|file| FIRST.contains(&file.group) != is_first && file.path.starts_with(root));
        let Some(example) = others.next() else { continue };
        let count = counted(1 + others.count(), "file");
        let (id, root) = (&example.id, shown(root));
        let (given, other) = if is_first { (1, 2) } else { (2, 1) };
        let text = format!(
            "{root}: is given as VoxCeleb{given}, but holds {count} of speakers of \
             VoxCeleb{other}, such as `{id}`; they go into the lists of VoxCeleb{other}"
        );
        found.problems.add(ProblemKind::OtherCorpus, text);
    }
}

/// The name of a trial list in the output folder.
fn trial_name(list: &Path) -> Result<String> {
    let name = list.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::file(list, "a trial list needs a name in UTF-8"))?;
    let known = TRIALS.iter().find(|(official, _)| *official == name);
    Ok(known.map_or(name, |(_, usual)| *usual).to_owned())
}

/// The trial lists, and the problem of speakers to train on that occur in them.
fn trials(
    lists: &[ListOfTrials],
    names: Vec<String>,
    survey: &mut Survey,
) -> Result<Vec<TrialSet>> {
    let Survey { entries, speakers, problems } = survey;
    let first = entries.iter().enumerate().filter(|(_, entry)| FIRST.contains(&entry.group));
    let numbers: HashMap<&str, usize> = match lists.is_empty() {
        true => HashMap::new(),
        false => first.map(|(i, entry)| (&*entry.id, i)).collect(),
    };
    let mut sets = Vec::with_capacity(lists.len());
    for (list, name) in lists.iter().zip(names) {
        let set = list.resolve(name, problems, &|word| numbers.get(word).copied())?;
        let mut tested: BTreeSet<u32> = BTreeSet::new();
        for (entry, occurs) in entries.iter().zip(set.occur(entries.len())) {
            tested.extend(entry.speaker.filter(|_| occurs));
        }
        for group in TRAINING {
            let of_group = entries.iter().filter(|entry| entry.group == group);
            let trained: BTreeSet<u32> = of_group.filter_map(|entry| entry.speaker).collect();
            let both: Vec<u32> = trained.intersection(&tested).copied().collect();
            let first = both.iter().map(|&number| speakers[number as usize].as_str()).min();
            if let Some(first) = first {
                let (name, part) = (&set.name, PARTS[group as usize]);
                let who = counted(both.len(), "speaker");
                let text = format!(
                    "{name}: names {who} of {part}, such as `{first}`; do not test a \
                     network on it that was trained on {part}"
                );
                problems.add(ProblemKind::TestSpeaker, text);
            }
        }
        sets.push(set);
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_folders_or_by_speakers() {
        for (path, root, wanted) in [
            (
                "d/vox1/vox1_dev_wav/wav/id10001/a b/00001.wav",
                2,
                Some((0, "id10001/a_b/00001.wav")),
            ),
            ("d/vox1/vox1_test_wav/wav/id10270/v/00002.wav", 2, Some((1, "id10270/v/00002.wav"))),
            ("d/vox1/wav/id10309/v/2.flac", 2, Some((1, "id10309/v/2.wav"))),
            ("d/vox1/wav/id10310/v/2.flac", 2, Some((0, "id10310/v/2.wav"))),
            ("d/vox1/test/wav/id10310/v/2.wav", 2, Some((1, "id10310/v/2.wav"))),
            ("d/vox2/dev/aac/id00012/v/00001.m4a", 2, Some((2, "id00012/v/00001.wav"))),
            ("d/vox2/test/aac/id00017/v/00001.m4a", 4, Some((3, "id00017/v/00001.wav"))),
            ("test/x/y/vox2/id00017/v/00001.m4a", 4, Some((2, "id00017/v/00001.wav"))),
            ("d/vox2/latest/id00017/v/00001.m4a", 2, Some((2, "id00017/v/00001.wav"))),
            ("d/vox2/id0017/v/00001.m4a", 2, None),
            ("d/vox2/id00017/00001.m4a", 2, None),
            ("1.wav", 0, None),
        ] {
            let parts: Vec<&str> = path.split('/').collect();
            let named = match Vox.name(&parts, root) {
                Named::Utterance { id, group, speaker } => {
                    assert!(id.starts_with(&speaker.unwrap()), "{path}");
                    Some((group, id))
                }
                _ => None,
            };
            assert_eq!(named.as_ref().map(|(group, id)| (*group, id.as_str())), wanted, "{path}");
        }
    }

    #[test]
    fn trial_lists_get_their_usual_names() {
        let name = |path: &str| trial_name(Path::new(path)).unwrap();
        assert_eq!(name("a/veri_test2.txt"), "vox1_O_cleaned.txt");
        assert_eq!(name("a/list_test_hard.txt"), "vox1_H.txt");
        assert_eq!(name("a/mine"), "mine");
        assert!(trial_name(Path::new("..")).is_err());
    }
}
