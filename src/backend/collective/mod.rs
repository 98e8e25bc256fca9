//! What ranks of a training say to each other: sums, broadcasts, meeting points.
//!
//! A rank is one process of several that train the same model. They stand on the engines that
//! clusters have. A transport of our own does not exist.
//!
//! | body | ranks |
//! |---|---|
//! | [`Alone`] | one process |
//! | `mpi` (feature `mpi`) | processes of `mpirun` or `srun`, through the system's MPI |
//! | `nccl` (feature `nccl`) | the same; NVIDIA's NCCL takes over sums of f32 |
//!
//! Sums are taken in rank order, element by element: `((r0 + r1) + r2) + ...`. So they are equal to
//! the bit on all ranks, in all runs, and whatever the number of chunks. NCCL's sums of f32 are
//! equal on all ranks, in an order of its own.
//!
//! [`connect`] finds the body that fits how the program was started, [`over_nccl`] puts NCCL over
//! it, [`end`] takes leave. [`agree`] makes one rank's error that of all, [`apart()`] waits for
//! work that each does by itself. [`Buckets`] sum gradients, and [`Sending`] begins that while the
//! backward pass goes on.

use std::fmt::Debug;

use crate::error::Result;

mod alone;
mod apart;
mod buckets;
mod connect;
mod ending;
mod launched;
mod link;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;
#[cfg(test)]
pub(crate) mod threads;

#[cfg(feature = "mpi")]
pub use self::mpi::Mpi;
#[cfg(feature = "nccl")]
pub use self::nccl::Nccl;
pub use alone::Alone;
pub use apart::apart;
pub use buckets::{Buckets, Sending};
pub use connect::{Options, connect, mpi_library};
pub use ending::{agree, end};
pub use launched::Launched;
pub use link::{nccl_version, over_nccl};

/// One rank's end of the connection between all ranks. All ranks call the same methods in the same
/// order. One that waits longer than the communicator's limit gets an error that names the ranks
/// that did not come; the process cannot use the communicator after that.
pub trait Communicator: Debug + Send + Sync {
    /// This rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Begins the sum over ranks of values that are as many on each. Sums that are under way end in
    /// the order in which they began. In rank order, except by NCCL.
    fn begin_sum(&self, values: Vec<f32>) -> Box<dyn Summing>;

    /// The sum over ranks of values that are as many on each, in rank order.
    ///
    /// # Errors
    /// A rank that did not come within the limit, or another fault of the connection.
    fn sum_f64(&self, values: &[f64]) -> Result<Vec<f64>>;

    /// The bytes of rank `root`, on all ranks. The others give nothing.
    ///
    /// # Errors
    /// Those of [`Communicator::sum_f64`].
    fn broadcast(&self, bytes: Vec<u8>, root: usize) -> Result<Vec<u8>>;

    /// The bytes of all ranks, in their order, on all ranks. They may differ in length.
    ///
    /// # Errors
    /// Those of [`Communicator::sum_f64`].
    fn gather(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>>;

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// Those of [`Communicator::sum_f64`].
    fn barrier(&self) -> Result<()>;

    /// This rank among those of its machine, from 0: the number of its device.
    fn local_rank(&self) -> usize {
        0
    }

    /// A rank in words: `rank 1`, with its machine where that is known.
    fn name(&self, rank: usize) -> String {
        format!("rank {rank}")
    }

    /// Takes leave of the other ranks when all is well, and waits for their leave. The communicator
    /// cannot be used after that.
    ///
    /// # Errors
    /// Those of [`Communicator::sum_f64`].
    fn finish(&self) -> Result<()> {
        Ok(())
    }

    /// Tells the other ranks why this one ends. Those that wait for it get an error with these
    /// words at once, the others when they next wait. It comes back when all have heard, or after
    /// the limit. The communicator cannot be used after that.
    fn fail(&self, _words: &str) {}

    /// The last call of a rank that ends with an error, once its user has read it. The launcher
    /// ends all ranks with the first one, so this waits until the others have said why they end.
    /// It waits for a few seconds at most.
    fn depart(&self) {}
}

/// A sum that is under way.
pub trait Summing: Send {
    /// Waits for the sum.
    ///
    /// # Errors
    /// Those of [`Communicator::sum_f64`].
    fn wait(self: Box<Self>) -> Result<Vec<f32>>;
}
