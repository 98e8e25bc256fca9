//! What the program prints: data on standard output, everything else on standard error.
//!
//! Nothing here panics. The first failed write to standard output is kept, and [`finish`] makes it
//! the program's error. Failed writes to standard error are ignored. Notes, the library's own
//! remarks, are not printed until a program wants them ([`show_notes`]).

use std::borrow::Cow;
use std::fmt::{Arguments, Write as _};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// The first failure of standard output.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Whether a character could move the cursor, change colours or turn the direction of text.
fn is_control(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() && c != '\n' && c != '\t'
}

/// The text with control characters as JSON writes them (`\u001b`). Ids and metadata come from
/// files, and a terminal would obey them.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_control(c) {
            // Every one of them is below U+FFFF. Writing to a string cannot fail.
            true => drop(write!(shown, "\\u{:04x}", u32::from(c))),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Prints to standard output. After a failure nothing more is tried.
pub fn print_out(text: Arguments) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none() {
        let text = text.to_string();
        *failed = io::stdout().write_all(printable(&text).as_bytes()).err();
    }
}

/// A dashboard that has the terminal, and the lines that wait until it has gone.
struct Taken {
    give_back: fn(),
    lines: Vec<String>,
}

static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

fn taken() -> MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints to standard error; while a dashboard has the terminal, the text waits.
pub fn print_err(text: Arguments) {
    let text = text.to_string();
    let text = printable(&text);
    match &mut *taken() {
        Some(taken) => taken.lines.push(text.into_owned()),
        None => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Whether notes are printed.
static NOTES: AtomicBool = AtomicBool::new(false);

/// Has notes printed to standard error from now on, or not. At first they are not.
pub fn show_notes(wanted: bool) {
    NOTES.store(wanted, Ordering::Relaxed);
}

/// Prints a remark as a line `note: ...` to standard error, if notes are wanted.
pub fn print_note(text: Arguments) {
    if NOTES.load(Ordering::Relaxed) {
        print_err(format_args!("note: {text}\n"));
    }
}

/// Keeps lines for standard error until [`release`], which calls `give_back` first. False if the
/// terminal is taken already.
pub fn take(give_back: fn()) -> bool {
    let mut taken = taken();
    let free = taken.is_none();
    if free {
        *taken = Some(Taken { give_back, lines: Vec::new() });
    }
    free
}

/// Gives the terminal back, if a dashboard has it, and prints the lines that have waited.
pub fn release() {
    if let Some(Taken { give_back, lines }) = taken().take() {
        give_back();
        for line in lines {
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }
}

/// What `look` sees in the lines that wait; nothing if the terminal is not taken.
pub fn waiting<T>(look: impl FnOnce(&[String]) -> T) -> Option<T> {
    taken().as_ref().map(|t| look(&t.lines))
}

/// Flushes standard output. A reader that closed its end of a pipe has read what it wanted.
///
/// # Errors
/// The first failure since the program began, so that a full disk is not taken for success.
pub fn finish() -> Result<()> {
    let flushed = io::stdout().flush();
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    verdict(failed.take().map_or(flushed, Err))
}

fn verdict(written: io::Result<()>) -> Result<()> {
    match written {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io("standard output", "write", e))
        }
        _ => Ok(()),
    }
}

/// A line on standard output.
#[cfg(feature = "cli")]
macro_rules! outln {
    ($($arg:tt)*) => { $crate::terminal::print_out(format_args!("{}\n", format_args!($($arg)*))) };
}

/// Text on standard output.
#[cfg(feature = "cli")]
macro_rules! out {
    ($($arg:tt)*) => { $crate::terminal::print_out(format_args!($($arg)*)) };
}

/// A line on standard error.
#[cfg(feature = "train")]
macro_rules! errln {
    ($($arg:tt)*) => { $crate::terminal::print_err(format_args!("{}\n", format_args!($($arg)*))) };
}

/// A remark on standard error, where notes are wanted: `note: ...`.
macro_rules! note {
    ($($arg:tt)*) => { $crate::terminal::print_note(format_args!($($arg)*)) };
}

#[cfg(feature = "train")]
pub(crate) use errln;
pub(crate) use note;
#[cfg(feature = "cli")]
pub(crate) use {out, outln};

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn lines_wait_while_the_terminal_is_taken() {
        static GIVEN_BACK: AtomicUsize = AtomicUsize::new(0);
        let give_back = || {
            GIVEN_BACK.fetch_add(1, Ordering::Relaxed);
        };
        assert!(take(give_back) && !take(give_back));
        print_err(format_args!("a line that waits\n"));
        // Other tests may print at the same time.
        let waits = |line: &str| waiting(|lines| lines.iter().any(|l| l == line));
        assert_eq!(waits("a line that waits\n"), Some(true));
        // Notes are lines too, once they are wanted.
        note!("a library is silent");
        show_notes(true);
        note!("{} of {}", 1, 2);
        show_notes(false);
        assert_eq!(
            (waits("note: a library is silent\n"), waits("note: 1 of 2\n")),
            (Some(false), Some(true))
        );
        release();
        release();
        assert_eq!(GIVEN_BACK.load(Ordering::Relaxed), 1);
        assert_eq!(waiting(|lines| lines.len()), None);
    }

    #[test]
    fn a_reader_may_leave_but_a_disk_may_not_be_full() {
        verdict(Ok(())).unwrap();
        verdict(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        let full = verdict(Err(io::ErrorKind::StorageFull.into())).unwrap_err().to_string();
        assert!(full.starts_with("standard output: cannot write: "), "{full}");
    }

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        assert_eq!(printable("a\tb\nc ü 声"), "a\tb\nc ü 声");
        assert_eq!(
            printable("\u{1b}[2J\r\u{7f}\u{9b}\u{202e}"),
            "\\u001b[2J\\u000d\\u007f\\u009b\\u202e"
        );
        // What is JSON stays JSON, with the same value.
        let json = serde_json::json!({"id": "\u{9b}31m\u{1b}"}).to_string();
        let shown = printable(&json);
        assert!(!shown.contains('\u{9b}'));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap()["id"],
            "\u{9b}31m\u{1b}"
        );
    }
}
