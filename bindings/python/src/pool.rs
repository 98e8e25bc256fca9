//! The threads that compute.
//!
//! Rayon's own pool does not outlive a fork: a child of `multiprocessing` or of a data loader would
//! wait for ever for threads that only its parent has. So there is a pool here, and a child makes
//! its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

static POOL: Mutex<Option<Arc<ThreadPool>>> = Mutex::new(None);

/// How often the caller's thread looks whether the user has interrupted it.
const LOOK: Duration = Duration::from_millis(200);

/// Runs work on the pool, without Python's lock. `RAYON_NUM_THREADS` limits its threads. When the
/// user interrupts it, work finds the flag raised, and this raises `KeyboardInterrupt` when it has
/// ended.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&AtomicBool) -> T + Send,
) -> PyResult<T> {
    py.detach(|| {
        let (pool, stop, mut interrupt) = (pool()?, AtomicBool::new(false), None);
        let (sender, receiver) = mpsc::channel();
        let done = pool.in_place_scope(|scope| {
            let stop = &stop;
            scope.spawn(move |_| drop(sender.send(work(stop))));
            loop {
                match receiver.recv_timeout(LOOK) {
                    Ok(done) => return Some(done),
                    // The scope goes on with the panic.
                    Err(RecvTimeoutError::Disconnected) => return None,
                    // Python heeds signals in its main thread only, which is none of the pool.
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(e) = Python::attach(|py| py.check_signals()) {
                            stop.store(true, Ordering::Relaxed);
                            interrupt = Some(e);
                        }
                    }
                }
            }
        });
        match interrupt {
            Some(interrupt) => Err(interrupt),
            None => done.ok_or_else(|| PyRuntimeError::new_err("the work was lost")),
        }
    })
}

fn pool() -> PyResult<Arc<ThreadPool>> {
    let mut held = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = &*held {
        return Ok(pool.clone());
    }
    let name = |i: usize| format!("revox-{i}");
    let made = ThreadPoolBuilder::new().thread_name(name).build();
    let pool = Arc::new(made.map_err(|e| PyRuntimeError::new_err(format!("no threads: {e}")))?);
    *held = Some(pool.clone());
    Ok(pool)
}

/// Forgets the threads. To be called in a child process after a fork, where they are not.
#[pyfunction]
pub(crate) fn forked() {
    let parents = POOL.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Its end would wait for its threads.
    std::mem::forget(parents);
}
