//! The grid as kernels for GPUs. A result takes the place of an operand that nobody else uses.
//!
//! Backends' own rounding is no help: Vulkan leaves the direction of ties open.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};
use cubecl::prelude::*;

use super::{GridOps, plain};
use crate::backend::gpu::{self, UNITS, cubes, elem};

/// The nearest multiple of `step` to `x`, ties to even; `scale` is `1 / step`, both powers of two.
/// All but the decision is exact. Zeros may have another sign than the plain twin's.
#[cube]
fn nearest(x: f32, scale: f32, step: f32) -> f32 {
    let scaled = x * scale;
    let size = f32::abs(scaled);
    let low = f32::floor(size);
    let rest = size - low;
    let odd = low - 2.0f32 * f32::floor(low * 0.5f32) > 0.5f32;
    let tie = rest == 0.5f32;
    let more = rest > 0.5f32;
    let up = more || (tie && odd);
    let rounded = select(up, low + 1.0f32, low);
    let sign = select(scaled < 0.0f32, f32::new(-1.0f32), f32::new(1.0f32));
    sign * rounded * step
}

#[cube(launch)]
fn snap_kernel<F: Float>(
    x: &[F],
    y: &mut [F],
    count: u32,
    scale: f32,
    step: f32,
    #[define(F)] _dtype: ElemType,
) {
    let stride = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let value = f32::cast_from(x[i as usize]);
        y[i as usize] = F::cast_from(nearest(value, scale, step));
        i += stride;
    }
}

/// `y` is `x` plus `sign` times `change`, which is rounded first if `rounds`.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel takes its buffers one by one")]
fn add_kernel<F: Float>(
    x: &[F],
    change: &[F],
    y: &mut [F],
    count: u32,
    scale: f32,
    step: f32,
    sign: f32,
    #[comptime] rounds: bool,
    #[define(F)] _dtype: ElemType,
) {
    let stride = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let value = f32::cast_from(x[i as usize]);
        let mut other = f32::cast_from(change[i as usize]);
        if comptime![rounds] {
            other = nearest(other, scale, step);
        }
        y[i as usize] = F::cast_from(value + sign * other);
        i += stride;
    }
}

/// Where a result goes, as a tensor and as a kernel's argument: onto the first operand that nobody
/// else uses, or into memory of its own.
fn place(operands: &[&CubeTensor]) -> (CubeTensor, TensorArg) {
    match operands.iter().position(|x| x.can_mut()) {
        Some(number) => (operands[number].clone(), operands[number].as_tensor_alias(number)),
        None => {
            let like = operands[0];
            let fresh = gpu::empty(like, like.shape(), like.dtype);
            (fresh.clone(), fresh.into_tensor_arg())
        }
    }
}

/// `x` plus `sign` times `change`, which is first rounded to multiples of `2^-bits`, if these are
/// given.
fn add(x: CubeTensor, change: CubeTensor, sign: f32, bits: Option<i32>) -> CubeTensor {
    assert_eq!(x.shape(), change.shape(), "a stream and its change have one shape");
    let (x, change) = (gpu::contiguous(x), gpu::contiguous(change));
    let (client, dtype, count) = (x.client.clone(), x.dtype, x.shape().num_elements());
    let (y, to) = place(&[&x, &change]);
    add_kernel::launch(
        &client,
        cubes(count),
        CubeDim::new_1d(UNITS),
        x.into_buffer_arg(),
        change.into_buffer_arg(),
        to.into_buffer_arg(),
        count as u32,
        2f32.powi(bits.unwrap_or(0)),
        2f32.powi(-bits.unwrap_or(0)),
        sign,
        bits.is_some(),
        elem(dtype),
    );
    y
}

impl GridOps for CubeBackend {
    fn snap(x: FloatTensor<Self>, bits: i32) -> FloatTensor<Self> {
        if !gpu::floats([&x]) {
            return plain::snap::<Self>(x, bits);
        }
        let x = gpu::contiguous(x);
        let (client, dtype, count) = (x.client.clone(), x.dtype, x.shape().num_elements());
        let (y, to) = place(&[&x]);
        snap_kernel::launch(
            &client,
            cubes(count),
            CubeDim::new_1d(UNITS),
            x.into_buffer_arg(),
            to.into_buffer_arg(),
            count as u32,
            2f32.powi(bits),
            2f32.powi(-bits),
            elem(dtype),
        );
        y
    }

    fn shift(
        x: FloatTensor<Self>,
        change: FloatTensor<Self>,
        bits: i32,
        back: bool,
    ) -> FloatTensor<Self> {
        match gpu::floats([&x, &change]) {
            true => add(x, change, if back { -1.0 } else { 1.0 }, Some(bits)),
            false => plain::shift::<Self>(x, change, bits, back),
        }
    }

    fn plus(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        match gpu::floats([&x, &y]) {
            true => add(x, y, 1.0, None),
            false => plain::plus::<Self>(x, y),
        }
    }

    fn minus(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        match gpu::floats([&x, &y]) {
            true => add(x, y, -1.0, None),
            false => plain::minus::<Self>(x, y),
        }
    }
}
