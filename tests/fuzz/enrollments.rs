//! Lists of enrolments, and seconds of speech by utterance.

use std::fmt::Write;
use std::path::Path;

use revox::corpus::{Enrollment, Enrollments, Names, read_utt2dur};

use crate::lists::{refused, seeds_of};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::text::text;

/// Each model has its place, and its line is behind that of the one before.
fn sound(list: &Enrollments, path: &Path, bytes: &[u8]) -> Result<(), String> {
    let lines = 1 + bytes.iter().filter(|&&b| b == b'\n').count();
    let models = list.models();
    let placed = models.iter().enumerate().all(|(i, m)| {
        list.find(&m.model) == Some(i) && !m.utterances.is_empty() && m.line <= lines
    });
    match placed && models.is_sorted_by(|a, b| a.line < b.line) && list.path() == path {
        true => Ok(()),
        false => Err(format!("{} models in {lines} lines that are not in order", models.len())),
    }
}

/// The list is the same after it is written, and every word of it is an utterance of its own name.
fn again(list: &Enrollments, path: &Path) -> Result<(), String> {
    // A byte order mark at the beginning of a name is part of it only behind the first line.
    let mut written = String::from("\n");
    for Enrollment { model, utterances, .. } in list.models() {
        writeln!(written, "{model}\t{}", utterances.join(" ")).expect("text takes text");
    }
    let copy = path.with_file_name("again");
    std::fs::write(&copy, written).expect("the folder takes files");
    let read = Enrollments::read(&copy).map_err(|e| format!("not read again: {e}"))?;
    let same =
        |(a, b): (&Enrollment, &Enrollment)| a.model == b.model && a.utterances == b.utterances;
    if read.models().len() != list.models().len()
        || !read.models().iter().zip(list.models()).all(same)
    {
        return Err("another list after writing it".into());
    }
    let words = || list.models().iter().flat_map(|m| m.utterances.iter().map(String::as_str));
    let mut ids: Vec<&str> = words().collect();
    ids.sort_unstable();
    ids.dedup();
    let names = Names::new("embeddings", ids.iter().copied());
    let (places, note) = list.resolve(&names).map_err(|e| format!("read, but not found: {e}"))?;
    match places.concat().into_iter().map(|place| ids[place]).eq(words()) && note.is_none() {
        true => Ok(()),
        false => Err("a word stands for another utterance".into()),
    }
}

fn read_enrollments(path: &Path, bytes: &[u8]) -> Outcome {
    match Enrollments::read(path) {
        Ok(list) => {
            sound(&list, path, bytes)?;
            again(&list, path)?;
            Ok(Verdict::Read)
        }
        Err(e) => refused(&e, path, bytes),
    }
}

#[test]
fn enrollment_lists() {
    let good = seeds_of(&[
        "ann a1 a2\nbob b1\n",
        "ann\ta1.wav  sub/a2.flac\r\n\n  bob b1 a1.wav\r\n",
        "\u{feff}m a a.wav b/a.wav ./a\nn \u{fc}\n",
    ]);
    let words = ["ann", "bob", "a1", "a1.wav", "sub/a1", "/d/a1.wav", "./a1", "-", "|"];
    run(&Target {
        name: "enrollment_lists",
        file: "enroll",
        good: &good,
        make: &|stream| text(stream, &good, &words),
        read: &read_enrollments,
    });
}

fn read_durations(path: &Path, bytes: &[u8]) -> Outcome {
    let found = match read_utt2dur(path) {
        Ok(found) => found,
        Err(e) => return refused(&e, path, bytes),
    };
    if let Some((id, seconds)) = found.iter().find(|(_, s)| !s.is_finite() || *s < 0.0) {
        return Err(format!("`{id}` has {seconds} seconds"));
    }
    let mut written = String::from("\n");
    for (id, seconds) in &found {
        writeln!(written, "{id} {seconds}").expect("text takes text");
    }
    let copy = path.with_file_name("again");
    std::fs::write(&copy, written).expect("the folder takes files");
    match read_utt2dur(&copy).map_err(|e| format!("not read again: {e}"))? == found {
        true => Ok(Verdict::Read),
        false => Err("another list after writing it".into()),
    }
}

#[test]
fn durations() {
    let good = seeds_of(&["b 2.5\n\na 0\n", "u1\t1e-3\r\nu2\t+3.25\r\n", "a 12345.678901234567\n"]);
    let words = ["a", "b", "u1", "2.5", "+1", "1e5", "1.", ".5", "infinity"];
    run(&Target {
        name: "durations",
        file: "utt2dur",
        good: &good,
        make: &|stream| text(stream, &good, &words),
        read: &read_durations,
    });
}
