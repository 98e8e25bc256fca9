//! The launches: two for each pass over a tensor.

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::backward::{gradient_kernel, sums_kernel};
use super::elementwise::{affine_kernel, rectify_gradient_kernel, rectify_kernel};
use super::forward::{apply_kernel, moments_kernel};
use super::grid::Layout;
use crate::backend::gpu::{self, UNITS, elem};
use crate::backend::norm::{Norm, plain};

/// The buffer at a position once more.
fn alias(x: &CubeTensor, position: usize) -> BufferArg {
    BufferArg::alias(position, x.shape().num_elements())
}

/// Where a kernel writes a tensor like `x`: over the first of these buffers that nobody else uses,
/// or in memory of its own.
fn place(x: &CubeTensor, over: &[(&CubeTensor, usize)]) -> (CubeTensor, BufferArg) {
    match over.iter().find(|(x, _)| x.can_mut()) {
        Some((x, position)) => ((*x).clone(), alias(x, *position)),
        None => {
            let fresh = gpu::empty(x, x.shape(), x.dtype);
            (fresh.clone(), fresh.into_buffer_arg())
        }
    }
}

fn arg(x: &CubeTensor) -> BufferArg {
    x.clone().into_buffer_arg()
}

/// The result of a kernel whose first buffer is `x`, with the arguments for it and for `other`. A
/// kernel that adds `other` has it as its buffer at `position`.
fn result(
    x: &CubeTensor,
    other: &CubeTensor,
    add: bool,
    position: usize,
) -> (CubeTensor, BufferArg, BufferArg) {
    if add {
        let (y, y_arg) = place(x, &[(x, 0), (other, position)]);
        (y, y_arg, arg(other))
    } else {
        let (y, y_arg) = place(x, &[(x, 0)]);
        (y, y_arg, alias(x, 0))
    }
}

/// See [`crate::backend::norm::NormOps::normalize`]; every tensor is contiguous.
pub(super) fn normalize(
    [x, other, gamma, beta, mean, var]: [CubeTensor; 6],
    norm: Norm,
) -> (CubeTensor, CubeTensor, CubeTensor, CubeTensor) {
    let client = x.client.clone();
    let layout = Layout::of(&x);
    let dtypes = [elem(x.dtype), elem(gamma.dtype)];
    let (reduction, sweep) = (layout.reduction(), layout.sweep());
    let partials = [layout.channels, reduction.parts as usize, 3];
    let partials = gpu::empty(&x, partials, DType::F32);
    moments_kernel::launch(
        &client,
        reduction.cubes(),
        CubeDim::new_1d(UNITS),
        layout.width,
        arg(&x),
        arg(&partials),
        reduction.walk(),
        elem(x.dtype),
    );
    let moments = gpu::empty(&x, [2, layout.channels], DType::F32);
    let (y, y_arg, other_arg) = result(&x, &other, norm.add, 5);
    let track = norm.momentum.is_some();
    let (new_mean, new_var) = match track {
        true => {
            let like = |old: &CubeTensor| gpu::empty(old, old.shape(), old.dtype);
            (like(&mean), like(&var))
        }
        false => (mean.clone(), var.clone()),
    };
    let [old_mean, old_var, moved_mean, moved_var] = match track {
        true => [&mean, &var, &new_mean, &new_var].map(arg),
        // They stand for buffers that the kernel does not touch.
        false => [alias(&gamma, 1), alias(&gamma, 1), alias(&moments, 4), alias(&moments, 4)],
    };
    apply_kernel::launch(
        &client,
        sweep.cubes(),
        CubeDim::new_1d(UNITS),
        layout.width,
        arg(&x),
        arg(&gamma),
        arg(&beta),
        arg(&partials),
        arg(&moments),
        other_arg,
        y_arg,
        old_mean,
        old_var,
        moved_mean,
        moved_var,
        sweep.walk(),
        reduction.parts,
        norm.epsilon as f32,
        norm.momentum.unwrap_or(0.0) as f32,
        plain::unbiased(layout.count()) as f32,
        norm.add,
        norm.rectify,
        track,
        dtypes,
    );
    (y, moments, new_mean, new_var)
}

/// See [`crate::backend::norm::NormOps::normalize_gradients`]; every tensor is contiguous.
pub(super) fn gradients(
    [x, y, gamma, beta, moments, dy]: [CubeTensor; 6],
    norm: Norm,
) -> (CubeTensor, CubeTensor, CubeTensor, CubeTensor) {
    let client = x.client.clone();
    let layout = Layout::of(&x);
    let dtypes = [elem(x.dtype), elem(gamma.dtype)];
    let (reduction, sweep) = (layout.reduction(), layout.sweep());
    let partials = gpu::empty(&x, [layout.channels, reduction.parts as usize, 2], DType::F32);
    // What was added has the masked gradient too: the first launch writes it, and the second reads
    // it instead of the output and its gradient.
    let (g, y_arg, g_arg) = match norm.add && norm.rectify {
        true => {
            let (g, g_arg) = place(&dy, &[(&dy, 1)]);
            (g, arg(&y), g_arg)
        }
        false => (dy.clone(), alias(&x, 0), alias(&dy, 1)),
    };
    sums_kernel::launch(
        &client,
        reduction.cubes(),
        CubeDim::new_1d(UNITS),
        layout.width,
        arg(&x),
        arg(&dy),
        arg(&gamma),
        arg(&beta),
        arg(&moments),
        arg(&partials),
        y_arg,
        g_arg,
        reduction.walk(),
        norm.epsilon as f32,
        norm.add,
        norm.rectify,
        dtypes,
    );
    // Their memory is there for the input's gradient.
    drop((y, dy));
    let dother = if norm.add { g.clone() } else { moments.clone() };
    let [dgamma, dbeta] = [&gamma, &beta].map(|p| gpu::empty(p, p.shape(), p.dtype));
    let own = [(&g, 1)];
    let (dx, dx_arg) = place(&g, if norm.add { &[] } else { &own });
    gradient_kernel::launch(
        &client,
        sweep.cubes(),
        CubeDim::new_1d(UNITS),
        layout.width,
        arg(&x),
        arg(&g),
        arg(&gamma),
        arg(&beta),
        arg(&moments),
        arg(&partials),
        arg(&dgamma),
        arg(&dbeta),
        dx_arg,
        sweep.walk(),
        reduction.parts,
        layout.count() as f32,
        norm.epsilon as f32,
        norm.rectify && !norm.add,
        dtypes,
    );
    (dx, dother, dgamma, dbeta)
}

/// See [`crate::backend::norm::NormOps::affine`]; every tensor is contiguous.
pub(super) fn affine(
    [x, other, scale, shift]: [CubeTensor; 4],
    add: bool,
    rectify: bool,
) -> CubeTensor {
    let client = x.client.clone();
    let layout = Layout::of(&x);
    let sweep = layout.sweep();
    let (y, y_arg, other_arg) = result(&x, &other, add, 3);
    affine_kernel::launch(
        &client,
        sweep.cubes(),
        CubeDim::new_1d(UNITS),
        layout.width,
        arg(&x),
        arg(&scale),
        arg(&shift),
        other_arg,
        y_arg,
        sweep.walk(),
        add,
        rectify,
        [elem(x.dtype), elem(scale.dtype)],
    );
    y
}

/// See [`crate::backend::norm::NormOps::rectify`]; the tensor is contiguous.
pub(super) fn rectify(x: CubeTensor) -> CubeTensor {
    let count = x.shape().num_elements();
    let lanes = gpu::width(&x, count);
    let (y, y_arg) = place(&x, &[(&x, 0)]);
    rectify_kernel::launch(
        &x.client.clone(),
        gpu::cubes(count / lanes),
        CubeDim::new_1d(UNITS),
        lanes,
        arg(&x),
        y_arg,
        (count / lanes) as u32,
        elem(x.dtype),
    );
    y
}

/// See [`crate::backend::norm::NormOps::rectify_gradient`]; both tensors are contiguous.
pub(super) fn rectify_gradient(y: CubeTensor, dy: CubeTensor) -> CubeTensor {
    let count = y.shape().num_elements();
    let lanes = gpu::width(&y, count);
    let (dx, dx_arg) = place(&dy, &[(&dy, 1)]);
    rectify_gradient_kernel::launch(
        &y.client.clone(),
        gpu::cubes(count / lanes),
        CubeDim::new_1d(UNITS),
        lanes,
        arg(&y),
        arg(&dy),
        dx_arg,
        (count / lanes) as u32,
        elem(y.dtype),
    );
    dx
}
