//! Panics as messages. Backends have no other way to say that something failed, and decoders of
//! damaged audio may fail in no other way.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Whether this thread keeps its panics off the terminal, and where its last one was.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `work` and turns a panic of this thread into its message, followed by the place that it
/// comes from. Nothing of it reaches the terminal.
#[cfg(feature = "burn")]
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    caught(work).map_err(|panic| format!("{}{}", panic_text(&*panic), PLACE.take()))
}

/// Runs `work` and catches a panic of this thread. Nothing of it reaches the terminal.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    // The whole program has one hook. It is set once, and silent for threads that ask for it.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match QUIET.get() {
            true => PLACE.set(
                info.location()
                    .map_or_else(String::new, |l| format!(" ({}:{})", l.file(), l.line())),
            ),
            false => {
                crate::terminal::release();
                hook(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    result
}

/// What a panic says, in one line and without a backtrace. A message gives each cause a line of its
/// own.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let lines = text.unwrap_or("unknown reason").lines().map(str::trim);
    let told: Vec<&str> =
        lines.take_while(|line| !line.to_lowercase().starts_with("backtrace")).take(40).collect();
    told.join(" ").chars().take(2000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_causes_in_one_line() {
        let told = quietly(|| {
            panic!("cannot read\n  Caused by:\n    out of memory\nBacktrace\n  0: main")
        })
        .unwrap_err();
        assert!(told.starts_with("cannot read Caused by: out of memory (src/panics.rs:"), "{told}");
        assert_eq!(quietly(|| 3), Ok(3));
    }
}
