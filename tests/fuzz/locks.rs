//! Lock files. Another process wrote them, perhaps of another version or on another machine.

use std::path::Path;

use revox::fs::{LOCK_NAME, Lock};
use revox::rng::Stream;

use crate::runner::{Outcome, Target, Verdict, run};
use crate::text::text;

/// Most characters of a message, without the folder's name.
const LONGEST: usize = 400;

/// Checks that a message can be shown: short, and without control characters.
fn shown(message: &str, folder: &Path) -> Result<(), String> {
    let Some(rest) = message.strip_prefix(&format!("{}: ", folder.display())) else {
        return Err(format!("a message without the folder: {message}"));
    };
    match rest.chars().count() <= LONGEST && !rest.contains(char::is_control) {
        true => Ok(()),
        false => Err(format!(
            "not a line to show: {:?}",
            rest.chars().take(2 * LONGEST).collect::<String>()
        )),
    }
}

#[test]
fn lock_files() {
    let [held, free] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let lock = Lock::take(held.path()).expect("a folder of its own").lock;
    let own = std::fs::read(held.path().join(LOCK_NAME)).expect("a lock file");
    let others = [
        "",
        "\n",
        "{\"pid\":12,\"host\":\"elsewhere\",\"since\":\"2026-11-25T21:03:27Z\"}",
        "12\n",
        "no process",
    ];
    let good: Vec<Vec<u8>> =
        others.iter().map(|text| text.as_bytes().to_vec()).chain([own]).collect();
    let words = [
        "pid",
        "host",
        "since",
        "\\u001b[2J",
        "\\u202e",
        "{",
        "}",
        "2026-11-25T21:03:27Z",
        "process",
    ];
    let read = |_: &Path, bytes: &[u8]| -> Outcome {
        // The content of the locked file changes; the file stays the same.
        std::fs::write(held.path().join(LOCK_NAME), bytes).map_err(|e| e.to_string())?;
        match Lock::take(held.path()) {
            Ok(_) => return Err("two have one lock".into()),
            Err(e) => shown(&e.to_string(), held.path())?,
        }
        // The same content as the file of a dead process.
        std::fs::write(free.path().join(LOCK_NAME), bytes).map_err(|e| e.to_string())?;
        let taken = Lock::take(free.path())
            .map_err(|e| format!("nobody has it, and it is refused: {e}"))?;
        taken.note.iter().try_for_each(|note| shown(note, free.path()))?;
        drop(taken);
        match free.path().join(LOCK_NAME).exists() {
            true => Err("it is there after it was given back".into()),
            false => Ok(Verdict::Read),
        }
    };
    let make = |stream: &mut Stream| text(stream, &good, &words);
    run(&Target { name: "lock_files", file: "lock", good: &good, make: &make, read: &read });
    drop(lock);
}
