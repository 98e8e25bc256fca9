//! Normalisation and rectifier as kernels for GPUs, one source for every runtime of CubeCL: two
//! launches forwards and two backwards. The first leaves partial sums of each channel; each cube of
//! the second adds up its channel's and writes its part of the tensor.

mod backward;
mod elementwise;
mod forward;
mod grid;
mod launch;
mod reduce;
mod walk;

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;

use super::{Norm, NormOps, plain};
use crate::backend::gpu::{self, MOST_CUBES};

/// Buffers of the kernel that has most.
const BINDINGS: u32 = 11;

/// The type of the moments of a tensor of this type. Sums of few bits are worth little.
pub(super) fn moments_type(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    }
}

/// Whether the kernels can take tensors of one shape, `[batch, channels, ...]`, and parameters of
/// the channels.
fn fits(values: &[&CubeTensor], parameters: &[&CubeTensor]) -> bool {
    let shape = values[0].shape();
    gpu::floats(values.iter().copied())
        && gpu::floats(parameters.iter().copied())
        && values.iter().all(|x| x.shape() == shape)
        && shape.num_elements() > 0
        && shape[1] <= MOST_CUBES
        && values[0].client.properties().hardware.max_bindings >= BINDINGS
}

impl NormOps for CubeBackend {
    fn normalize(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        var: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (mut values, mut parameters) = (vec![&x], vec![&gamma, &beta]);
        values.extend(norm.add.then_some(&other));
        if norm.momentum.is_some() {
            parameters.extend([&mean, &var]);
        }
        let (fits, dtype) = (fits(&values, &parameters), moments_type(x.dtype));
        let tensors = [x, other, gamma, beta, mean, var];
        if fits {
            return launch::normalize(tensors.map(gpu::contiguous), norm);
        }
        let (y, moments, mean, var) =
            plain::around::<Self>(plain::normalize::<Self>, tensors, norm);
        (y, cast(moments, dtype), mean, var)
    }

    fn normalize_gradients(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let mut values = vec![&x, &dy];
        values.extend((norm.add && norm.rectify).then_some(&y));
        if fits(&values, &[&gamma, &beta]) && moments.dtype == DType::F32 {
            return launch::gradients([x, y, gamma, beta, moments, dy].map(gpu::contiguous), norm);
        }
        let moments = cast(moments, x.dtype);
        plain::gradients_around::<Self>(
            plain::gradients::<Self>,
            [x, y, gamma, beta, moments, dy],
            norm,
        )
    }

    fn affine(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        add: bool,
        rectify: bool,
    ) -> FloatTensor<Self> {
        let mut values = vec![&x];
        values.extend(add.then_some(&other));
        let fits = fits(&values, &[&scale, &shift]);
        let tensors = [x, other, scale, shift];
        match fits {
            true => launch::affine(tensors.map(gpu::contiguous), add, rectify),
            false => plain::affine::<Self>(tensors, add, rectify),
        }
    }

    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match gpu::floats([&x]) && x.shape().num_elements() > 0 {
            true => launch::rectify(gpu::contiguous(x)),
            false => plain::rectify::<Self>(x),
        }
    }

    fn rectify_gradient(y: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        match gpu::floats([&y, &dy]) && y.shape() == dy.shape() && y.shape().num_elements() > 0 {
            true => launch::rectify_gradient(gpu::contiguous(y), gpu::contiguous(dy)),
            false => plain::rectify_gradient::<Self>(y, dy),
        }
    }
}
