//! What our kernels for GPUs share: tensors as they want them, and how many units work.
//!
//! Kernels index flat memory. Their tensors are row-major without gaps, so CUDA's row pitch does
//! not apply to them.

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;

/// Units of a cube: every WebGPU device has as many.
pub(super) const UNITS: u32 = 256;
/// Cubes along one axis at most: every WebGPU device has as many.
pub(super) const MOST_CUBES: usize = 65535;
/// Values that a unit reads at once, at most.
const WIDEST: usize = 4;

/// The tensor in row-major order without gaps.
pub(super) fn contiguous(x: CubeTensor) -> CubeTensor {
    into_contiguous(x)
}

/// The parameter or moment in row-major order, in memory that a kernel may overwrite.
pub(super) fn owned(x: CubeTensor) -> CubeTensor {
    let x = into_contiguous(x);
    if x.can_mut() { x } else { copied(&x) }
}

/// Another tensor with the same values, in row-major order without gaps.
pub(super) fn copied(x: &CubeTensor) -> CubeTensor {
    let y = lasting(x, x.shape(), x.dtype);
    let count = x.shape().num_elements();
    copy::launch(
        &x.client.clone(),
        cubes(count),
        CubeDim::new_1d(UNITS),
        x.clone().into_buffer_arg(),
        y.clone().into_buffer_arg(),
        count as u32,
        elem(x.dtype),
    );
    y
}

#[cube(launch)]
fn copy<F: Numeric>(from: &[F], to: &mut [F], count: u32, #[define(F)] _dtype: ElemType) {
    let step = UNITS * CUBE_COUNT_X;
    let mut i = ABSOLUTE_POS as u32;
    while i < count {
        to[i as usize] = from[i as usize];
        i += step;
    }
}

/// The sum of the numbers of all units of a cube, for every unit, in the same order in every cube.
/// `scratch` has a place for each of the `units`, a power of two.
#[cube]
pub(super) fn total<N: Numeric>(own: N, scratch: &mut Shared<[N]>, #[comptime] units: u32) -> N {
    let unit = UNIT_POS_X;
    scratch[unit as usize] = own;
    sync_cube();
    let mut half = comptime![units / 2].runtime();
    while half > 0 {
        if unit < half {
            let both = scratch[unit as usize] + scratch[(unit + half) as usize];
            scratch[unit as usize] = both;
        }
        sync_cube();
        half /= 2;
    }
    let sum = scratch[0];
    sync_cube();
    sum
}

/// Memory for a result beside `like`, row-major without gaps.
pub(super) fn empty(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape.into(), dtype)
}

/// Memory for a result that outlives the pass, such as a gradient. It is no part of the pages that
/// activations share: there it would keep a page from serving the largest of them.
pub(super) fn lasting(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    let shape = shape.into();
    like.client.memory_persistent_allocation(shape, |shape| empty(like, shape, dtype))
}

/// Cubes of [`UNITS`] for so many values; each unit takes several when there are very many.
pub(super) fn cubes(count: usize) -> CubeCount {
    CubeCount::Static(count.div_ceil(UNITS as usize).clamp(1, MOST_CUBES) as u32, 1, 1)
}

/// How many values a unit reads at once where `values` of them lie side by side.
pub(super) fn width(x: &CubeTensor, values: usize) -> usize {
    let fits = |width: &usize| *width <= WIDEST && values.is_multiple_of(*width);
    x.client.io_optimized_vector_sizes(x.dtype.size()).filter(fits).max().unwrap_or(1)
}

/// The kernel's name for a type of floats.
///
/// # Panics
/// For other types: callers ask [`floats`] first.
pub(super) fn elem(dtype: DType) -> ElemType {
    match dtype {
        DType::F32 => ElemType::Float(FloatKind::F32),
        DType::F16 => ElemType::Float(FloatKind::F16),
        DType::BF16 => ElemType::Float(FloatKind::BF16),
        DType::U32 => ElemType::UInt(cubecl::ir::UIntKind::U32),
        other => panic!("no kernel of ours takes {other:?}"),
    }
}

/// Whether our kernels can take these tensors: all of one type, f32, f16 or bf16, and few enough
/// values for 32-bit indices.
pub(super) fn floats<'a>(tensors: impl IntoIterator<Item = &'a CubeTensor>) -> bool {
    let mut all = tensors.into_iter();
    let fits = |x: &CubeTensor| x.shape().num_elements() < (u32::MAX - (1 << 28)) as usize;
    let Some(first) = all.next() else { return true };
    matches!(first.dtype, DType::F32 | DType::F16 | DType::BF16)
        && fits(first)
        && all.all(|x| x.dtype == first.dtype && fits(x))
}
