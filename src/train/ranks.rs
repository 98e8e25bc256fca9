//! A training of several ranks: processes that train the same model together.
//!
//! Every batch is divided among ranks, then devices, then turns. Gradients, loss and accuracy are
//! summed in rank order, so that all ranks take the same step: weights and optimizer states stay
//! equal to the bit. If the recipe says so, ranks divide the states among them (`shards`). Rank 0
//! writes, logs and tests. What ends one rank ends all, at the same step.
//!
//! All ranks must see the folder of the run and the data under the same paths.

mod alike;
mod first;
mod shards;

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub(super) use self::alike::{RECIPE, alike, digest};
pub(super) use self::first::by_first;
pub(super) use self::shards::Shards;
use super::RunOptions;
use crate::backend::collective::{Communicator, agree};
use crate::error::{Error, Result};

/// How often a rank looks for a folder that rank 0 has made, and the pause after each look. A
/// shared file system may show it late.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Whether this rank writes, logs and tests.
pub(super) fn is_first(ranks: &dyn Communicator) -> bool {
    ranks.rank() == 0
}

/// Whether there is one rank only.
pub(super) fn is_alone(ranks: &dyn Communicator) -> bool {
    ranks.size() == 1
}

/// The end of a stretch of work that each rank did by itself. It ends well if it did on all ranks.
/// Says whether any rank wants to stop.
///
/// # Errors
/// The error of any rank.
pub(super) fn meet(ranks: &dyn Communicator, done: Result<()>, stop: bool) -> Result<bool> {
    let told = [done.is_err(), stop].map(|flag| f64::from(u8::from(flag)));
    let counted = ranks.sum_f64(&told)?;
    if counted[0] > 0.0 {
        agree(ranks, done)?;
    }
    Ok(counted[1] > 0.0)
}

/// Numbers of rank 0 on all ranks. The others give as many of any value.
///
/// # Errors
/// Those of [`Communicator::sum_f64`].
pub(super) fn of_first<const N: usize>(
    ranks: &dyn Communicator,
    numbers: [f64; N],
) -> Result<[f64; N]> {
    let ours = if is_first(ranks) { numbers } else { [0.0; N] };
    let sums = ranks.sum_f64(&ours)?;
    let mut all = [0.0; N];
    all.copy_from_slice(&sums);
    Ok(all)
}

impl RunOptions {
    /// The options of this rank: only the first one shows anything.
    #[must_use]
    pub(super) fn of_rank(&self) -> Self {
        if is_first(&*self.ranks) {
            return self.clone();
        }
        Self {
            quiet: true,
            dashboard: false,
            warn: Arc::new(|_: &str| ()),
            note: Arc::new(|_: &str| ()),
            ..self.clone()
        }
    }
}

/// Refuses a folder that this rank does not see.
///
/// # Errors
/// The folder is not there.
pub(super) fn check_seen(folder: &Path) -> Result<()> {
    for _ in 0..LOOKS {
        if folder.is_dir() {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    let message = "is not there: every rank has to see the folder of the run, as on a file system \
                   that all machines share";
    Err(Error::file(folder, message))
}

#[cfg(test)]
mod tests;
