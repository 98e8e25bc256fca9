//! Values that are not finite: counted in all gradients together, and the gate that follows.

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::group::{self, Spread, buffers};
use crate::backend::gpu::{self, UNITS, total};
use crate::backend::optim8::plain;

/// Tensors of a launch at most: each has code of its own in the kernel.
const TENSORS: usize = 64;
/// Values of a cube, where there are not very many.
const CHUNK: usize = 1 << 14;

/// Counts what is not finite: floats whose exponent is all ones. The floats are read as their bits,
/// because compilers may take for granted that numbers are finite. Each cube's count goes to its
/// place in `partial`, from `offset` on.
#[cube(launch)]
fn count_odd(
    tensors: &Sequence<Box<[u32]>>,
    partial: &mut [u32],
    counts: &Sequence<u32>,
    starts: &Sequence<u32>,
    chunk: u32,
    offset: u32,
) {
    let all = comptime![tensors.len()];
    let mut scratch = Shared::<[u32]>::new_slice(comptime![UNITS as usize]);
    let mut odd = 0u32;
    #[unroll]
    for k in 0..all {
        let first = starts[k];
        let end = starts[comptime![k + 1]];
        if CUBE_POS_X >= first && CUBE_POS_X < end {
            let begin = (CUBE_POS_X - first) * chunk;
            let count = counts[k];
            let stop = select(begin + chunk < count, begin + chunk, count);
            let mut i = begin + UNIT_POS_X;
            while i < stop {
                let exponent = tensors[k][i as usize] & 0x7f80_0000u32;
                odd += select(exponent == 0x7f80_0000u32, 1u32, 0u32);
                i += UNITS;
            }
        }
    }
    let odd = total::<u32>(odd, &mut scratch, UNITS);
    if UNIT_POS_X == 0 {
        partial[(offset + CUBE_POS_X) as usize] = odd;
    }
}

/// Adds up the partial counts and makes the gate. All of them close it; only the first `counted`,
/// those of gradients, make the count.
#[cube(launch)]
fn set_gate(
    partial: &[u32],
    gate: &mut [f32],
    odd: &mut [f32],
    counted: u32,
    cubes: u32,
    factor: f32,
) {
    let mut scratch = Shared::<[u32]>::new_slice(comptime![UNITS as usize]);
    let mut bad = 0u32;
    let mut any = 0u32;
    let mut i = UNIT_POS_X;
    while i < cubes {
        let here = partial[i as usize];
        any += here;
        if i < counted {
            bad += here;
        }
        i += UNITS;
    }
    let bad = total::<u32>(bad, &mut scratch, UNITS);
    let any = total::<u32>(any, &mut scratch, UNITS);
    if UNIT_POS_X == 0 {
        odd[0] = f32::cast_from(bad);
        gate[0] = select(any == 0u32, factor, 0.0f32);
    }
}

/// See [`crate::backend::optim8::Optim8Ops::gate`].
pub(super) fn gate(
    gradients: Vec<CubeTensor>,
    extra: Vec<CubeTensor>,
    factor: f32,
) -> (CubeTensor, CubeTensor) {
    let Some(first) = gradients.iter().chain(&extra).next().cloned() else {
        panic!("a gate needs a tensor, for its device");
    };
    let client = first.client.clone();
    let room = group::room(&client, 1, 1).min(TENSORS);
    let fits = |x: &CubeTensor| x.dtype == DType::F32 && gpu::floats([x]);
    if room == 0 || !gradients.iter().chain(&extra).all(fits) {
        return plain::gate::<CubeBackend>(gradients, extra, factor);
    }
    let count = |x: &CubeTensor| x.shape().num_elements();
    let [gradients, extra] = [gradients, extra].map(|tensors| {
        let filled = tensors.into_iter().filter(|x| count(x) > 0);
        filled.map(gpu::contiguous).collect::<Vec<_>>()
    });
    let chunk = group::chunk(gradients.iter().chain(&extra).map(count), CHUNK);
    let counted = Spread::new(gradients.iter().map(count), chunk).all();
    let cubes = counted + Spread::new(extra.iter().map(count), chunk).all();
    let partial = gpu::empty(&first, [cubes.max(1) as usize], DType::U32);
    let all: Vec<CubeTensor> = gradients.into_iter().chain(extra).collect();
    let mut offset = 0;
    for group in all.chunks(group::even(all.len(), room)) {
        let spread = Spread::new(group.iter().map(count), chunk);
        count_odd::launch(
            &client,
            CubeCount::Static(spread.all(), 1, 1),
            CubeDim::new_1d(UNITS),
            buffers(group),
            partial.clone().into_buffer_arg(),
            spread.counts(),
            spread.starts(),
            chunk as u32,
            offset,
        );
        offset += spread.all();
    }
    let [gate, odd] = [(); 2].map(|()| gpu::empty(&first, [1], DType::F32));
    set_gate::launch(
        &client,
        CubeCount::Static(1, 1, 1),
        CubeDim::new_1d(UNITS),
        partial.into_buffer_arg(),
        gate.clone().into_buffer_arg(),
        odd.clone().into_buffer_arg(),
        counted,
        cubes,
        factor,
    );
    (gate, odd)
}
