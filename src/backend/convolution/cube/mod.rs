//! Convolution on GPUs as matrix products in tiles. What a tile reads of the input is gathered into
//! shared memory, so no columns are written anywhere. Sums are f32 whatever the tensors' type.
//!
//! Tensors are row-major `[batch, channels, mels, frames]`: neighbouring units read neighbouring
//! frames, and no copy in another order is made. Where CUDA's tensor cores have the type, they
//! multiply the tiles ([`cores`]). Grouped convolutions are summed value by value.

mod cores;
mod direct;
mod gather;
mod pack;
mod reduce;
mod tile;
mod weights;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use self::direct::{GroupLaunch, direct_kernel, direct_weight_kernel};
use self::gather::gather_kernel;
use self::pack::pack_kernel;
use self::reduce::{sum_kernel, weight_kernel};
use self::tile::Tile;
use self::weights::cores_weight_kernel;
use super::{Splits, Window};
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

/// See [`super::ConvolutionOps::convolve_weight_gradient`].
pub(super) fn weight_gradient(
    x: CubeTensor,
    dy: CubeTensor,
    kernel: [usize; 2],
    window: Window,
) -> CubeTensor {
    let (x, dy) = (gpu::contiguous(x), gpu::contiguous(dy));
    match window.groups {
        1 => dense_weight_gradient(x, dy, kernel, window),
        _ => grouped_weight_gradient(x, dy, kernel, window),
    }
}

fn grouped_weight_gradient(
    x: CubeTensor,
    dy: CubeTensor,
    [rows, columns]: [usize; 2],
    window: Window,
) -> CubeTensor {
    let ([_, input, ..], [_, output, ..]) = (dims(&x), dims(&dy));
    let shape = [output, input / window.groups, rows, columns];
    let count = shape.iter().product::<usize>();
    let dw = gpu::lasting(&x, shape, x.dtype);
    direct_weight_kernel::launch(
        &x.client.clone(),
        CubeCount::Static(count.clamp(1, MOST_CUBES) as u32, 1, 1),
        CubeDim::new_1d(UNITS),
        x.clone().into_buffer_arg(),
        dy.clone().into_buffer_arg(),
        dw.clone().into_buffer_arg(),
        sizes(dims(&x), dims(&dy), window),
        group([input, output], [rows, columns], window),
        count as u32,
        elem(x.dtype),
    );
    dw
}

fn dense_weight_gradient(
    x: CubeTensor,
    dy: CubeTensor,
    kernel: [usize; 2],
    window: Window,
) -> CubeTensor {
    let ([_, input, ..], [_, output, ..]) = (dims(&x), dims(&dy));
    let shape = [output, input, kernel[0], kernel[1]];
    let splits = Splits::of(dims(&x), dims(&dy), kernel);
    let width = input * kernel[0] * kernel[1];
    let direct = splits.count == 1 && x.dtype == DType::F32;
    let dw = gpu::lasting(&x, shape, x.dtype);
    let parts = match direct {
        true => dw.clone(),
        false => gpu::empty(&x, [splits.count, output * width], DType::F32),
    };
    match cores::factor(&x).filter(|_| weights::Tile::takes(kernel)) {
        Some(factor) => weight_parts_on_cores(&x, &dy, &parts, kernel, window, splits, factor),
        None => weight_parts(&x, &dy, &parts, kernel, window, splits),
    }
    if !direct {
        let total = output * width;
        sum_kernel::launch(
            &x.client.clone(),
            cubes(total),
            CubeDim::new_1d(UNITS),
            parts.into_buffer_arg(),
            dw.clone().into_buffer_arg(),
            total as u32,
            splits.count as u32,
            elem(x.dtype),
        );
    }
    dw
}

/// Sums over parts of the positions, into `[parts, output, input * taps]`.
fn weight_parts(
    x: &CubeTensor,
    dy: &CubeTensor,
    parts: &CubeTensor,
    kernel: [usize; 2],
    window: Window,
    Splits { count, rows, columns, chunk }: Splits,
) {
    let ([_, input, ..], [_, output, ..]) = (dims(x), dims(dy));
    weight_kernel::launch(
        &x.client.clone(),
        CubeCount::Static(
            (input * kernel[0] * kernel[1]).div_ceil(columns) as u32,
            output.div_ceil(rows) as u32,
            count as u32,
        ),
        CubeDim::new_1d(UNITS),
        x.clone().into_buffer_arg(),
        dy.clone().into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        sizes(dims(x), dims(dy), window),
        chunk as u32,
        rows as u32,
        columns as u32,
        kernel[0] as u32,
        kernel[1] as u32,
        elem(x.dtype),
    );
}

/// The same on tensor cores.
fn weight_parts_on_cores(
    x: &CubeTensor,
    dy: &CubeTensor,
    parts: &CubeTensor,
    kernel: [usize; 2],
    window: Window,
    splits: Splits,
    factor: cores::Factor,
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
        CubeDim::new_1d(tile.planes() * cores::PLANE),
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
