//! What carries the sums of a training of several processes.

use std::sync::Arc;

use super::devices_of;
use crate::backend::BackendKind;
use crate::backend::collective::{Communicator, Options, over_nccl};
use crate::cli::Global;
use crate::error::{Error, Result};

/// What sums gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Link {
    /// MPI, in the order of the ranks.
    Mpi,
    /// NVIDIA's NCCL, between GPUs, in an order of its own.
    Nccl,
}

/// The ranks with the link that was chosen. `devices` are those of `--devices`.
///
/// # Errors
/// Ranks with different links; NCCL with another backend than cuda; those of [`over_nccl`].
pub(super) fn linked(
    link: Link,
    ranks: &Arc<dyn Communicator>,
    devices: &[usize],
    global: &Global,
    options: &Options,
) -> Result<Arc<dyn Communicator>> {
    check_alike(&**ranks, link)?;
    if link == Link::Mpi {
        return Ok(ranks.clone());
    }
    if cfg!(feature = "nccl") && global.backend != BackendKind::Cuda {
        return Err(Error::Invalid(format!(
            "--link nccl sums on NVIDIA GPUs: it wants --backend cuda, not {}",
            global.backend.name()
        )));
    }
    let device = devices_of(devices, &**ranks)?.first().copied().unwrap_or(global.device);
    over_nccl(ranks.clone(), device, options)
}

/// Ranks with different links would wait for each other.
fn check_alike(ranks: &dyn Communicator, link: Link) -> Result<()> {
    let all = ranks.gather(vec![u8::from(link == Link::Nccl)])?;
    match all.iter().position(|other| *other != all[0]) {
        None => Ok(()),
        Some(rank) => Err(Error::Invalid(format!(
            "{} has another --link than {}",
            ranks.name(rank),
            ranks.name(0)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::collective::threads::each_rank;

    #[test]
    fn ranks_with_different_links_are_named() {
        let told = each_rank(3, |comm| {
            let link = if comm.rank() == 1 { Link::Nccl } else { Link::Mpi };
            check_alike(comm, link).unwrap_err().to_string()
        });
        assert_eq!(told, ["rank 1 has another --link than rank 0"; 3]);
        each_rank(2, |comm| check_alike(comm, Link::Nccl).unwrap());
    }
}
