//! Convolution on GPUs as matrix products in tiles. What a tile reads of the input is gathered into
//! shared memory, so no columns are written anywhere. Sums are f32 whatever the tensors' type.
//!
//! Tensors are row-major `[batch, channels, mels, frames]`: neighbouring units read neighbouring
//! frames, and no copy in another order is made. Where CUDA's tensor cores have the type, they
//! multiply the tiles ([`cores`]). Grouped convolutions are summed value by value.

mod cores;
mod direct;
mod gather;
mod gradient;
mod pack;
mod reduce;
mod tile;
mod weights;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use self::direct::{GroupLaunch, direct_kernel};
use self::gather::gather_kernel;
pub(super) use self::gradient::weight_gradient;
use self::pack::pack_kernel;
use self::tile::Tile;
use super::Window;
use crate::backend::gpu::{self, MOST_CUBES, UNITS, cubes, elem};

/// Sizes of a convolution.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Sizes {
    batch: u32,
    /// Of the tensor that is read.
    read_channels: u32,
    read_mels: u32,
    read_frames: u32,
    /// Of the tensor that is written, or of the output's gradient.
    write_channels: u32,
    write_mels: u32,
    write_frames: u32,
    stride_mels: u32,
    stride_frames: u32,
    pad_mels: u32,
    pad_frames: u32,
    /// Distance between taps.
    dilation_mels: u32,
    dilation_frames: u32,
}

fn sizes(read: [usize; 4], write: [usize; 4], window: Window) -> SizesLaunch {
    let [batch, read_channels, read_mels, read_frames] = read.map(|n| n as u32);
    let [_, write_channels, write_mels, write_frames] = write.map(|n| n as u32);
    let [stride_mels, stride_frames] = window.stride.map(|n| n as u32);
    let [pad_mels, pad_frames] = window.padding.map(|n| n as u32);
    let [dilation_mels, dilation_frames] = window.dilation.map(|n| n as u32);
    SizesLaunch::new(
        batch,
        read_channels,
        read_mels,
        read_frames,
        write_channels,
        write_mels,
        write_frames,
        stride_mels,
        stride_frames,
        pad_mels,
        pad_frames,
        dilation_mels,
        dilation_frames,
    )
}

fn dims(x: &CubeTensor) -> [usize; 4] {
    x.shape().dims()
}

/// See [`super::ConvolutionOps::convolve`].
pub(super) fn convolve(x: CubeTensor, weight: CubeTensor, window: Window) -> CubeTensor {
    let ([batch, _, mels, frames], [output, _, rows, columns]) = (dims(&x), dims(&weight));
    let [mels, frames] = window.output([mels, frames], [rows, columns]);
    let write = [batch, output, mels, frames];
    match window.groups {
        1 => gather(x, weight, write, window, false),
        _ => direct(x, weight, write, window, false),
    }
}

/// See [`super::ConvolutionOps::convolve_input_gradient`].
pub(super) fn input_gradient(
    weight: CubeTensor,
    dy: CubeTensor,
    shape: Shape,
    window: Window,
) -> CubeTensor {
    // Taps that are further apart than one do not fall into classes of one stride.
    let gathers = window.stride == [1, 1] || window.dilation == [1, 1];
    match window.groups == 1 && gathers {
        true => gather(dy, weight, shape.dims(), window, true),
        false => direct(dy, weight, shape.dims(), window, true),
    }
}

fn gather(
    read: CubeTensor,
    weight: CubeTensor,
    write: [usize; 4],
    window: Window,
    backward: bool,
) -> CubeTensor {
    let [_, _, kernel_mels, kernel_frames] = dims(&weight).map(|n| n as u32);
    let (read, weight) = (gpu::contiguous(read), packed(weight, backward));
    let y = gpu::empty(&read, write, read.dtype);
    let [batch, channels, mels, frames] = write;
    let factor = cores::factor(&read);
    let tile = Tile::of(channels, factor);
    // Positions whose frames leave the same remainder are reached by the same taps.
    let classes = if backward { window.stride } else { [1, 1] };
    let positions = batch * mels.div_ceil(classes[0]) * frames.div_ceil(classes[1]);
    let across = positions.div_ceil(tile.columns as usize).clamp(1, MOST_CUBES);
    gather_kernel::launch(
        &read.client.clone(),
        CubeCount::Static(
            across as u32,
            channels.div_ceil(tile.rows as usize) as u32,
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
        factor.map_or(elem(DType::F32), |factor| factor.elem),
    );
    y
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

/// Output or input gradient of a convolution of any kind.
fn direct(
    read: CubeTensor,
    weight: CubeTensor,
    write: [usize; 4],
    window: Window,
    backward: bool,
) -> CubeTensor {
    let (read, weight) = (gpu::contiguous(read), gpu::contiguous(weight));
    let y = gpu::empty(&read, write, read.dtype);
    let [_, _, rows, columns] = dims(&weight);
    let count = write.iter().product::<usize>();
    direct_kernel::launch(
        &read.client.clone(),
        cubes(count),
        CubeDim::new_1d(UNITS),
        read.clone().into_buffer_arg(),
        weight.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        sizes(dims(&read), write, window),
        group([dims(&read)[1], write[1]], [rows, columns], window),
        count as u32,
        backward,
        elem(read.dtype),
    );
    y
}

/// A group of a convolution that reads and writes so many channels.
fn group([read, write]: [usize; 2], [rows, columns]: [usize; 2], window: Window) -> GroupLaunch {
    let [read, write, rows, columns] =
        [read / window.groups, write / window.groups, rows, columns].map(|n| n as u32);
    GroupLaunch::new(read, write, rows, columns)
}
