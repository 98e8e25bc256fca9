//! Work that rank 0 does alone while the others wait.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::{is_alone, is_first};
use crate::backend::collective::{Communicator, agree};
use crate::error::{Error, Result};

/// How often the others learn that the work goes on. It is far below any limit on waiting.
const EVERY: Duration = Duration::from_millis(200);

/// What rank 0 says of its work.
const GOES_ON: u8 = 1;
const IS_DONE: u8 = 0;

/// Work of rank 0, however long it takes: the others hear every few seconds that it goes on, so
/// that their limit is on silence, not on the work. The others get nothing.
///
/// # Errors
/// The work's, on all ranks.
pub(in crate::train) fn by_first<T>(
    ranks: &dyn Communicator,
    work: impl FnOnce() -> Result<T>,
) -> Result<Option<T>> {
    by_first_every(ranks, EVERY, work)
}

/// [`by_first`] with another interval.
pub(super) fn by_first_every<T>(
    ranks: &dyn Communicator,
    every: Duration,
    work: impl FnOnce() -> Result<T>,
) -> Result<Option<T>> {
    if is_alone(ranks) {
        return work().map(Some);
    }
    if !is_first(ranks) {
        while ranks.broadcast(Vec::new(), 0)? == [GOES_ON] {}
        return agree(ranks, Ok(None));
    }
    // The work stays on this thread: GPUs have memory and queues for each thread.
    let (working, ended) = bounded::<()>(0);
    let (done, told) = thread::scope(|scope| {
        let teller = scope.spawn(move || tell(ranks, every, &ended));
        let done = work();
        drop(working);
        let failed = |_| Err(Error::Training("the thread that tells the others failed".into()));
        (done, teller.join().unwrap_or_else(failed))
    });
    told?;
    agree(ranks, done).map(Some)
}

/// Tells the other ranks that the work goes on, until its end.
fn tell(ranks: &dyn Communicator, every: Duration, ended: &Receiver<()>) -> Result<()> {
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(every) {
        ranks.broadcast(vec![GOES_ON], 0)?;
    }
    ranks.broadcast(vec![IS_DONE], 0).map(drop)
}
