//! Progress bars for long work other than training. They appear after two seconds, on stderr, and
//! only on a terminal.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kdam::{Bar, BarExt};

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(2);

/// A bar as a function, for work in several threads that calls it after each unit. It ignores the
/// first argument (finished units), because calls may arrive out of order. The second one is the
/// number of all units.
pub fn reporting(what: &'static str, quiet: bool) -> impl Fn(usize, usize) + Sync {
    let bar: Mutex<Option<Progress>> = Mutex::default();
    move |_finished, total| {
        let mut bar = bar.lock().expect("no holder panics");
        bar.get_or_insert_with(|| Progress::new(what, total, quiet)).add(1);
    }
}

/// A bar that appears when the work turns out to be long.
pub struct Progress {
    what: &'static str,
    total: usize,
    done: usize,
    begun: Instant,
    shown: Option<Bar>,
    wanted: bool,
}

impl Progress {
    /// Progress of `total` units of work.
    pub fn new(what: &'static str, total: usize, quiet: bool) -> Self {
        let wanted = !quiet && std::io::stderr().is_terminal();
        Self { what, total, done: 0, begun: Instant::now(), shown: None, wanted }
    }

    /// Counts units that are done.
    pub fn add(&mut self, units: usize) {
        self.done += units;
        if self.wanted && self.shown.is_none() && self.begun.elapsed() > PATIENCE {
            self.shown = Some(kdam::tqdm!(total = self.total, desc = self.what, leave = false));
        }
        // A terminal that is gone ends the bar, not the work.
        if let Some(bar) = &mut self.shown
            && bar.update_to(self.done).is_err()
        {
            (self.shown, self.wanted) = (None, false);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &mut self.shown {
            let _ = bar.clear();
            // kdam clears the bar with blanks, which leave the cursor behind the last column.
            let _ = bar.writer.print(b"\r");
        }
    }
}
