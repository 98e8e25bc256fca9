//! Many tensors in one launch: each cube works on a piece of one of them.
//!
//! A kernel takes lists of buffers. How many there are is known when it is compiled; how large they
//! are is not, so that groups of as many tensors share a kernel. Cubes find their tensor by the
//! number of its first cube.

use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::backend::gpu::MOST_CUBES;

/// Buffers of a launch at most. Their addresses and sizes are arguments of a kernel, for which a
/// CUDA device may have no more than 4 KiB.
const MOST_BUFFERS: usize = 128;

/// The factor of a step's gradients: the gate's value, or `factor` where there is no gate.
#[cube]
pub(super) fn opening(gate: &Sequence<Box<[f32]>>, factor: f32) -> f32 {
    let gates = comptime![gate.len()];
    let mut open = factor;
    #[unroll]
    for k in 0..gates {
        open = gate[k][0];
    }
    open
}

/// How many tensors of `buffers` each a launch can take, beside `others`.
pub(super) fn room(client: &Client, buffers: usize, others: usize) -> usize {
    let bindings = client.properties().hardware.max_bindings as usize;
    // Sizes and numbers are in a buffer too.
    bindings.min(MOST_BUFFERS).saturating_sub(others + 1) / buffers
}

/// The size of groups of `count` things: as few groups as possible with `most` in each, and all
/// about equal, because each size of a group has a kernel of its own.
pub(super) fn even(count: usize, most: usize) -> usize {
    count.div_ceil(count.div_ceil(most.max(1)).max(1)).max(1)
}

/// How many values a cube takes, `least` or more, so that there are not too many cubes for tensors
/// of these sizes.
pub(super) fn chunk(counts: impl Iterator<Item = usize>, least: usize) -> usize {
    let all: usize = counts.sum();
    least * all.div_ceil(least * MOST_CUBES / 2).max(1)
}

/// Which cubes work on which tensor.
pub(super) struct Spread {
    /// Values of each tensor.
    counts: Vec<u32>,
    /// The first cube of each tensor, and how many there are in all.
    starts: Vec<u32>,
}

impl Spread {
    /// Tensors of these sizes, in pieces of `chunk` values.
    pub fn new(counts: impl Iterator<Item = usize>, chunk: usize) -> Self {
        let counts: Vec<u32> = counts.map(|count| count as u32).collect();
        let mut next = 0;
        let cubes = counts.iter().map(|count| {
            next += count.div_ceil(chunk as u32);
            next
        });
        let starts = std::iter::once(0).chain(cubes).collect();
        Self { counts, starts }
    }

    /// Pieces of all tensors.
    pub fn all(&self) -> u32 {
        self.starts.last().copied().unwrap_or(0)
    }

    pub fn counts(&self) -> SequenceArg<u32> {
        self.counts.iter().copied().collect()
    }

    pub fn starts(&self) -> SequenceArg<u32> {
        self.starts.iter().copied().collect()
    }
}

/// The buffers of tensors as a kernel's argument.
pub(super) fn buffers<'a, T>(tensors: impl IntoIterator<Item = &'a CubeTensor>) -> SequenceArg<T>
where
    T: LaunchArg<RuntimeArg = BufferArg>,
{
    tensors.into_iter().map(|x| x.clone().into_buffer_arg()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_few_and_even() {
        assert_eq!(
            [(75, 32), (64, 32), (1, 32), (0, 8), (9, 8)].map(|(n, most)| even(n, most)),
            [25, 32, 1, 1, 5]
        );
    }

    #[test]
    fn cubes_are_not_too_many() {
        assert_eq!(chunk([5, 4096].into_iter(), 4096), 4096);
        let huge = 1 << 31;
        let chunk = chunk([huge, 1].into_iter(), 4096);
        let spread = Spread::new([huge, 1].into_iter(), chunk);
        assert!(spread.all() as usize <= MOST_CUBES && chunk.is_multiple_of(4096), "{chunk}");
        assert_eq!(spread.starts[1] + 1, spread.all());
    }
}
