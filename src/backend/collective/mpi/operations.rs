//! What the engine does for all ranks together.

use std::ops::AddAssign;

use ::mpi::collective::{CommunicatorCollectives, Root};
use ::mpi::datatype::PartitionMut;
use ::mpi::request::scope;
use ::mpi::traits::{Communicator, Equivalence};

use super::engine::{Answer, Engine};

/// Values that are summed at one time: 4 MiB of f32. It bounds the memory that a sum needs.
const PIECE: usize = 1 << 20;
/// Bytes of a broadcast that go out at one time. MPI counts in i32.
const CHUNK: usize = 1 << 30;

impl Engine {
    /// The sum over ranks, in rank order. Each rank gets its chunk of all others' values, sums it,
    /// and gives the sum to all. This sends as much as a ring does, `2 (n - 1) / n` of the values,
    /// but the order is fixed: all ranks get the same bits.
    pub fn sum<T: Equivalence + AddAssign + Copy + Default>(&self, values: &mut [T]) {
        let size = self.size();
        let what = format!("a sum of {} values", values.len());
        for piece in values.chunks_mut(PIECE) {
            let chunk = piece.len().div_ceil(size);
            let mut whole = piece.to_vec();
            whole.resize(chunk * size, T::default());
            let mut parts = vec![T::default(); chunk * size];
            scope(|scope| {
                let (from, to) = (&whole[..], &mut parts[..]);
                self.complete(self.world.immediate_all_to_all_into(scope, from, to), &what);
            });
            let (sum, others) = parts.split_at_mut(chunk);
            for part in others.chunks_exact(chunk) {
                sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += *x);
            }
            scope(|scope| {
                let (from, to) = (&*sum, &mut whole[..]);
                self.complete(self.world.immediate_all_gather_into(scope, from, to), &what);
            });
            piece.copy_from_slice(&whole[..piece.len()]);
        }
    }

    /// The bytes of one rank.
    pub fn broadcast(&self, mut bytes: Vec<u8>, root: usize) -> Vec<u8> {
        let root = self.world.process_at_rank(root as i32);
        let mut length = [bytes.len() as u64];
        scope(|scope| {
            let request = root.immediate_broadcast_into(scope, &mut length[..]);
            self.complete(request, "a broadcast");
        });
        let what = format!("a broadcast of {} bytes", length[0]);
        bytes.resize(length[0] as usize, 0);
        for chunk in bytes.chunks_mut(CHUNK) {
            scope(|scope| {
                self.complete(root.immediate_broadcast_into(scope, chunk), &what);
            });
        }
        bytes
    }

    /// The bytes of all ranks, by rank.
    pub fn gather(&self, bytes: &[u8]) -> Answer<Vec<Vec<u8>>> {
        let own = [bytes.len() as u64];
        let mut lengths = vec![0_u64; self.size()];
        scope(|scope| {
            let request = self.world.immediate_all_gather_into(scope, &own[..], &mut lengths[..]);
            self.complete(request, "a gathering");
        });
        let total: u64 = lengths.iter().sum();
        if total > i32::MAX as u64 {
            return Err(format!("{total} bytes of all ranks are more than MPI can gather"));
        }
        if total == 0 {
            // Open MPI takes no gathering of nothing at all.
            return Ok(vec![Vec::new(); lengths.len()]);
        }
        let counts: Vec<i32> = lengths.iter().map(|length| *length as i32).collect();
        let starts: Vec<i32> = (0..counts.len()).map(|i| counts[..i].iter().sum()).collect();
        let mut all = vec![0_u8; total as usize];
        let mut parts = PartitionMut::new(&mut all[..], &counts[..], &starts[..]);
        let what = format!("a gathering of {total} bytes");
        scope(|scope| {
            let request = self.world.immediate_all_gather_varcount_into(scope, bytes, &mut parts);
            self.complete(request, &what);
        });
        let mut rest = &all[..];
        let part = |length: &u64| {
            let (part, behind) = rest.split_at(*length as usize);
            rest = behind;
            part.to_vec()
        };
        Ok(lengths.iter().map(part).collect())
    }

    /// The point that all ranks reach before any goes on.
    pub fn barrier(&self) {
        self.complete(self.world.immediate_barrier(), "a barrier");
    }
}
