use super::*;

const EARLIER: &str = r#"{"pid":12,"host":"elsewhere","since":"2026-11-25T21:03:27Z"}"#;

#[test]
fn one_at_a_time_has_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = Lock::take(dir.path()).unwrap();
    assert_eq!(first.note, None);
    let text = std::fs::read(dir.path().join(LOCK_NAME)).unwrap();
    let holder = Holder::parse(&text).unwrap();
    assert_eq!(holder.pid, std::process::id());
    let error = Lock::take(dir.path()).unwrap_err().to_string();
    let wanted =
        format!("is in use by process {} on {} since {}; ", holder.pid, holder.host, holder.since);
    assert!(error.contains(&wanted) && error.contains("name another folder"), "{error}");
    drop(first);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the lock file stays");
    assert_eq!(Lock::take(dir.path()).unwrap().note, None);
    let missing = Lock::take(&dir.path().join("none")).unwrap_err().to_string();
    assert!(missing.contains("none: cannot lock"), "{missing}");
}

#[test]
fn the_lock_of_a_killed_process_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(LOCK_NAME);
    std::fs::write(&path, EARLIER).unwrap();
    let taken = Lock::take(dir.path()).unwrap();
    let note = taken.note.unwrap();
    let wanted = ": takes over the lock of process 12 on elsewhere, \
                  since 2026-11-25T21:03:27Z, which does not hold it any more";
    assert!(note.starts_with(dir.path().to_str().unwrap()) && note.ends_with(wanted), "{note}");
    let now = Holder::parse(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(now.pid, std::process::id());
    drop(taken.lock);
    assert!(!path.exists());
}

#[test]
fn damaged_lock_files_name_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(LOCK_NAME);
    let damaged: [&[u8]; 5] = [
        b"{\"pid\":12,\"ho",
        b"\xff\xfe\x00\x1b[31m",
        &[b'x'; 1 << 16],
        b"[]",
        b"{\"pid\":-1,\"host\":\"a\",\"since\":\"b\"}",
    ];
    for text in damaged {
        std::fs::write(&path, text).unwrap();
        let note = Lock::take(dir.path()).unwrap().note.unwrap();
        assert!(
            note.ends_with(
                "takes over the lock of another process, which does not hold it any more"
            ),
            "{note}"
        );
        assert!(!path.exists());
    }
    std::fs::write(&path, " \n").unwrap();
    assert_eq!(Lock::take(dir.path()).unwrap().note, None);
    std::fs::write(&path, damaged[1]).unwrap();
    let holder = File::options().write(true).open(&path).unwrap();
    holder.try_lock().unwrap();
    let error = Lock::take(dir.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("is in use by another process; wait for it, or name another folder"),
        "{error}"
    );
    holder.unlock().unwrap();
    drop(Lock::take(dir.path()).unwrap());
    assert!(!path.exists());
}

#[test]
fn the_note_says_that_a_file_system_cannot_lock() {
    let error = io::Error::from(ErrorKind::Unsupported);
    let note = note(Path::new("runs/a"), EARLIER.as_bytes(), Some(&error)).unwrap();
    let wanted = format!(
        "runs/a: this file system cannot lock ({error}): \
         nothing keeps another process from writing here"
    );
    assert_eq!(note, wanted);
}

#[test]
fn a_lock_given_back_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    Lock::take(dir.path()).unwrap().lock.give_back().unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the lock file stays");
    assert_eq!(Lock::take(dir.path()).unwrap().note, None);
}

#[test]
#[cfg(unix)]
fn a_link_is_no_lock_file() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("precious"), "precious").unwrap();
    std::os::unix::fs::symlink("precious", at(LOCK_NAME)).unwrap();
    assert!(Lock::take(dir.path()).unwrap_err().to_string().contains("cannot lock"));
    assert_eq!(std::fs::read(at("precious")).unwrap(), b"precious");
    assert!(at(LOCK_NAME).is_symlink());
}

#[test]
#[cfg(unix)]
fn a_lock_file_of_another_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(LOCK_NAME);
    let first = Lock::take(dir.path()).unwrap().lock;
    std::fs::remove_file(&path).unwrap();
    let _second = Lock::take(dir.path()).unwrap();
    drop(first);
    assert!(path.exists());
    assert!(Lock::take(dir.path()).is_err());
}
