//! Signals that ask the program to stop.
//!
//! The first one sets a flag, and the work ends at a point where nothing is lost. A second one ends
//! the program at once, if a person seems to have sent it.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::terminal::{self, errln};

/// The terminal has gone. POSIX fixes this number and the next two (`kill -1`, `-2`, `-15`).
const SIGHUP: i32 = 1;
/// Ctrl-C.
pub(super) const SIGINT: i32 = 2;
/// `kill`, a scheduler, the end of a session.
const SIGTERM: i32 = 15;

/// Signals that follow the first one sooner than this count as the same request.
const SETTLED: Duration = Duration::from_secs(1);
/// The same for Ctrl-C, which people press twice.
const PRESSED: Duration = Duration::from_millis(100);
/// How long a terminal that hangs can delay the answer to a signal.
const PATIENCE: Duration = Duration::from_secs(1);

/// The first signal; 0 before it.
static FIRST: AtomicI32 = AtomicI32::new(0);

/// The first signal that has come.
pub(super) fn received() -> Option<i32> {
    Some(FIRST.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
}

/// The flag that the first signal sets, for verbs that have something to save before they end. All
/// calls return the same flag. The signals are SIGINT, SIGTERM and SIGHUP; on systems without them,
/// Ctrl-C.
///
/// # Errors
/// The system refuses to deliver signals.
pub(super) fn watch() -> Result<Arc<AtomicBool>> {
    static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    let mut flag = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stop) = &*flag {
        return Ok(stop.clone());
    }
    let stop = Arc::new(AtomicBool::new(false));
    listen(stop.clone()).map_err(|e| Error::Undefined(format!("cannot watch for signals: {e}")))?;
    *flag = Some(stop.clone());
    Ok(stop)
}

/// Makes a limit on the size of files (`ulimit -f`) an error of the write, which is reported and
/// tried again. Without this a signal would end the program.
#[cfg(unix)]
pub(super) fn outlive_file_limits() {
    /// The same number on Linux, macOS and the BSDs.
    const SIGXFSZ: i32 = 25;
    // If the handler cannot be set, the signal ends the program, as it ends others.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Elsewhere there is no such signal.
#[cfg(not(unix))]
pub(super) fn outlive_file_limits() {}

#[cfg(unix)]
fn listen(stop: Arc<AtomicBool>) -> io::Result<()> {
    let mut watched = vec![SIGINT, SIGTERM];
    // `nohup` lets a program outlive its terminal.
    if !is_ignored(SIGHUP) {
        watched.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(watched)?;
    let mut first = None;
    let answer_all = move || signals.forever().for_each(|signal| take(signal, &stop, &mut first));
    thread::Builder::new().name("signals".into()).spawn(answer_all)?;
    Ok(())
}

#[cfg(not(unix))]
fn listen(stop: Arc<AtomicBool>) -> io::Result<()> {
    let mut first = None;
    ctrlc::set_handler(move || take(SIGINT, &stop, &mut first)).map_err(io::Error::other)
}

/// Whether the program was started with a signal ignored. Only Linux says so without unsafe code.
/// Elsewhere the answer is no.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    std::fs::read("/proc/self/status")
        .is_ok_and(|status| ignores(&String::from_utf8_lossy(&status), signal))
}

/// Whether a process ignores a signal, by its `/proc/PID/status`: signal n is bit n - 1 of the mask
/// `SigIgn`, in hexadecimal digits.
#[cfg(unix)]
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|digits| u128::from_str_radix(digits.trim(), 16).ok());
    mask.is_some_and(|mask| (mask >> (signal - 1)) & 1 == 1)
}

/// The effects of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The flag is set.
    Stop,
    /// The program ends.
    End,
    /// Nothing.
    Wait,
}

/// The effect of a signal. `asked`: whether a signal or a key requested a stop before. `since`: how
/// long ago the first signal came.
///
/// A person who presses Ctrl-C again wants the end at once. But signals also come twice by
/// themselves: `timeout` signals the program and its group, a closing terminal sends SIGHUP through
/// its shell and on its own, the end of a session sends SIGTERM and SIGHUP. Such pairs must not
/// end the program before everything is saved.
fn answer(signal: i32, asked: bool, since: Option<Duration>) -> Answer {
    match (signal, since) {
        (SIGINT, None) if asked => Answer::End,
        (SIGINT, Some(since)) if since >= PRESSED => Answer::End,
        (_, None) => Answer::Stop,
        (SIGTERM, Some(since)) if since >= SETTLED => Answer::End,
        _ => Answer::Wait,
    }
}

/// The message after the first signal.
fn message(signal: i32) -> &'static str {
    match signal {
        SIGHUP => "SIGHUP: stopping soon; SIGTERM stops at once",
        SIGTERM => "SIGTERM: stopping soon; another one, a second later, stops at once",
        _ => "stopping soon; press Ctrl-C again to stop at once",
    }
}

/// Acts on a signal. `first` is when the first one came.
fn take(signal: i32, stop: &AtomicBool, first: &mut Option<Instant>) {
    match answer(signal, stop.load(Ordering::Relaxed), first.map(|f| f.elapsed())) {
        Answer::Stop => {
            *first = Some(Instant::now());
            FIRST.store(signal, Ordering::Relaxed);
            // The terminal has written `^C` into this line.
            let begin = if signal == SIGINT && io::stderr().is_terminal() { "\n" } else { "" };
            briefly(move || errln!("{begin}{}", message(signal)));
            // Behind the message: work that ends at once would end the program without it.
            stop.store(true, Ordering::Release);
        }
        Answer::End => {
            briefly(terminal::release);
            std::process::exit(128 + signal);
        }
        Answer::Wait => {}
    }
}

/// Does something with the terminal, and waits for it no longer than [`PATIENCE`].
fn briefly(work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel::<()>();
    let begun = thread::Builder::new().name("signals".into()).spawn(move || {
        work();
        drop(done);
    });
    if begun.is_ok() {
        // Nothing is ever sent: the wait ends with the channel, or with patience.
        let _ = wait.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = concat!(
            "Name:\trevox\nSigBlk:\tffffffffffffffff\n",
            "SigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n"
        );
        assert!(ignores(status, SIGHUP) && ignores(status, 13));
        assert!(!ignores(status, SIGINT) && !ignores(status, SIGTERM) && !ignores(status, 64));
        assert!(ignores("SigIgn:\t8000000000000000\n", 64));
        assert!(!ignores("Name:\tSigIgn: 1\n", SIGHUP) && !ignores("SigIgn:\tnone\n", SIGHUP));
    }

    /// Rust's own programs ignore SIGPIPE and catch SIGSEGV.
    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_tells_what_it_ignores() {
        assert!(is_ignored(13) && !is_ignored(11));
    }

    #[test]
    fn the_first_signal_stops_and_a_second_one_ends_only_if_it_is_meant() {
        let (soon, late) = (Some(Duration::from_millis(5)), Some(Duration::from_secs(5)));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            assert_eq!(answer(signal, false, None), Answer::Stop);
        }
        assert_eq!(
            (answer(SIGINT, true, soon), answer(SIGINT, true, late)),
            (Answer::Wait, Answer::End)
        );
        assert_eq!(
            (answer(SIGTERM, true, soon), answer(SIGTERM, true, late)),
            (Answer::Wait, Answer::End)
        );
        assert_eq!(
            (answer(SIGHUP, true, soon), answer(SIGHUP, true, late)),
            (Answer::Wait, Answer::Wait)
        );
        // After a key of the dashboard.
        assert_eq!(
            (answer(SIGINT, true, None), answer(SIGTERM, true, None)),
            (Answer::End, Answer::Stop)
        );
    }

    #[test]
    fn every_message_says_what_happens_and_how_to_end_it() {
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            let text = message(signal);
            assert!(text.contains("stopping soon") && text.contains("at once"), "{text}");
        }
    }
}
