//! A folder of audio, one sub-folder a speaker: `ROOT/<speaker>/**/<utterance>.{wav,flac}`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use walkdir::WalkDir;

use crate::audio::load;
use crate::error::{Error, Result};
use crate::fs;
use crate::progress::Progress;

/// What a scan found.
#[derive(Debug, Clone, Default)]
pub struct FolderReport {
    /// Usable utterances.
    pub utterances: usize,
    /// Speakers that have some.
    pub speakers: usize,
    /// Length of all usable audio.
    pub seconds: f64,
    /// Files left out, and things worth knowing, one line each.
    pub problems: Vec<String>,
}

/// Scans `root` and writes `wav.scp`, `utt2spk`, `spk2utt` and `problems.txt` into `out`, which must not hold lists yet. Every file is
/// decoded; unreadable and silent ones are left out and reported. Ids are `<speaker>-<path below it>`, so they sort by speaker.
pub fn prepare_folder(root: &Path, out: &Path, sample_rate: u32, quiet: bool) -> Result<FolderReport> {
    if !root.is_dir() {
        return Err(Error::file(root, "no such folder"));
    }
    if let Some(list) = ["wav.scp", "utt2spk", "spk2utt"].iter().map(|n| out.join(n)).find(|p| p.exists()) {
        return Err(Error::file(list, "is already there; name another folder for the lists"));
    }
    let mut report = FolderReport::default();
    let mut files: Vec<(String, String, PathBuf)> = Vec::new();
    for entry in WalkDir::new(root).sort_by_file_name().follow_links(true) {
        let entry = entry.map_err(|e| {
            let path = e.path().unwrap_or(root).to_owned();
            Error::io(path, "scan", e.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links")))
        })?;
        let path = entry.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        if !entry.file_type().is_file() || !["wav", "flac"].contains(&extension.as_str()) {
            continue;
        }
        let below = path.strip_prefix(root).expect("walked from the root");
        let parts: Vec<String> = below.with_extension("").iter().map(|p| p.to_string_lossy().into_owned()).collect();
        let [speaker, .., _] = parts.as_slice() else {
            report.problems.push(format!("{}: not in a speaker's folder; left out", path.display()));
            continue;
        };
        // Blanks would end an id; the path itself may hold them.
        let id = parts.join("-").replace(char::is_whitespace, "_");
        files.push((id, speaker.replace(char::is_whitespace, "_"), path.to_owned()));
    }
    if files.is_empty() {
        return Err(Error::file(root, "no .wav or .flac files in folders of speakers"));
    }
    let progress = std::sync::Mutex::new(Progress::new("checking audio", files.len(), quiet));
    let checked: Vec<Result<f64, String>> = files
        .par_iter()
        .map(|(_, _, path)| {
            let result = match load(path, sample_rate, None) {
                Ok(audio) if audio.is_silent() => Err(format!("{}: silent; left out", path.display())),
                Ok(audio) => Ok(audio.seconds()),
                Err(e) => Err(format!("{e}; left out")),
            };
            progress.lock().expect("no holder panics").add(1);
            result
        })
        .collect();
    drop(progress);
    let (mut scp, mut utt2spk) = (String::new(), String::new());
    let mut speakers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut seen: BTreeMap<&str, &Path> = BTreeMap::new();
    for ((id, speaker, path), checked) in files.iter().zip(checked) {
        match checked {
            Err(problem) => report.problems.push(problem),
            Ok(_) if seen.contains_key(id.as_str()) => {
                let message =
                    format!("{}: same id `{id}` as {}; left out", path.display(), seen[id.as_str()].display());
                report.problems.push(message);
            }
            Ok(seconds) => {
                let absolute = std::path::absolute(path).map_err(|e| Error::io(path, "locate", e))?;
                scp += &format!("{id} {}\n", absolute.display());
                utt2spk += &format!("{id} {speaker}\n");
                speakers.entry(speaker).or_default().push(id);
                seen.insert(id, path);
                report.utterances += 1;
                report.seconds += seconds;
            }
        }
    }
    if report.utterances == 0 {
        return Err(Error::file(root, format!("no usable audio; the first problem: {}", report.problems[0])));
    }
    report.speakers = speakers.len();
    for (speaker, utterances) in &speakers {
        if utterances.len() == 1 {
            report.problems.push(format!("speaker `{speaker}` has a single utterance"));
        }
    }
    let spk2utt: String = speakers.iter().map(|(s, u)| format!("{s} {}\n", u.join(" "))).collect();
    fs::create_dir_all(out)?;
    fs::write_bytes(out.join("wav.scp"), scp.as_bytes())?;
    fs::write_bytes(out.join("utt2spk"), utt2spk.as_bytes())?;
    fs::write_bytes(out.join("spk2utt"), spk2utt.as_bytes())?;
    let problems: String = report.problems.iter().map(|p| format!("{p}\n")).collect();
    fs::write_bytes(out.join("problems.txt"), problems.as_bytes())?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::write_wav16;
    use crate::corpus::Corpus;

    #[test]
    fn folders_become_lists_and_problems_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("audio");
        let tone: Vec<f32> = (0..8000).map(|i| (i as f32 * 0.1).sin() * 0.3).collect();
        for file in ["anna/1.wav", "anna/trip one/2.wav", "ben/1.wav"] {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            write_wav16(root.join(file), &tone, 16000).unwrap();
        }
        write_wav16(root.join("ben/silent.wav"), &[0.0; 800], 16000).unwrap();
        std::fs::write(root.join("ben/text.wav"), "no audio").unwrap();
        std::fs::write(root.join("loose.wav"), "no speaker").unwrap();
        let out = dir.path().join("lists");
        let report = prepare_folder(&root, &out, 16000, true).unwrap();
        assert_eq!((report.utterances, report.speakers), (3, 2));
        let problems = report.problems.join("\n");
        for wanted in ["silent.wav: silent", "text.wav", "loose.wav: not in a speaker's folder", "`ben` has a single"] {
            assert!(problems.contains(wanted), "{wanted} is not in: {problems}");
        }
        let corpus = Corpus::load(&out).unwrap();
        assert_eq!(corpus.speakers, ["anna", "ben"]);
        assert!(corpus.utterances.iter().any(|u| u.id == "anna-trip_one-2"));
        assert!(prepare_folder(&root, &out, 16000, true).unwrap_err().to_string().contains("already there"));
        assert!(prepare_folder(&dir.path().join("none"), &out, 16000, true).is_err());
    }
}
