//! The dashboard: a thread that owns the terminal while a training runs.
//!
//! The thread draws ten times a second and reads keys, whatever the training does meanwhile. One
//! function gives the terminal back, [`crate::terminal::release`]. Everything that ends the
//! dashboard calls it: the end of the training, a panic, a second Ctrl-C, a terminal that fails.

mod chart;
mod keys;
mod table;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, MoveTo, Show};
use ratatui::crossterm::style::Print;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{event, execute};

use super::board::Board;
use super::feed::{Event, Sink};
use crate::terminal;
use keys::{Action, key, turn};
use view::{Look, view};

/// Time from one frame to the next.
const TICK: Duration = Duration::from_millis(100);
/// How long the end of the training waits for the thread to finish.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether the dashboard is on the terminal. Writers of escape sequences hold the lock, so that
/// nothing is written after the terminal has been given back.
static UP: Mutex<bool> = Mutex::new(false);

/// Locks even after a panic elsewhere, since the terminal must be given back then too.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts the dashboard on the terminal. It fails if keys cannot be read: in raw mode Ctrl-C is only
/// a key, so it would do nothing.
fn put_up() -> io::Result<()> {
    if !terminal::take(give_back) {
        return Err(io::Error::other("another dashboard has it"));
    }
    let mut up = lock(&UP);
    let done = enable_raw_mode()
        .and_then(|()| event::poll(Duration::ZERO))
        .and_then(|_| execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All), Hide));
    *up = done.is_ok();
    drop(up);
    done.inspect_err(|_| {
        let _ = disable_raw_mode();
        terminal::release();
    })
}

/// Gives the terminal back as it was, with the cursor at the start of a line. Errors do not matter:
/// then the terminal is gone.
fn give_back() {
    let mut up = lock(&UP);
    if std::mem::take(&mut *up) {
        // A line printed in raw mode does not return to the first column.
        let _ = disable_raw_mode();
        // A terminal without an alternate screen is left empty instead of with half a dashboard.
        let _ = execute!(
            io::stdout(),
            Clear(ClearType::All),
            MoveTo(0, 0),
            LeaveAlternateScreen,
            Show,
            Print("\r")
        );
    }
}

/// Writes each frame at once to `out` while the dashboard is up. It drops frames when the dashboard
/// is no longer up, and after a failed write.
#[derive(Debug)]
struct Gate<W> {
    out: W,
    frame: Vec<u8>,
    broken: bool,
}

impl<W> Gate<W> {
    fn new(out: W) -> Self {
        Self { out, frame: Vec::new(), broken: false }
    }
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let frame = std::mem::take(&mut self.frame);
        let up = lock(&UP);
        if !*up || self.broken {
            return Ok(());
        }
        let written = self.out.write_all(&frame).and_then(|()| self.out.flush());
        self.broken = written.is_err();
        written
    }
}

/// State that the thread and the training share.
#[derive(Debug)]
struct Shared {
    board: Mutex<Board>,
    stop: Arc<AtomicBool>,
    done: AtomicBool,
}

/// A dashboard on the terminal, until it is dropped.
pub(super) struct Dashboard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Dashboard {
    /// Shows a board. Ctrl-C and `q` set `stop`. If it is set already, they end the program.
    ///
    /// # Errors
    /// A terminal that cannot be set up, or whose keys cannot be read.
    pub fn open(board: Board, stop: Arc<AtomicBool>) -> io::Result<Self> {
        put_up()?;
        let shared =
            Arc::new(Shared { board: Mutex::new(board), stop, done: AtomicBool::new(false) });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("dashboard".into()).spawn(move || {
            // A panic of the thread drops it too.
            let _leave = Leave;
            show(&theirs);
        });
        match thread {
            Ok(thread) => Ok(Self { shared, thread: Some(thread) }),
            Err(e) => {
                terminal::release();
                Err(e)
            }
        }
    }
}

impl Sink for Dashboard {
    fn take(&mut self, event: Event, now: Instant) {
        lock(&self.shared.board).take(&event, now);
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
        terminal::release();
        let Some(thread) = self.thread.take() else { return };
        thread.thread().unpark();
        // A thread that hangs in a dead terminal is left running. It can no longer write anything.
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

/// Gives the terminal back when the thread ends for any reason.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        terminal::release();
    }
}

/// Draws and reads keys until the dashboard is done or the terminal fails. The training goes on
/// without the dashboard then.
fn show(shared: &Shared) {
    let Ok(mut screen) = Terminal::new(CrosstermBackend::new(Gate::new(io::stdout()))) else {
        return;
    };
    // It is dropped before `screen`, whose drop shows the cursor, and panics if it cannot.
    let _leave = Leave;
    let colours = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let mut chosen = 0;
    while !shared.done.load(Ordering::Relaxed) && *lock(&UP) {
        // Each frame writes to the terminal, so a terminal that is gone is noticed here. Reading
        // from it would not return.
        let look = look(shared, chosen, colours);
        let board = lock(&shared.board).clone();
        if screen.draw(|frame| view(&board, &look, frame)).is_err() {
            return;
        }
        match keys(shared, chosen, board.metrics.len()) {
            Ok(now) => chosen = now,
            Err(_) => return,
        }
        std::thread::park_timeout(TICK);
    }
}

fn look(shared: &Shared, chosen: usize, colours: bool) -> Look {
    let warnings = |lines: &[String]| {
        let all: Vec<&String> = lines.iter().filter(|l| l.starts_with("warning: ")).collect();
        (all.len(), all.last().map(|l| l.trim_end().replace('\n', " ")))
    };
    let (warnings, warning) = terminal::waiting(warnings).unwrap_or_default();
    let stopping = shared.stop.load(Ordering::Relaxed);
    Look { now: Instant::now(), chosen, stopping, warnings, warning, colours }
}

/// Acts on the keys pressed since the last frame; returns the metric to draw.
fn keys(shared: &Shared, mut chosen: usize, metrics: usize) -> io::Result<usize> {
    while event::poll(Duration::ZERO)? {
        let action = key(&event::read()?);
        let again = action == Action::Stop && shared.stop.swap(true, Ordering::Relaxed);
        if again {
            terminal::release();
            std::process::exit(130);
        }
        chosen = turn(chosen, action, metrics);
    }
    Ok(chosen)
}
