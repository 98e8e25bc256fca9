//! Progress bars for everything long that is not training: on stderr, on a terminal only, after two
//! seconds.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use kdam::{Bar, BarExt};

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(2);

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

    /// Some units are done.
    pub fn add(&mut self, units: usize) {
        self.done += units;
        if self.wanted && self.shown.is_none() && self.begun.elapsed() > PATIENCE {
            self.shown = Some(kdam::tqdm!(total = self.total, desc = self.what, leave = false));
        }
        // A terminal that is gone is no reason to stop the work, nor to try again.
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
            // The bar is cleared with blanks, which leave the cursor at the edge.
            let _ = bar.writer.print(b"\r");
        }
    }
}
