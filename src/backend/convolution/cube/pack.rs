//! Weights in the order in which tiles read them.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::backend::gpu::UNITS;

/// `[output, input, taps]` to `[taps, write, read]`; backwards, the input's channels are written.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
pub(super) fn pack_kernel<F: Float>(
    weight: &[F],
    packed: &mut [F],
    read: u32,
    write: u32,
    taps: u32,
    count: u32,
    #[comptime] backward: bool,
    #[define(F)] _dtype: ElemType,
) {
    let step = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let from = i % read;
        let line = i / read;
        let to = line % write;
        let tap = line / write;
        let mut at = (to * read + from) * taps + tap;
        if comptime![backward] {
            at = (from * write + to) * taps + tap;
        }
        packed[i as usize] = weight[at as usize];
        i += step;
    }
}
