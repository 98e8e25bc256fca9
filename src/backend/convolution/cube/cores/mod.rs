//! Dense convolutions on tensor cores: the same products in tiles, in f16, bf16 or TF32, summed in
//! f32. Weights come packed by tap, so a tile's inner axis runs over the channels of one tap, and
//! what a unit gathers differs from one value to the next by a plane alone.

mod gather;
mod pack;
mod product;
mod weights;

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;

use self::gather::cores_gather_kernel;
use self::pack::pack_kernel;
use self::product::{EDGE, PLANE};
use self::weights::cores_weight_kernel;
use super::super::tf32_allowed;
use super::{Splits, Window, dims, sizes};
use crate::backend::gpu::{self, MOST_CUBES, UNITS, cubes, elem};

/// Taps at most of a kernel whose weights' gradient is summed here: a plane for each, and the
/// shared memory that they need.
const MOST_TAPS: usize = 10;

/// A type that tensor cores multiply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factor {
    elem: ElemType,
    /// Steps of the inner axis in one instruction.
    inner: u32,
    /// Values in 16 bytes: what is added to lines of shared memory.
    pad: u32,
    /// Steps of the inner axis in shared memory.
    depth: u32,
}

/// The type in which tensor cores multiply tensors like this one, on CUDA: its own 16 bits, or TF32
/// for f32 where that is allowed. Turing has f16 alone.
pub(super) fn factor(x: &CubeTensor) -> Option<Factor> {
    let (kind, inner, pad, depth) = match x.dtype {
        DType::F16 => (FloatKind::F16, 16, 8, 32),
        DType::BF16 => (FloatKind::BF16, 16, 8, 32),
        DType::F32 if tf32_allowed() => (FloatKind::TF32, 8, 4, 16),
        _ => return None,
    };
    let elem = ElemType::Float(kind);
    let sums = ElemType::Float(FloatKind::F32);
    let has = x.client.properties().features.matmul.cmma.iter().any(|c| {
        let types = [c.a_type, c.b_type, c.cd_type] == [elem, elem, sums];
        types && [c.m, c.n, c.k] == [EDGE, EDGE, inner]
    });
    let here = matches!(x.device, CubeDevice::Cuda(_)) && has;
    here.then_some(Factor { elem, inner, pad, depth })
}

/// Weights `[output, input, rows, columns]` in the order `[tap, channel written, channel read]`.
fn packed(weight: CubeTensor, backward: bool) -> CubeTensor {
    let weight = gpu::contiguous(weight);
    let [output, input, rows, columns] = dims(&weight);
    let [write, read] = if backward { [input, output] } else { [output, input] };
    let count = weight.shape().num_elements();
    let order = gpu::empty(&weight, [rows * columns, write, read], weight.dtype);
    pack_kernel::launch(
        &weight.client.clone(),
        cubes(count),
        CubeDim::new_1d(UNITS),
        weight.clone().into_buffer_arg(),
        order.clone().into_buffer_arg(),
        read as u32,
        write as u32,
        (rows * columns) as u32,
        count as u32,
        backward,
        elem(weight.dtype),
    );
    order
}

/// Output, or (`backward`) the input's gradient, of these sizes.
pub(super) fn gather(
    read: CubeTensor,
    weight: CubeTensor,
    write: [usize; 4],
    window: Window,
    backward: bool,
    factor: Factor,
) -> CubeTensor {
    let [_, _, kernel_mels, kernel_frames] = dims(&weight).map(|n| n as u32);
    let (read, weight) = (gpu::contiguous(read), packed(weight, backward));
    let y = gpu::empty(&read, write, read.dtype);
    let [batch, channels, mels, frames] = write;
    let tile = gather::Tile::of(channels, factor);
    // Positions whose frames leave the same remainder are reached by the same taps.
    let classes = if backward { window.stride } else { [1, 1] };
    let positions = batch * mels.div_ceil(classes[0]) * frames.div_ceil(classes[1]);
    let across = positions.div_ceil(tile.columns() as usize).clamp(1, MOST_CUBES);
    cores_gather_kernel::launch(
        &read.client.clone(),
        CubeCount::Static(
            across as u32,
            channels.div_ceil(tile.rows() as usize) as u32,
            (classes[0] * classes[1]) as u32,
        ),
        CubeDim::new_1d(UNITS),
        read.clone().into_buffer_arg(),
        weight.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        sizes(dims(&read), write, window),
        tile,
        kernel_mels,
        kernel_frames,
        backward,
        backward && window.stride != [1, 1],
        window.dilation != [1, 1],
        elem(read.dtype),
        factor.elem,
    );
    y
}

/// Whether the weights' gradient of a kernel of this size is summed here.
pub(super) fn sums_weights(kernel: [usize; 2]) -> bool {
    kernel[0] * kernel[1] <= MOST_TAPS
}

/// Sums of the weights' gradient over parts of the positions, into `[parts, output, input * taps]`.
pub(super) fn weight_parts(
    x: &CubeTensor,
    dy: &CubeTensor,
    parts: &CubeTensor,
    kernel: [usize; 2],
    window: Window,
    splits: Splits,
    factor: Factor,
) {
    let ([_, input, ..], [_, output, ..]) = (dims(x), dims(dy));
    let taps = (kernel[0] * kernel[1]) as u32;
    let tile = weights::Tile::of(output, taps, factor);
    cores_weight_kernel::launch(
        &x.client.clone(),
        CubeCount::Static(
            input.div_ceil(tile.channels() as usize) as u32,
            output.div_ceil(tile.rows() as usize) as u32,
            splits.count as u32,
        ),
        CubeDim::new_1d(tile.planes() * PLANE),
        x.clone().into_buffer_arg(),
        dy.clone().into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        sizes(dims(x), dims(dy), window),
        splits.chunk as u32,
        tile,
        kernel[0] as u32,
        kernel[1] as u32,
        elem(x.dtype),
        factor.elem,
    );
}
