//! Stores of voices: SQLite files with changed bytes, and whole ones with changed values.

use std::ffi::OsString;
use std::path::Path;

use revox::rng::Stream;
use revox::scoring::{Recording, Store, StoreModel, VoiceIndex};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::store_edits::edited;

const FILE: &str = "voices.db";
/// Values of an embedding.
const DIM: usize = 24;
/// When the voices of the seeds were enrolled: seeds are the same at any time.
const TIME: i64 = 1_700_000_000;
/// A voice that no seed has.
const NEW: &str = "new voice";

fn recording(stream: &mut Stream, file: &str) -> Recording {
    let embedding = (0..DIM).map(|_| stream.normal() as f32).collect();
    Recording { file: file.to_owned(), seconds: 2.5, embedding }
}

/// The voices of all seeds, with one to four recordings.
fn enrolled() -> Vec<(&'static str, Vec<Recording>)> {
    let (mut stream, mut all) = (Stream::new(1, "voices", &[]), Vec::new());
    for (i, name) in ["zoe", "anna", "b ert", "\u{fc}"].into_iter().enumerate() {
        let files = (0..=i).map(|k| format!("{name} {k}.wav"));
        all.push((name, files.map(|file| recording(&mut stream, &file)).collect()));
    }
    all
}

/// Gives a recording that time, and the checksum that belongs to it.
fn fix_time(connection: &Connection, model: &StoreModel, name: &str, recording: &Recording) {
    let mut hash = Sha256::new();
    for text in [model.hash.as_str(), name, recording.file.as_str()] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.update([TIME.to_le_bytes(); 2].concat());
    hash.update(recording.seconds.to_le_bytes());
    recording.embedding.iter().for_each(|x| hash.update(x.to_le_bytes()));
    let digest = hash.finalize()[..16].to_vec();
    let set = "UPDATE recordings SET created = ?1, digest = ?2 WHERE file = ?3";
    let row = rusqlite::params![TIME, digest, recording.file];
    assert_eq!(connection.execute(set, row).expect("written"), 1);
}

/// A store with pages of SQLite's usual size, and one with small pages, which has deeper trees.
fn seeds() -> Vec<Vec<u8>> {
    let [hash, arch, frontend] = ["abc", "resnet10", "{}"].map(str::to_owned);
    let model = StoreModel { hash, arch, frontend, dim: DIM };
    let of = |bytes: usize| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let mut store = Store::open_or_create(&path, &model).expect("a store");
        let voices = enrolled();
        store.enroll(voices.iter().map(|(name, all)| (*name, &all[..]))).expect("enrolled");
        store.set_model_path("/m.safetensors").expect("written");
        drop(store);
        let connection = Connection::open(&path).expect("a file");
        connection.execute("UPDATE voices SET created = ?1", [TIME]).expect("written");
        for (name, all) in &voices {
            all.iter().for_each(|recording| fix_time(&connection, &model, name, recording));
        }
        let anew = format!("PRAGMA page_size = {bytes}; VACUUM;");
        connection.execute_batch(&anew).expect("built anew");
        drop(connection);
        std::fs::read(&path).expect("a file")
    };
    [4096, 512].map(of).into()
}

/// A refusal has to name the file.
fn refused(error: &revox::Error) -> Outcome {
    match error.to_string().contains(FILE) {
        true => Ok(Verdict::Refused),
        false => Err(format!("an error without the file's name: {error}")),
    }
}

/// Files that SQLite may have left beside an earlier input.
fn clean(path: &Path) {
    for ending in ["-journal", "-wal", "-shm"] {
        let mut name: OsString = path.as_os_str().to_owned();
        name.push(ending);
        let _ = std::fs::remove_file(name);
    }
}

/// Each voice of an index is a mean of recordings of that voice. Rows that are lost have no
/// checksum, so it may be a mean of some.
fn sound(index: &VoiceIndex, known: &[(&str, Vec<Recording>)]) -> Result<(), String> {
    for place in 0..index.len() {
        let (name, row) = (index.name(place), index.embedding(place));
        let own = known.iter().find(|(own, _)| *own == name);
        let (_, own) = own.ok_or_else(|| format!("`{name}` was never enrolled"))?;
        let within = |(i, x): (usize, &f32)| {
            let values = || own.iter().map(|recording| recording.embedding[i]);
            values().any(|y| y <= *x) && values().any(|y| y >= *x)
        };
        if row.len() != DIM || !row.iter().enumerate().all(within) {
            return Err(format!("`{name}` has an embedding that is no mean of its own"));
        }
        let found = index.search(row, 3).map_err(|e| format!("not searched: {e}"))?;
        let scored = |score: f64| (-1.0..=1.0).contains(&score);
        if found.len() != index.len().min(3) || !found.iter().all(|f| scored(f.score)) {
            return Err(format!("{found:?} of {} voices", index.len()));
        }
    }
    Ok(())
}

/// Reads all that a store holds. What comes back was enrolled, or is refused.
fn look(store: &Store) -> Outcome {
    let known = enrolled();
    let mut verdict = Verdict::Read;
    let mut refuse = |e: revox::Error| refused(&e).map(|_| verdict = Verdict::Refused);
    match store.voices() {
        Ok(voices) => {
            for voice in &voices {
                let own = known.iter().find(|(name, _)| *name == voice.name);
                match store.recordings(&voice.name) {
                    Ok(all) => {
                        let is_own = |r: &Recording| own.is_some_and(|(_, own)| own.contains(r));
                        if let Some(other) = all.iter().find(|r| !is_own(r)) {
                            let (name, file) = (&voice.name, &other.file);
                            return Err(format!("`{name}` never had this recording `{file}`"));
                        }
                    }
                    Err(e) => refuse(e)?,
                }
            }
        }
        Err(e) => refuse(e)?,
    }
    match store.index(None) {
        Ok(index) => sound(&index, &known)?,
        Err(e) => refuse(e)?,
    }
    if let Err(e) = store.model_path() {
        refuse(e)?;
    }
    Ok(verdict)
}

/// Enrols a voice and forgets another. In a file whose trees are whole, one is there afterwards and
/// the other is not.
fn change(store: &mut Store, is_whole: bool) -> Outcome {
    let embedding = vec![0.5; store.model().dim];
    let one = Recording { file: "new.wav".to_owned(), seconds: 1.0, embedding };
    if let Err(e) = store.enroll([(NEW, std::slice::from_ref(&one))]) {
        return refused(&e);
    }
    match store.recordings(NEW) {
        Ok(all) if is_whole && all != std::slice::from_ref(&one) => {
            return Err("not read as it was enrolled".into());
        }
        Ok(_) => {}
        Err(e) => {
            refused(&e)?;
        }
    }
    let gone = match store.voices() {
        Ok(voices) => voices.into_iter().map(|voice| voice.name).find(|name| name != NEW),
        Err(e) => return refused(&e),
    };
    let Some(gone) = gone else { return Ok(Verdict::Read) };
    if let Err(e) = store.forget(&[gone.as_str()]) {
        return refused(&e);
    }
    match store.voice(&gone) {
        Ok(Some(_)) if is_whole => Err(format!("`{gone}` is still there")),
        Ok(_) => Ok(Verdict::Read),
        Err(e) => refused(&e),
    }
}

fn read(path: &Path, bytes: &[u8], is_whole: bool) -> Outcome {
    clean(path);
    let mut store = match Store::open(path) {
        Ok(store) => store,
        Err(e) => return refused(&e),
    };
    let verdict = look(&store)?;
    // One in three files; the same one is always treated alike.
    let sum = bytes.iter().fold(0u32, |sum, &byte| sum.wrapping_add(u32::from(byte)));
    if sum.is_multiple_of(3) {
        change(&mut store, is_whole)?;
    }
    Ok(verdict)
}

/// A changed file. Half of the changes are in bytes that are not zero: most of a page is.
fn damaged(stream: &mut Stream, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = pick(stream, seeds).clone();
    for _ in 0..1 + stream.below(4) {
        let used: Vec<usize> = (0..data.len()).filter(|&at| data[at] != 0).collect();
        if used.is_empty() || stream.chance(0.4) {
            mutate::change(stream, &mut data, seeds, 100);
            continue;
        }
        let at = *pick(stream, &used);
        match stream.below(3) {
            0 => data[at] ^= 1 << stream.below(8),
            1 => data[at] = *pick(stream, &[0, 1, 5, 10, 13, 0x7f, 0x80, 0xff]),
            _ => data[at] = stream.bits() as u8,
        }
    }
    data
}

#[test]
fn store_files() {
    let good = seeds();
    run(&Target {
        name: "store_files",
        file: FILE,
        good: &good,
        make: &|stream| damaged(stream, &good),
        read: &|path, bytes| read(path, bytes, false),
    });
}

#[test]
fn store_values() {
    let good = seeds();
    run(&Target {
        name: "store_values",
        file: FILE,
        good: &good,
        make: &|stream| edited(stream, &good),
        read: &|path, bytes| read(path, bytes, true),
    });
}
