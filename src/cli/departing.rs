//! The end of a process among several that a launcher has started.

use std::sync::{Arc, OnceLock};

use crate::backend::collective::{Communicator, end};
use crate::error::Result;

/// The connection of a rank that ends with an error which nobody has read yet.
static FAILED: OnceLock<Arc<dyn Communicator>> = OnceLock::new();

/// Ends a rank's work. After an error, [`depart`] ends the connection.
///
/// # Errors
/// Those of [`end`].
pub(super) fn end_work<T>(ranks: Arc<dyn Communicator>, result: Result<T>) -> Result<T> {
    let result = end(&*ranks, result);
    if result.is_err() {
        let _ = FAILED.set(ranks);
    }
    result
}

/// Waits until other ranks have printed their errors too: the launcher ends all with the first one.
pub(super) fn depart() {
    if let Some(ranks) = FAILED.get() {
        ranks.depart();
    }
}
