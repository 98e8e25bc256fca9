//! Rows as kernels for GPUs: a cube a row, and sums in f32.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::SHORTEST;
use crate::backend::gpu::{self, MOST_CUBES, elem, total};

/// Units of a cube.
const UNITS: u32 = 64;

#[cube(launch)]
fn unit_kernel<F: Float>(
    x: &[F],
    y: &mut [F],
    rows: u32,
    columns: u32,
    shortest: f32,
    #[define(F)] _dtype: ElemType,
) {
    let mut scratch = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let mut row = CUBE_POS_X;
    while row < rows {
        let start = row * columns;
        let mut own = 0.0f32;
        let mut i = UNIT_POS_X;
        while i < columns {
            let value = f32::cast_from(x[(start + i) as usize]);
            own += value * value;
            i += UNITS;
        }
        let length = f32::max(f32::sqrt(total::<f32>(own, &mut scratch, UNITS)), shortest);
        let mut i = UNIT_POS_X;
        while i < columns {
            let at = (start + i) as usize;
            y[at] = F::cast_from(f32::cast_from(x[at]) / length);
            i += UNITS;
        }
        row += CUBE_COUNT_X;
    }
}

#[cube(launch)]
fn unit_gradient_kernel<F: Float>(
    x: &[F],
    dy: &[F],
    dx: &mut [F],
    rows: u32,
    columns: u32,
    shortest: f32,
    #[define(F)] _dtype: ElemType,
) {
    let mut scratch = Shared::<[f32]>::new_slice(comptime![UNITS as usize]);
    let mut row = CUBE_POS_X;
    while row < rows {
        let start = row * columns;
        let mut squares = 0.0f32;
        let mut products = 0.0f32;
        let mut i = UNIT_POS_X;
        while i < columns {
            let value = f32::cast_from(x[(start + i) as usize]);
            squares += value * value;
            products += value * f32::cast_from(dy[(start + i) as usize]);
            i += UNITS;
        }
        let length = f32::sqrt(total::<f32>(squares, &mut scratch, UNITS));
        let products = total::<f32>(products, &mut scratch, UNITS);
        let divisor = f32::max(length, shortest);
        let along = select(length > shortest, products / (divisor * divisor), 0.0f32);
        let mut i = UNIT_POS_X;
        while i < columns {
            let at = (start + i) as usize;
            let rest = f32::cast_from(dy[at]) - f32::cast_from(x[at]) * along;
            dx[at] = F::cast_from(rest / divisor);
            i += UNITS;
        }
        row += CUBE_COUNT_X;
    }
}

fn launch_size(rows: usize) -> (CubeCount, CubeDim) {
    (CubeCount::Static(rows.clamp(1, MOST_CUBES) as u32, 1, 1), CubeDim::new_1d(UNITS))
}

pub(super) fn unit_rows(x: CubeTensor) -> CubeTensor {
    let x = gpu::contiguous(x);
    let [rows, columns] = x.shape().dims();
    let y = gpu::empty(&x, x.shape(), x.dtype);
    let (count, dim) = launch_size(rows);
    unit_kernel::launch(
        &x.client.clone(),
        count,
        dim,
        x.clone().into_buffer_arg(),
        y.clone().into_buffer_arg(),
        rows as u32,
        columns as u32,
        SHORTEST as f32,
        elem(x.dtype),
    );
    y
}

/// The result lasts: it is the gradient of a head's weights.
pub(super) fn gradient(x: CubeTensor, dy: CubeTensor) -> CubeTensor {
    let (x, dy) = (gpu::contiguous(x), gpu::contiguous(dy));
    let [rows, columns] = x.shape().dims();
    let dx = gpu::lasting(&x, x.shape(), x.dtype);
    let (count, dim) = launch_size(rows);
    unit_gradient_kernel::launch(
        &x.client.clone(),
        count,
        dim,
        x.clone().into_buffer_arg(),
        dy.into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        rows as u32,
        columns as u32,
        SHORTEST as f32,
        elem(x.dtype),
    );
    dx
}
