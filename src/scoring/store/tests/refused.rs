//! What is no store, or a damaged one.

use rusqlite::Connection;

use super::super::codes::MOST;
use super::super::file::{APPLICATION, FORMAT};
use super::*;

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
    assert!(!Store::is_at(&path) && !Store::is_at(dir.path()));
    for (application, format, wanted) in [
        (0, 0, "an SQLite file of another program"),
        (APPLICATION + 1, FORMAT, "an SQLite file of another program"),
        (APPLICATION, FORMAT + 1, "is a store of format 3; this version reads 2"),
        (APPLICATION, FORMAT - 1, "format 1; this version reads 2: enrol its voices anew"),
        (APPLICATION, FORMAT, "no such table: meta"),
    ] {
        std::fs::remove_file(&path).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        other.pragma_update(None, "application_id", application).unwrap();
        other.pragma_update(None, "user_version", format).unwrap();
        drop(other);
        assert_eq!(Store::is_at(&path), application == APPLICATION);
        let before = std::fs::read(&path).unwrap();
        for result in [Store::open(&path), Store::open_or_create(&path, &model("abc", DIM))] {
            let text = error(result);
            assert!(text.contains(wanted), "{text}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    for dim in [0, MOST + 1] {
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
        "UPDATE recordings SET created = created + 1 WHERE id = 3",
        "UPDATE voices SET created = created - 1 WHERE id = 2",
        "UPDATE meta SET value = 'ecapa' WHERE key = 'arch'",
        "INSERT INTO meta VALUES ('model_path', '/other')",
        "ALTER TABLE voices ADD COLUMN more TEXT",
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
