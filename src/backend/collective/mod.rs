//! What ranks of a training say to each other: sums, broadcasts, meeting points.
//!
//! A rank is one process of several that train the same model. They stand on the engines that
//! clusters have. A transport of our own does not exist.
//!
//! | body | ranks |
//! |---|---|
//! | [`Alone`] | one process |
//! | `mpi` (feature `mpi`) | processes of `mpirun` or `srun`, through the system's MPI |
//! | `nccl` (feature `nccl`) | the same with sums on NVIDIA GPUs |
//!
//! Sums are taken in rank order, element by element: `((r0 + r1) + r2) + ...`. So they are equal to
//! the bit on all ranks, in all runs, and whatever the number of chunks.

use std::fmt::Debug;

use crate::error::Result;

mod alone;

pub use alone::Alone;

/// One rank's end of the connection between all ranks. All ranks call the same methods in the same
/// order. One that waits longer than the communicator's limit gets an error that names the ranks
/// that did not come; the process cannot use the communicator after that.
pub trait Communicator: Debug + Send + Sync {
    /// This rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Begins the sum over ranks of values that are as many on each. Sums that are under way end in
    /// the order in which they began.
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
}

/// A sum that is under way.
pub trait Summing: Send {
    /// Waits for the sum.
    ///
    /// # Errors
    /// Those of [`Communicator::sum_f64`].
    fn wait(self: Box<Self>) -> Result<Vec<f32>>;
}
