//! Work that each rank does by itself, however long it takes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{Communicator, agree};
use crate::error::{Error, Result};

/// How often ranks tell each other that they are at work. It is far below any limit on waiting.
const EVERY: Duration = Duration::from_millis(200);

/// Work that each rank does by itself. It must not use the communicator: meanwhile the ranks tell
/// each other that they are at it, so that a limit on waiting is one on silence, not on the work.
/// All come back when all are done.
///
/// `stop` is set when another rank has failed or does not answer. The work then ends soon, with any
/// error.
///
/// # Errors
/// That of the rank that has failed, on all ranks. A fault of the connection.
pub fn apart<T>(
    ranks: &dyn Communicator,
    stop: &AtomicBool,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    if ranks.size() == 1 {
        return work();
    }
    let (done, told) = thread::scope(|scope| {
        // If the work panics, this end goes with it, and the other one hears of that.
        let (working, ended) = mpsc::channel();
        let teller = scope.spawn(move || tell(ranks, stop, &ended));
        let done = match work() {
            // What this rank says then is not why all end.
            Err(_) if stop.load(Ordering::Relaxed) => Ok(None),
            done => done.map(Some),
        };
        // Where the connection has failed, nobody listens any more.
        let _ = working.send(done.is_err());
        let failed = |_| Err(Error::Training("the thread that tells the others failed".into()));
        (done, teller.join().unwrap_or_else(failed))
    });
    told?;
    let stopped = || Error::Training("the work was stopped, and nobody says why".into());
    agree(ranks, done)?.ok_or_else(stopped)
}

/// Tells the other ranks that the work goes on, until it has ended on all of them.
fn tell(ranks: &dyn Communicator, stop: &AtomicBool, ended: &Receiver<bool>) -> Result<()> {
    // Whether it has ended here, and whether it has failed.
    let mut ours = [0.0, 0.0];
    loop {
        if ours[0] == 0.0 {
            match ended.recv_timeout(EVERY) {
                Ok(failed) => ours = [1.0, f64::from(u8::from(failed))],
                Err(RecvTimeoutError::Timeout) => {}
                // The work has panicked.
                Err(RecvTimeoutError::Disconnected) => ours = [1.0, 1.0],
            }
        }
        let sums = ranks.sum_f64(&ours).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
        if sums[1] > 0.0 {
            stop.store(true, Ordering::Relaxed);
        }
        if sums[0] == ranks.size() as f64 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::collective::Alone;
    use crate::backend::collective::threads::each_rank;

    /// One works much longer than the interval, and then all can go on.
    #[test]
    fn ranks_wait_for_the_longest_work() {
        let done = each_rank(3, |ranks| {
            let stop = AtomicBool::new(false);
            let value = apart(ranks, &stop, || {
                if ranks.rank() == 1 {
                    thread::sleep(3 * EVERY);
                }
                Ok(ranks.rank())
            });
            let stopped = stop.load(Ordering::Relaxed);
            (value.unwrap(), stopped, ranks.sum_f64(&[1.0]).unwrap())
        });
        assert_eq!(done, [0, 1, 2].map(|rank| (rank, false, vec![3.0])));
    }

    /// The others would work for ever.
    #[test]
    fn one_rank_s_failure_stops_the_others() {
        let done = each_rank(3, |ranks| {
            let stop = AtomicBool::new(false);
            let done = apart(ranks, &stop, || match ranks.rank() {
                1 => Err::<(), _>(Error::line("a.lst", 3, "no such file")),
                _ => {
                    while !stop.load(Ordering::Relaxed) {
                        thread::sleep(Duration::from_millis(1));
                    }
                    Err(Error::invalid("stopped"))
                }
            });
            done.unwrap_err().to_string()
        });
        let other = "rank 1 failed: a.lst:3: no such file";
        assert_eq!(done, [other, "a.lst:3: no such file", other]);
    }

    #[test]
    fn one_process_only_works() {
        let stop = AtomicBool::new(false);
        assert_eq!(apart(&Alone, &stop, || Ok(7)).unwrap(), 7);
        let error = apart(&Alone, &stop, || Err::<(), _>(Error::invalid("no"))).unwrap_err();
        assert_eq!(error.to_string(), "no");
    }
}
