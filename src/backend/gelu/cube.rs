//! The gradient of GELU as a kernel for GPUs: one launch, which may write over the gradient that it
//! is given.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::DENSITY;
use crate::backend::gpu::{self, UNITS, elem};

/// CUDA has `erf`. On wgpu it is CubeCL's polynomial (Abramowitz and Stegun, 7.1.26), which in f32
/// is off by up to 6e-7, and this gradient by up to half of that.
#[cube(launch)]
fn gelu_gradient_kernel<F: Float, N: Size>(
    x: &[Vector<F, N>],
    dy: &[Vector<F, N>],
    dx: &mut [Vector<F, N>],
    count: u32,
    root: f32,
    density: f32,
    #[define(F)] _dtype: ElemType,
) {
    let step = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        let value = Vector::<f32, N>::cast_from(x[i as usize]);
        let d = Vector::<f32, N>::cast_from(dy[i as usize]);
        let half = Vector::<f32, N>::new(0.5f32);
        let erf = Vector::<f32, N>::erf(value * Vector::<f32, N>::new(root));
        let share = (Vector::<f32, N>::new(1.0f32) + erf) * half;
        let bell = Vector::<f32, N>::exp(-value * value * half);
        let slope = share + value * bell * Vector::<f32, N>::new(density);
        dx[i as usize] = Vector::<F, N>::cast_from(d * slope);
        i += step;
    }
}

/// Whether the kernel can take these tensors: of one shape, with at least one value.
pub(super) fn fits(x: &CubeTensor, dy: &CubeTensor) -> bool {
    gpu::floats([x, dy]) && x.shape() == dy.shape() && x.shape().num_elements() > 0
}

/// See [`super::GeluOps::exact_gelu_gradient`]; the tensors must [fit](fits).
pub(super) fn gradient(x: CubeTensor, dy: CubeTensor) -> CubeTensor {
    let (x, dy) = (gpu::contiguous(x), gpu::contiguous(dy));
    let count = x.shape().num_elements();
    let lanes = gpu::width(&x, count);
    let (dx, dx_arg) = match dy.can_mut() {
        true => (dy.clone(), BufferArg::alias(1, count)),
        false => {
            let fresh = gpu::empty(&dy, dy.shape(), dy.dtype);
            (fresh.clone(), fresh.into_buffer_arg())
        }
    };
    gelu_gradient_kernel::launch(
        &x.client.clone(),
        gpu::cubes(count / lanes),
        CubeDim::new_1d(UNITS),
        lanes,
        x.clone().into_buffer_arg(),
        dy.into_buffer_arg(),
        dx_arg,
        (count / lanes) as u32,
        FRAC_1_SQRT_2 as f32,
        DENSITY as f32,
        elem(x.dtype),
    );
    dx
}
