//! The communicator that fits how the program was started.

use std::sync::Arc;
use std::time::Duration;

use super::{Alone, Communicator, Launched};
use crate::error::Result;
#[cfg(not(feature = "mpi"))]
use crate::error::{Error, Remedy};

/// What is chosen about the connection between ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// A rank that waits longer than this for another one gives up.
    pub timeout: Duration,
}

impl Default for Options {
    /// Five minutes.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(300) }
    }
}

/// Connects this process with the others that the same launcher has started; without a launcher it
/// is alone. All ranks call it once.
///
/// # Errors
/// One of several ranks in a build without MPI; an MPI that does not see the launcher's ranks; a
/// rank that does not come within the limit.
pub fn connect(options: &Options) -> Result<Arc<dyn Communicator>> {
    match Launched::from_environment().filter(Launched::has_others) {
        None => Ok(Arc::new(Alone)),
        Some(launched) => join(&launched, options),
    }
}

/// Name and version of the MPI library that this build uses; none in a build without MPI.
pub fn mpi_library() -> Option<String> {
    #[cfg(feature = "mpi")]
    return Some(super::mpi::library());
    #[cfg(not(feature = "mpi"))]
    None
}

#[cfg(feature = "mpi")]
fn join(launched: &Launched, options: &Options) -> Result<Arc<dyn Communicator>> {
    Ok(Arc::new(super::Mpi::start(launched, options)?))
}

#[cfg(not(feature = "mpi"))]
fn join(launched: &Launched, _: &Options) -> Result<Arc<dyn Communicator>> {
    // Alone, each of them would write the same files.
    let error = Error::Backend(format!("started as {launched}, and this build has no MPI"));
    Err(error.with(Remedy::RebuildWith { feature: "mpi" }))
}

#[cfg(all(test, not(feature = "mpi")))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_mpi_is_no_rank() {
        let launched = Launched { rank: 1, size: Some(4), local_rank: None };
        let error = join(&launched, &Options::default()).unwrap_err();
        assert_eq!(error.to_string(), "started as rank 1 of 4, and this build has no MPI");
        assert_eq!(error.remedy(), Some(&Remedy::RebuildWith { feature: "mpi" }));
    }
}
