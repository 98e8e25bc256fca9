mod corpora;
mod folders;

use std::path::PathBuf;

use super::*;
use crate::audio::write_wav16;
use crate::corpus::read_wav_scp;

/// A folder with a tone of its own under each of the names.
fn tones(names: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("audio");
    for (i, name) in names.iter().enumerate() {
        std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        write_wav16(root.join(name), &tone(i), 16000).unwrap();
    }
    (dir, root)
}

fn tone(number: usize) -> Vec<f32> {
    (0..8000).map(|i| (i as f32 * (0.1 + 0.01 * number as f32)).sin() * 0.3).collect()
}

fn ids(lists: &Path) -> Vec<String> {
    read_wav_scp(lists.join("wav.scp")).unwrap().into_iter().map(|entry| entry.0).collect()
}

fn folder(root: &Path, out: &Path) -> Result<PrepareReport> {
    prepare_folder(root, out, &PrepareSettings::default(), &|_, _| ())
}

/// The problems, one a line.
fn problems(report: &PrepareReport) -> String {
    report.problems.text()
}
