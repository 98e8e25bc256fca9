mod damage;
mod refused;
mod search;

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::bytes;
use crate::error::Remedy;
use crate::rng::Stream;

const DIM: usize = 24;

fn model(hash: &str, dim: usize) -> StoreModel {
    StoreModel { hash: hash.into(), arch: "resnet10".into(), frontend: "{}".into(), dim }
}

fn recording(stream: &mut Stream, file: &str) -> Recording {
    let embedding = (0..DIM).map(|_| stream.normal() as f32).collect();
    Recording { file: file.into(), seconds: 2.5, embedding }
}

/// A store of four voices with one to four recordings.
fn filled(path: &Path) -> Store {
    let mut store = Store::open_or_create(path, &model("abc", DIM)).unwrap();
    let mut stream = Stream::new(1, "test", &[]);
    for (i, name) in ["zoe", "anna", "bert", "a voice"].into_iter().enumerate() {
        let all: Vec<Recording> =
            (0..=i).map(|k| recording(&mut stream, &format!("{name} {k}.wav"))).collect();
        store.enroll([(name, &all[..])]).unwrap();
    }
    store
}

fn error<T>(result: Result<T>) -> String {
    result.err().expect("an error").to_string()
}

/// The bytes of all files in a folder.
fn all_bytes(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap();
    files.flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn a_store_gives_back_what_was_enrolled() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let mut store = filled(&path);
    let mut stream = Stream::new(2, "test", &[]);
    let more = [recording(&mut stream, "more.wav")];
    store.add("zoe", &more).unwrap();
    store.set_model_path("/m.safetensors").unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.model(), &model("abc", DIM));
    assert_eq!(store.model_path().unwrap().as_deref(), Some("/m.safetensors"));
    let voices = store.voices().unwrap();
    let counts: Vec<(&str, usize)> =
        voices.iter().map(|v| (v.name.as_str(), v.recordings.len())).collect();
    assert_eq!(counts, [("a voice", 4), ("anna", 2), ("bert", 3), ("zoe", 2)]);
    assert_eq!((voices[3].seconds(), voices[3].created > 1_700_000_000), (5.0, true));
    assert_eq!(store.voice("zoe").unwrap().as_ref(), Some(&voices[3]));
    assert_eq!(store.voice("zo").unwrap(), None);
    assert_eq!(store.recordings("zoe").unwrap()[0], more[0]);
    assert!(store.recordings("nobody").unwrap().is_empty());
    // In the order of enrolment.
    let index = store.index(None).unwrap();
    assert_eq!((index.len(), index.name(0), index.name(3)), (4, "zoe", "a voice"));
    assert_eq!((index.seconds(0), index.is_empty()), (5.0, false));
    let one = store.index_of_voice("bert", None).unwrap();
    assert_eq!((one.len(), one.embedding(0)), (1, index.embedding(2)));
    assert!(store.index_of_voice("nobody", None).unwrap().is_empty());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!store.is_open_to_others());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(store.is_open_to_others());
    }
    // Between writes the store is one file.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_enrolment_is_whole_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let mut store = filled(&path);
    let mut stream = Stream::new(3, "test", &[]);
    let good = recording(&mut stream, "a.wav");
    let voices = store.voices().unwrap();
    let short = Recording { embedding: vec![1.0; DIM - 1], ..good.clone() };
    let odd = Recording { embedding: vec![f32::NAN; DIM], ..good.clone() };
    let endless = Recording { seconds: f64::INFINITY, ..good.clone() };
    for (name, recordings, wanted) in [
        ("new", vec![good.clone(), short], "has 23 values, those of the store 24"),
        ("new", vec![good.clone(), odd], "is not finite"),
        ("new", vec![endless], "inf s of speech"),
        ("new", vec![good.clone(), good.clone()], "has a recording `a.wav` already"),
        ("new", vec![], "has no recordings"),
        ("anna", vec![good.clone()], "`anna` is enrolled already"),
        ("", vec![good.clone()], "is empty"),
        (" x", vec![good.clone()], "blank"),
        ("x\n", vec![good.clone()], "control"),
    ] {
        let both = [("first", std::slice::from_ref(&good)), (name, &recordings[..])];
        let text = error(store.enroll(both));
        assert!(text.contains(wanted), "{text}");
        assert_eq!(store.voices().unwrap(), voices);
    }
    let known = store.enroll([("anna", std::slice::from_ref(&good))]).unwrap_err();
    assert_eq!(known.remedy(), Some(&Remedy::AddRecordings));
    store.check_voice("anna", true).and_then(|()| store.check_voice("new", false)).unwrap();
    assert!(error(store.check_voice("anna", false)).contains("`anna` is enrolled already"));
    assert!(error(store.check_voice("new", true)).contains("`new` is not enrolled"));
    assert!(error(store.add("nobody", std::slice::from_ref(&good))).contains("is not enrolled"));
    assert_eq!(store.voices().unwrap(), voices);
}

#[test]
fn a_dropped_transaction_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let mut store = filled(&path);
    let voices = store.voices().unwrap();
    let transaction = store.begin().unwrap();
    transaction.execute_batch("DELETE FROM recordings; DELETE FROM voices").unwrap();
    drop(transaction);
    assert_eq!(store.voices().unwrap(), voices);
    assert_eq!(Store::open(&path).unwrap().voices().unwrap(), voices);
}

#[test]
fn what_is_forgotten_leaves_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let mut store = Store::open_or_create(&path, &model("abc", DIM)).unwrap();
    let mut stream = Stream::new(4, "test", &[]);
    // Names and recordings of many lengths in random order divide pages often.
    let mut voices: Vec<(String, Vec<Recording>)> = (0..60)
        .map(|i| {
            let name = format!("voice-{i:03}-{}", "x".repeat(stream.below(90)));
            let count = 1 + stream.below(4);
            let all = (0..count)
                .map(|k| recording(&mut stream, &format!("{k}-{}", "y".repeat(40 * k))))
                .collect();
            (name, all)
        })
        .collect();
    stream.shuffle(&mut voices);
    for some in voices.chunks(7) {
        store.enroll(some.iter().map(|(name, all)| (name.as_str(), &all[..]))).unwrap();
    }
    let (gone, kept) = voices.split_at(25);
    let patterns = |voices: &[(String, Vec<Recording>)]| {
        let embeddings = voices.iter().flat_map(|(_, all)| all);
        let embeddings = embeddings.map(|recording| bytes::from_f32(&recording.embedding));
        let names = voices.iter().map(|(name, _)| name.as_bytes()[..9].to_vec());
        embeddings.chain(names).collect::<Vec<_>>()
    };
    let before = all_bytes(dir.path());
    assert!(patterns(&voices).iter().all(|pattern| holds(&before, pattern)));
    let names: Vec<&str> = gone.iter().map(|(name, _)| name.as_str()).collect();
    let removed = store.forget(&[&names[..], &names[..3]].concat()).unwrap();
    assert_eq!(removed.len(), 25);
    assert_eq!((&removed[7].name, removed[7].recordings.len()), (&gone[7].0, gone[7].1.len()));
    let after = all_bytes(dir.path());
    assert!(patterns(gone).iter().all(|pattern| !holds(&after, pattern)));
    // Not even the beginning of a value's bytes.
    assert!(patterns(gone).iter().all(|pattern| !holds(&after, &pattern[..9])));
    assert!(patterns(kept).iter().all(|pattern| holds(&after, pattern)));
    assert_eq!(store.index(None).unwrap().len(), 35);
    assert!(after.len() < before.len());
}

#[test]
fn forgetting_is_whole_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let mut store = filled(&path);
    let voices = store.voices().unwrap();
    let text = error(store.forget(&["anna", "nobody"]));
    assert!(text.contains("`nobody` is not enrolled"), "{text}");
    let text = error(store.forget_recording("anna", "bert 0.wav"));
    assert!(text.contains("`anna` has no recording `bert 0.wav`"), "{text}");
    assert_eq!(store.voices().unwrap(), voices);
    assert_eq!(store.forget_recording("anna", "anna 0.wav").unwrap(), voices[1]);
    assert_eq!(store.voice("anna").unwrap().unwrap().recordings.len(), 1);
    store.forget_recording("anna", "anna 1.wav").unwrap();
    assert_eq!(store.voice("anna").unwrap(), None);
    assert_eq!(store.voices().unwrap().len(), 3);
}

#[test]
fn a_file_that_was_not_built_anew_is_by_the_next_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let mut store = filled(&path);
    meta::set(&store.connection, "rebuild", "1").unwrap();
    let mut stream = Stream::new(5, "test", &[]);
    store.enroll([("new", &[recording(&mut stream, "a")][..])]).unwrap();
    assert!(!meta::read(&path, &store.connection).unwrap().contains_key("rebuild"));
    assert_eq!(store.voices().unwrap().len(), 5);
}

#[test]
fn one_writes_while_the_other_reads_and_a_second_writer_waits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let mut store = filled(&path);
    let mut stream = Stream::new(6, "test", &[]);
    let [a, b] = ["a.wav", "b.wav"].map(|file| recording(&mut stream, file));
    let writing = store.begin().unwrap();
    meta::set(&writing, "model_path", "/m").unwrap();
    // The other reads what was there before.
    let reader = Store::open(&path).unwrap();
    assert_eq!((reader.index(None).unwrap().len(), reader.model_path().unwrap()), (4, None));
    // Without patience a second writer is told.
    let mut hasty = Store::open(&path).unwrap().impatient();
    let locked = hasty.enroll([("new", std::slice::from_ref(&a))]).unwrap_err();
    assert!(locked.to_string().contains("another process has locked the store"), "{locked}");
    assert_eq!(locked.remedy(), Some(&Remedy::TryAgain));
    // With patience it waits.
    let (tell, told) = mpsc::channel();
    let other = thread::spawn({
        let path = path.clone();
        move || {
            let mut store = Store::open(&path).unwrap();
            tell.send(()).unwrap();
            let begun = Instant::now();
            store.enroll([("new", std::slice::from_ref(&b))]).unwrap();
            begun.elapsed()
        }
    });
    told.recv().unwrap();
    thread::sleep(Duration::from_millis(300));
    writing.commit().unwrap();
    assert!(other.join().unwrap() > Duration::from_millis(100));
    assert_eq!(reader.index(None).unwrap().len(), 5);
    assert_eq!(reader.model_path().unwrap().as_deref(), Some("/m"));
    assert_eq!(reader.names().unwrap(), ["a voice", "anna", "bert", "new", "zoe"]);
}

#[test]
fn processes_that_make_one_store_at_once_share_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let mut stream = Stream::new(7, "test", &[]);
    let recording = recording(&mut stream, "a.wav");
    thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (path, recording) = (&path, &recording);
            scope.spawn(move || {
                let mut store = Store::open_or_create(path, &model("abc", DIM)).unwrap();
                store.enroll([(name, std::slice::from_ref(recording))]).unwrap();
            });
        }
    });
    assert_eq!(Store::open(&path).unwrap().voices().unwrap().len(), 4);
}
