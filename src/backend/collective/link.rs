//! NCCL over another communicator, in builds that have it.

use std::sync::Arc;

use super::{Communicator, Options};
use crate::error::Result;
#[cfg(not(feature = "nccl"))]
use crate::error::{Error, Remedy};

/// The same ranks, but NCCL takes over their sums of f32 ([`Communicator::begin_sum`]), between
/// GPUs: each rank has its own, GPU `device` of the backend cuda. All ranks call this together.
/// These sums are not in rank order; all ranks get the same bits.
///
/// # Errors
/// On all ranks where it is so on one: a build without NCCL (feature `nccl`), no library of NCCL on
/// the machine, a GPU that does not serve, has no memory left or is another rank's, too; GPUs that
/// do not reach each other within half the limit.
pub fn over_nccl(
    ranks: Arc<dyn Communicator>,
    device: usize,
    options: &Options,
) -> Result<Arc<dyn Communicator>> {
    #[cfg(feature = "nccl")]
    return Ok(Arc::new(super::nccl::Nccl::start(ranks, device, options)?));
    #[cfg(not(feature = "nccl"))]
    {
        let _ = (ranks, device, options);
        Err(absent())
    }
}

/// Version of the NCCL library of this machine: `2.27.3`.
///
/// # Errors
/// A build without NCCL (feature `nccl`), or no library of it.
pub fn nccl_version() -> Result<String> {
    #[cfg(feature = "nccl")]
    return super::nccl::version();
    #[cfg(not(feature = "nccl"))]
    Err(absent())
}

#[cfg(not(feature = "nccl"))]
fn absent() -> Error {
    Error::Backend("NCCL is not in this build".into()).with(Remedy::RebuildWith { feature: "nccl" })
}

#[cfg(all(test, not(feature = "nccl")))]
mod tests {
    use super::*;
    use crate::backend::collective::Alone;

    #[test]
    fn a_build_without_nccl_says_so() {
        let link = over_nccl(Arc::new(Alone), 0, &Options::default());
        for error in [link.unwrap_err(), nccl_version().unwrap_err()] {
            assert_eq!(error.to_string(), "NCCL is not in this build");
            assert_eq!(error.remedy(), Some(&Remedy::RebuildWith { feature: "nccl" }));
        }
    }
}
