//! Errors as codes, and their texts.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::Error;
use engine::portable::advice;

/// How a call ended.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevoxStatus {
    /// It did what it should.
    Ok = 0,
    /// An argument is impossible: a null pointer, a buffer of another length than the model's
    /// embeddings, a prior outside of 0 to 1.
    Argument = 1,
    /// The model was freed, or never was one.
    Handle = 2,
    /// The operating system refused a file.
    File = 3,
    /// Not a model that this library reads: another kind of file, a truncated or damaged one, one
    /// of a later version.
    Model = 4,
    /// A recording that cannot be heard: empty, too short, with samples that are not finite, at a
    /// rate that no audio has, of a format that is not read, of several channels.
    Audio = 5,
    /// The model does not store it (a threshold at this rate, a calibration), or the library was
    /// built without it (the shipped model).
    Absent = 6,
    /// There is no result: nobody speaks, or an embedding has no direction.
    Undefined = 7,
    /// A bug of the library. Please report the text.
    Bug = 8,
}

/// A status with what there is to say.
#[derive(Debug)]
pub(crate) struct Failure {
    status: RevoxStatus,
    text: String,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(status: RevoxStatus, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// An impossible argument.
    pub fn argument(text: impl Into<String>) -> Self {
        Self::new(RevoxStatus::Argument, text)
    }

    /// An error of the library, which is of this kind if its own says no more.
    fn of(error: &Error, usual: RevoxStatus) -> Self {
        let status = match error.bare() {
            Error::Io { .. } => RevoxStatus::File,
            Error::Undefined(_) => RevoxStatus::Undefined,
            _ => usual,
        };
        let help = advice(error).map_or_else(String::new, |help| format!("; {help}"));
        Self::new(status, format!("{error}{help}"))
    }
}

/// [`Failure::of`] for errors that are usually of this kind.
pub(crate) fn of(usual: RevoxStatus) -> impl Fn(Error) -> Failure {
    move |error| Failure::of(&error, usual)
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Text for C, without the character that ends one there.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// Keeps the text for `revox_last_error`.
fn remember(text: &str) {
    // A thread that ends has no use for it.
    let _ = LAST.try_with(|last| last.replace(c_text(text)));
}

/// The border. What `work` returns or panics with becomes a status, and its text is kept.
pub(crate) fn guarded(work: impl FnOnce() -> Result<()>) -> RevoxStatus {
    // What a panic may leave half done is dropped: `work` owns it, or is done with it.
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return RevoxStatus::Ok,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = format!("a bug of revox: {}", told(&*panic));
            // To drop it might panic again.
            std::mem::forget(panic);
            Failure::new(RevoxStatus::Bug, text)
        }
    };
    remember(&failure.text);
    failure.status
}

/// As [`guarded`], with a value that stands for every error.
pub(crate) fn value_or<T>(otherwise: T, work: impl FnOnce() -> Result<T>) -> T {
    let mut value = otherwise;
    guarded(|| {
        value = work()?;
        Ok(())
    });
    value
}

fn told(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown reason")
}

/// The version of the library, such as `0.1.0`.
#[unsafe(no_mangle)]
pub extern "C" fn revox_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// What the calling thread's last error was, in UTF-8; empty if it had none. The text is there
/// until the thread's next call that fails, or its end. Calls that succeed leave it.
#[unsafe(no_mangle)]
pub extern "C" fn revox_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::last_error;

    #[test]
    #[cfg(panic = "unwind")]
    fn panics_are_a_status_and_a_text() {
        let number = 3;
        let status = guarded(|| panic!("not {number}"));
        assert_eq!(status, RevoxStatus::Bug);
        assert_eq!(last_error(), "a bug of revox: not 3");
        assert_eq!(value_or(7, || panic!("still")), 7);
        assert_eq!(last_error(), "a bug of revox: still");
        assert_eq!(guarded(|| std::panic::panic_any(5)), RevoxStatus::Bug);
        assert_eq!(last_error(), "a bug of revox: unknown reason");
    }

    #[test]
    fn texts_stay_in_their_thread_and_until_the_next_error() {
        let fail = |text: &str| guarded(|| Err(Failure::argument(text)));
        assert_eq!(fail("a\0b"), RevoxStatus::Argument);
        assert_eq!(guarded(|| Ok(())), RevoxStatus::Ok);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(last_error(), "");
                fail("there");
                assert_eq!(last_error(), "there");
            });
        });
        assert_eq!(last_error(), "a b");
    }
}
