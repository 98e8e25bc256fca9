//! The weights' gradient: which kernel sums it, and over which parts of the positions.

use burn::tensor::DType;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::direct::direct_weight_kernel;
use super::reduce::{sum_kernel, weight_kernel};
use super::weights::{Tile, cores_weight_kernel};
use super::{cores, dims, group, sizes};
use crate::backend::convolution::{Splits, Window};
use crate::backend::gpu::{self, MOST_CUBES, UNITS, cubes, elem};

/// See `ConvolutionOps::convolve_weight_gradient`.
pub(in crate::backend::convolution) fn weight_gradient(
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
    match cores::factor(&x).filter(|_| Tile::takes(kernel)) {
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
    let tile = Tile::of(output, taps, factor);
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
