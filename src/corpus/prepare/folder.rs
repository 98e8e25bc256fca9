//! Makes lists of a folder of audio with a sub-folder for each speaker:
//! `ROOT/<speaker>/**/<utterance>.{wav,flac}`.

mod scan;
mod write;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use self::scan::{refuse_equal_names, scan};
use crate::audio::Source;
use crate::corpus::Done;
use crate::error::{Error, Remedy, Result};

/// What [`prepare_folder`] found.
#[derive(Debug, Clone, Default)]
pub struct FolderReport {
    /// Usable utterances.
    pub utterances: usize,
    /// Speakers with usable utterances.
    pub speakers: usize,
    /// Length of all usable audio, seconds.
    pub seconds: f64,
    /// Files that were left out, and other remarks, one line each.
    pub problems: Vec<String>,
}

/// Scans `root` and writes `wav.scp`, `utt2spk`, `spk2utt` and `problems.txt` into `out`, which
/// must not contain lists yet. Ids are `<speaker>-<path below it>`, so they sort by speaker. Blanks
/// in them become `_`. `sample_rate` is the rate, Hz, at which the audio will be used.
///
/// Every file is decoded. Unreadable and silent files, links to nothing, and names that lists
/// cannot hold are left out and reported. Names that begin with a dot are left out. `done` is
/// called after each file.
///
/// # Errors
/// Folders that would be one speaker and files that would be one utterance; a root without usable
/// audio; lists in `out`; a file that cannot be written. Nothing is written then.
pub fn prepare_folder(
    root: &Path,
    out: &Path,
    sample_rate: u32,
    done: &Done,
) -> Result<FolderReport> {
    if !root.is_dir() {
        return Err(Error::file(root, "no such folder"));
    }
    if out.exists() && !out.is_dir() {
        return Err(Error::file(out, "is a file, not a folder for lists"));
    }
    if let Some(list) =
        ["wav.scp", "utt2spk", "spk2utt"].iter().map(|n| out.join(n)).find(|p| p.exists())
    {
        return Err(Error::file(list, "is already there; name another folder for the lists"));
    }
    let found = scan(root)?;
    refuse_equal_names(root, &found.files)?;
    let (files, finished) = (found.files.len(), AtomicUsize::new(0));
    let checked: Vec<Result<f64, String>> = found
        .files
        .par_iter()
        .map(|file| {
            let result = seconds_of(&file.path, sample_rate);
            done(finished.fetch_add(1, Ordering::Relaxed) + 1, files);
            result
        })
        .collect();
    let mut report = FolderReport { problems: found.problems, ..FolderReport::default() };
    let (mut scp, mut utt2spk) = (String::new(), String::new());
    let mut speakers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, checked) in found.files.iter().zip(checked) {
        match checked {
            Err(problem) => report.problems.push(problem),
            Ok(seconds) => {
                let absolute = std::path::absolute(&file.path)
                    .map_err(|e| Error::io(&file.path, "locate", e))?;
                scp += &format!("{} {}\n", file.id, absolute.display());
                utt2spk += &format!("{} {}\n", file.id, file.speaker);
                speakers.entry(&file.speaker).or_default().push(&file.id);
                report.utterances += 1;
                report.seconds += seconds;
            }
        }
    }
    if report.utterances == 0 {
        return Err(Error::file(
            root,
            format!("no usable audio; the first problem: {}", report.problems[0]),
        ));
    }
    report.speakers = speakers.len();
    for (speaker, utterances) in &speakers {
        if utterances.len() == 1 {
            report.problems.push(format!("speaker `{speaker}` has a single utterance"));
        }
    }
    if let (1, Some(speaker)) = (speakers.len(), speakers.keys().next()) {
        report.problems.push(format!(
            "all recordings are of one speaker, `{speaker}`; each speaker needs a folder"
        ));
    }
    let spk2utt: String = speakers.iter().map(|(s, u)| format!("{s} {}\n", u.join(" "))).collect();
    let problems: String = report.problems.iter().map(|p| format!("{p}\n")).collect();
    let lists =
        [("problems.txt", problems), ("spk2utt", spk2utt), ("utt2spk", utt2spk), ("wav.scp", scp)];
    write::write(out, &lists)?;
    Ok(report)
}

/// The length of a file, seconds, or why it is left out. All its samples are read.
fn seconds_of(path: &Path, sample_rate: u32) -> Result<f64, String> {
    match Source::open(path, sample_rate, None).and_then(|mut source| source.level()) {
        Ok(level) if level.is_silent() => Err(format!("{}: silent; left out", path.display())),
        Ok(level) => Ok(level.samples() as f64 / f64::from(sample_rate)),
        Err(e) => {
            // Lists cannot choose a channel.
            let has_several = matches!(e.remedy(), Some(Remedy::ChooseChannel { .. }));
            let advice = if has_several { "; make a file of one channel" } else { "" };
            Err(format!("{e}{advice}; left out"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::audio::write_wav16;
    use crate::corpus::Corpus;

    /// A folder with a tone under each of the names.
    fn tones(names: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("audio");
        let tone: Vec<f32> = (0..8000).map(|i| (i as f32 * 0.1).sin() * 0.3).collect();
        for name in names {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            write_wav16(root.join(name), &tone, 16000).unwrap();
        }
        (dir, root)
    }

    fn ids(out: &Path) -> Vec<String> {
        Corpus::load(out).unwrap().utterances.into_iter().map(|u| u.id).collect()
    }

    #[test]
    fn folders_become_lists_and_problems_are_reported() {
        let (dir, root) = tones(&["anna/1.wav", "anna/trip one/2.WAV", "ben/1.wav"]);
        write_wav16(root.join("ben/silent.wav"), &[0.0; 800], 16000).unwrap();
        std::fs::write(root.join("ben/text.wav"), "no audio").unwrap();
        std::fs::write(root.join("loose.wav"), "no speaker").unwrap();
        let stereo = hound::WavSpec {
            channels: 2,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(root.join("ben/two.wav"), stereo).unwrap();
        (0..800i16).for_each(|i| writer.write_sample(i).unwrap());
        writer.finalize().unwrap();
        let out = dir.path().join("lists");
        let told = Mutex::new(Vec::new());
        let done = |finished: usize, all: usize| told.lock().unwrap().push((finished, all));
        let report = prepare_folder(&root, &out, 16000, &done).unwrap();
        assert_eq!((report.utterances, report.speakers), (3, 2));
        let mut told = told.into_inner().unwrap();
        told.sort_unstable();
        // All but the one outside of speakers' folders.
        assert_eq!(told, [1, 2, 3, 4, 5, 6].map(|n| (n, 6)));
        let problems = report.problems.join("\n");
        for wanted in [
            "silent.wav: silent",
            "text.wav",
            "two.wav: has 2 channels; make a file of one channel; left out",
            "loose.wav: not in a speaker's folder",
            "`ben` has a single",
        ] {
            assert!(problems.contains(wanted), "{wanted} is not in: {problems}");
        }
        let corpus = Corpus::load(&out).unwrap();
        assert_eq!(corpus.speakers, ["anna", "ben"]);
        assert!(corpus.utterances.iter().any(|u| u.id == "anna-trip_one-2"));
        assert!(
            prepare_folder(&root, &out, 16000, &|_, _| ())
                .unwrap_err()
                .to_string()
                .contains("already there")
        );
        assert!(prepare_folder(&dir.path().join("none"), &out, 16000, &|_, _| ()).is_err());
        let file = root.join("loose.wav");
        assert!(
            prepare_folder(&root, &file, 16000, &|_, _| ())
                .unwrap_err()
                .to_string()
                .contains("is a file")
        );
    }

    #[test]
    fn names_that_become_equal_are_refused() {
        for (names, wanted) in [
            (
                ["Ann Lee/1.wav", "Ann_Lee/2.wav", "b/1.wav"],
                "Ann Lee` and `AUDIO/Ann_Lee` would be one speaker, `Ann_Lee`",
            ),
            (["b/x/1.wav", "b/x-1.wav", "c/1.wav"], "b/x-1.wav` would be one utterance, `b-x-1`"),
            (["a/b-c.wav", "a-b/c.wav", "d/1.wav"], "a-b/c.wav` would be one utterance, `a-b-c`"),
            (["a/1.wav", "a/1.flac", "d/1.wav"], "would be one utterance, `a-1`"),
        ] {
            let (dir, root) = tones(&names);
            let out = dir.path().join("lists");
            let error = prepare_folder(&root, &out, 16000, &|_, _| ()).unwrap_err().to_string();
            let error = error.replace(root.to_str().unwrap(), "AUDIO");
            assert!(error.contains(wanted) && !out.exists(), "{error}");
        }
        let (dir, root) = tones(&[
            "a/1-2.wav",
            "a/1/2.wav",
            "a/3-4.wav",
            "a/3/4.wav",
            "a/5-6.wav",
            "a/5/6.wav",
            "a/7-8.wav",
            "a/7/8.wav",
        ]);
        let error = prepare_folder(&root, &dir.path().join("lists"), 16000, &|_, _| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains("; and 1 more"), "{error}");
    }

    #[test]
    fn hidden_files_are_left_out() {
        let (dir, root) = tones(&[
            "ann/1.wav",
            "ann/._1.wav",
            ".git/2.wav",
            "__MACOSX/ann/._1.wav",
            "ann/.trash/3.wav",
            "ben/1.wav",
        ]);
        std::fs::write(root.join("ann/.DS_Store"), "").unwrap();
        let out = dir.path().join("lists");
        let report = prepare_folder(&root, &out, 16000, &|_, _| ()).unwrap();
        assert_eq!(ids(&out), ["ann-1", "ben-1"]);
        assert!(report.problems[0].contains("4 hidden files and folders"), "{:?}", report.problems);
    }

    #[test]
    fn one_speaker_is_worth_a_warning() {
        let (dir, root) = tones(&["ann/1.wav", "ann/2.wav"]);
        let report = prepare_folder(&root, &dir.path().join("lists"), 16000, &|_, _| ()).unwrap();
        assert!(report.problems[0].contains("one speaker, `ann`"), "{:?}", report.problems);
        let (dir, root) = tones(&["1.wav"]);
        let error = prepare_folder(&root, &dir.path().join("lists"), 16000, &|_, _| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains("1.wav: not in a speaker's folder"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_lists_cannot_hold_and_links_to_nothing_are_left_out() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;
        let (dir, root) = tones(&[
            "ann/1.wav",
            "ben/1.wav",
            "cleo/new\nline.wav",
            "cleo/\u{1b}[2J.wav",
            "dora\u{feff}/1.wav",
        ]);
        let copy = |name: &[u8]| {
            let path = root.join(OsStr::from_bytes(name));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::copy(root.join("ann/1.wav"), path).unwrap();
        };
        copy(b"ann/caf\xe9.wav");
        copy(b"\xff/1.wav");
        copy(b"ann/2.wav ");
        copy(b"ann/3.wav|");
        symlink("nowhere", root.join("ann/4.wav")).unwrap();
        symlink("nowhere", root.join("ann/.hidden")).unwrap();
        symlink("..", root.join("ann/loop")).unwrap();
        symlink("itself", root.join("itself")).unwrap();
        symlink("../ann/1.wav", root.join("ben/link.wav")).unwrap();
        let out = dir.path().join("lists");
        let report = prepare_folder(&root, &out, 16000, &|_, _| ()).unwrap();
        assert_eq!(ids(&out), ["ann-1", "ben-1", "ben-link"]);
        let problems = report.problems.join("\n");
        for wanted in [
            r"new\nline.wav",
            r"\u{1b}[2J.wav",
            r"caf\xE9.wav",
            r"\xFF/1.wav",
            "ends in a blank or `|`",
            "ann/4.wav: a link to nothing",
            "ann/loop: a link back to",
            "itself: ",
        ] {
            assert!(problems.contains(wanted), "{wanted} is not in: {problems}");
        }
        assert!(!problems.contains('\u{fffd}') && !problems.contains(".hidden"), "{problems}");
        assert_eq!(problems.lines().count(), report.problems.len());
        for list in ["wav.scp", "utt2spk", "spk2utt"] {
            assert!(
                !std::fs::read_to_string(out.join(list)).unwrap().contains('\u{fffd}'),
                "{list}"
            );
        }
    }
}
