use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rusqlite::Connection;

use super::file::{APPLICATION, FORMAT};
use super::*;
use crate::bytes;
use crate::error::Remedy;
use crate::rng::Stream;
use crate::scoring::{Embeddings, Scorer};

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
    super::file::set_meta(&store.connection, "rebuild", "1").unwrap();
    let mut stream = Stream::new(5, "test", &[]);
    store.enroll([("new", &[recording(&mut stream, "a")][..])]).unwrap();
    assert_eq!(super::file::meta(&store.connection, "rebuild").unwrap(), None);
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
    writing.execute("UPDATE voices SET created = 7", []).unwrap();
    // The other reads what was there before.
    let reader = Store::open(&path).unwrap();
    assert_eq!(reader.index(None).unwrap().len(), 4);
    assert!(reader.voices().unwrap().iter().all(|voice| voice.created > 7));
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
    assert!(reader.voice("anna").unwrap().unwrap().created == 7);
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

#[test]
fn what_is_no_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    assert!(error(Store::open(&path)).contains("voices: cannot open"));
    std::fs::write(&path, "").unwrap();
    assert!(error(Store::open(&path)).contains("is empty"));
    assert!(error(Store::open(dir.path())).contains("is a folder"));
    assert!(error(Store::open_or_create(dir.path(), &model("abc", DIM))).contains("is a folder"));
    let text = "this is no database at all; ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    for result in [Store::open(&path), Store::open_or_create(&path, &model("abc", DIM))] {
        assert!(error(result).contains("is no store of voices"));
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    for (application, format, wanted) in [
        (0, 0, "an SQLite file of another program"),
        (APPLICATION + 1, FORMAT, "an SQLite file of another program"),
        (APPLICATION, FORMAT + 1, "is a store of format 2; this version reads 1"),
        (APPLICATION, FORMAT, "no such table: meta"),
    ] {
        std::fs::remove_file(&path).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        other.pragma_update(None, "application_id", application).unwrap();
        other.pragma_update(None, "user_version", format).unwrap();
        drop(other);
        let before = std::fs::read(&path).unwrap();
        for result in [Store::open(&path), Store::open_or_create(&path, &model("abc", DIM))] {
            let text = error(result);
            assert!(text.contains(wanted), "{text}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    for dim in [0, codes::MOST + 1] {
        let text = error(Store::open_or_create(dir.path().join("new"), &model("abc", dim)));
        assert!(text.contains("values can be stored"), "{text}");
        assert!(!dir.path().join("new").exists());
    }
}

#[test]
fn another_model_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    drop(filled(&path));
    let other = StoreModel { arch: "ecapa".into(), ..model("def", DIM) };
    let text = error(Store::open_or_create(&path, &other));
    assert!(text.contains("the model resnet10 abc, this one is ecapa def"), "{text}");
    // What is not hashed may differ.
    let renamed = StoreModel { arch: "other".into(), ..model("abc", DIM) };
    assert_eq!(Store::open_or_create(&path, &renamed).unwrap().voices().unwrap().len(), 4);
}

#[test]
fn cut_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    drop(filled(&path));
    let whole = std::fs::read(&path).unwrap();
    for length in [1, 50, 99, 512, 4095, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1]
    {
        std::fs::write(&path, &whole[..length]).unwrap();
        let result = Store::open(&path).and_then(|store| store.index(None).map(|_| ()));
        assert!(error(result).starts_with(path.to_str().unwrap()), "{length}");
    }
}

#[test]
fn a_changed_value_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    for change in [
        "UPDATE voices SET name = 'bertha' WHERE name = 'bert'",
        "UPDATE recordings SET seconds = 2.75 WHERE id = 3",
        "UPDATE recordings SET file = 'x' WHERE id = 3",
        "UPDATE recordings SET embedding = zeroblob(96) WHERE id = 3",
        "UPDATE recordings SET embedding = x'00' WHERE id = 3",
        "UPDATE recordings SET embedding = 'text' WHERE id = 3",
        "UPDATE recordings SET voice = 1 WHERE id = 3",
        "UPDATE meta SET value = '25' WHERE key = 'dim'",
        "UPDATE meta SET value = 'x' WHERE key = 'dim'",
        "DELETE FROM meta WHERE key = 'hash'",
    ] {
        drop(filled(&path));
        Connection::open(&path).unwrap().execute_batch(change).unwrap();
        let result = Store::open(&path).and_then(|store| store.index(None).map(|_| ()));
        let text = error(result);
        assert!(text.contains("is a damaged store"), "{change}: {text}");
        std::fs::remove_file(&path).unwrap();
    }
    // A flipped bit in the file itself.
    let mut store = filled(&path);
    let mut stream = Stream::new(8, "test", &[]);
    let marked = recording(&mut stream, "marked");
    store.add("zoe", std::slice::from_ref(&marked)).unwrap();
    drop(store);
    let mut file = std::fs::read(&path).unwrap();
    let pattern = bytes::from_f32(&marked.embedding);
    let at = file.windows(pattern.len()).position(|window| window == pattern).unwrap();
    file[at + 40] ^= 16;
    std::fs::write(&path, file).unwrap();
    let text = error(Store::open(&path).unwrap().index(None));
    assert!(text.contains("recording `marked` of `zoe`"), "{text}");
}

#[test]
fn what_has_no_direction_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voices");
    let mut store = filled(&path);
    let index = store.index(None).unwrap();
    assert!(error(index.search(&[0.0; DIM], 3)).contains("zero: it has no direction"));
    assert!(error(index.search(&[f32::NAN; DIM], 3)).contains("not finite"));
    assert!(error(index.search(&[1.0; DIM + 1], 3)).contains("25 values"));
    assert!(index.search(&[1.0; DIM], 0).unwrap().is_empty());
    let centred = store.index(Some(&[2.0; DIM][..])).unwrap();
    assert!(error(centred.search(&[2.0; DIM], 3)).contains("the mean itself"));
    assert!(error(store.index(Some(&[2.0; 3][..]))).contains("the mean has 3 values"));
    let opposite = [1.0, -1.0].map(|x| Recording {
        file: x.to_string(),
        seconds: 1.0,
        embedding: vec![x; DIM],
    });
    store.enroll([("nobody", &opposite[..])]).unwrap();
    let text = error(store.index(None));
    assert!(text.contains("voices: the mean embedding of `nobody`: "), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The places and scores are those of comparing all, to the bit; equal scores too.
    #[test]
    fn a_search_equals_comparing_all(
        seed in any::<u64>(),
        dim in prop_oneof![Just(1usize), Just(2), Just(33), Just(64), 1usize..100],
        voices in 1usize..150,
        spread in prop_oneof![Just(1e-4), Just(0.1), Just(1.0)],
        top in 1usize..20,
        has_mean in any::<bool>(),
    ) {
        let mut stream = Stream::new(seed, "test", &[]);
        let mean: Option<Vec<f32>> =
            has_mean.then(|| (0..dim).map(|_| stream.normal() as f32).collect());
        let mut index = VoiceIndex::new(dim, mean.as_deref()).unwrap();
        let mut all = Embeddings::new(dim);
        // Around one point, so that many are nearly equal; some are copies of others.
        let centre: Vec<f64> = (0..dim).map(|_| stream.normal()).collect();
        let draw = |stream: &mut Stream| -> Vec<f32> {
            centre.iter().map(|c| (c + spread * stream.normal()) as f32).collect()
        };
        let query = draw(&mut stream);
        all.push("query", &query).unwrap();
        for i in 0..voices {
            let row = match stream.below(4) {
                0 if i > 0 => index.embedding(stream.below(i)).to_vec(),
                _ => draw(&mut stream),
            };
            let name = format!("v{i}");
            index.push(&name, 1.0, &row).unwrap();
            all.push(&name, &row).unwrap();
        }
        let wide = mean.map(|m| m.iter().map(|&x| f64::from(x)).collect());
        let scorer = Scorer::new(&all, wide).unwrap();
        let mut wanted: Vec<Found> =
            (0..voices).map(|place| Found { place, score: scorer.score(0, place + 1) }).collect();
        wanted.sort_by(|a, b| b.score.total_cmp(&a.score));
        wanted.truncate(top);
        prop_assert_eq!(index.search(&query, top).unwrap(), wanted);
    }
}
