//! Normalisation by Burn's own operations, and what goes with a normalisation: a sum, the
//! rectifier, running statistics.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice};

use super::{Norm, NormOps};

/// Four tensors.
pub(super) type Four<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// Input, gamma, beta -> output and moments. It neither adds nor tracks.
pub(super) type Core<B> =
    fn(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, Norm) -> (FloatTensor<B>, FloatTensor<B>);

/// Input, a second tensor of its shape, gamma, beta -> the sum of both, and moments.
pub(super) type CoreSum<B> = fn([FloatTensor<B>; 4], Norm) -> (FloatTensor<B>, FloatTensor<B>);

/// Input, gamma, beta, moments, gradient of [`Core`]'s output -> gradients of input, gamma, beta.
pub(super) type CoreGradients<B> = fn(
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    Norm,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// What turns the biased variance of so many values into the unbiased one. Torch takes that for the
/// running statistics only; it refuses one value, for which this keeps 0.
pub(super) fn unbiased(count: usize) -> f64 {
    count as f64 / (count.max(2) - 1) as f64
}

/// The settings of the normalisation alone: behind a sum the rectifier is not its own.
fn alone(norm: Norm) -> Norm {
    Norm { rectify: norm.rectify && !norm.add, add: false, momentum: None, ..norm }
}

/// Row `i` of `[rows, channels]`.
fn row<B: Backend>(moments: &FloatTensor<B>, i: usize) -> FloatTensor<B> {
    let channels = moments.shape()[1];
    let row = B::float_slice(moments.clone(), &[Slice::from(i..i + 1), Slice::from(0..channels)]);
    B::float_reshape(row, [channels].into())
}

/// [`NormOps::normalize`] around a normalisation alone.
pub(super) fn around<B: Backend>(
    core: Core<B>,
    [x, other, gamma, beta, mean, var]: [FloatTensor<B>; 6],
    norm: Norm,
) -> Four<B> {
    let shape = x.shape();
    let count = shape.num_elements() / shape[1];
    let (y, moments) = core(x, gamma, beta, alone(norm));
    let y = match (norm.add, norm.rectify) {
        (false, _) => y,
        (true, false) => B::float_add(y, other),
        (true, true) => B::relu(B::float_add(y, other)),
    };
    tracked::<B>((y, moments), [mean, var], count, norm)
}

/// [`NormOps::normalize`] around a normalisation with the sum behind it.
#[cfg_attr(not(feature = "flex"), allow(dead_code, reason = "the fast path of flex adds"))]
pub(super) fn around_sum<B: Backend>(
    core: CoreSum<B>,
    [x, other, gamma, beta, mean, var]: [FloatTensor<B>; 6],
    norm: Norm,
) -> Four<B> {
    let shape = x.shape();
    let count = shape.num_elements() / shape[1];
    let (y, moments) = core([x, other, gamma, beta], alone(norm));
    let y = if norm.rectify { B::relu(y) } else { y };
    tracked::<B>((y, moments), [mean, var], count, norm)
}

/// Output and moments, and the running statistics after them.
fn tracked<B: Backend>(
    (y, moments): (FloatTensor<B>, FloatTensor<B>),
    [mean, var]: [FloatTensor<B>; 2],
    count: usize,
    norm: Norm,
) -> Four<B> {
    let Some(momentum) = norm.momentum else { return (y, moments, mean, var) };
    let variance = B::float_mul_scalar(row::<B>(&moments, 1), unbiased(count).into());
    let mean = moved::<B>(mean, row::<B>(&moments, 0), momentum);
    (y, moments, mean, moved::<B>(var, variance, momentum))
}

/// A running statistic after a batch.
pub(super) fn moved<B: Backend>(
    old: FloatTensor<B>,
    batch: FloatTensor<B>,
    momentum: f64,
) -> FloatTensor<B> {
    let old = B::float_mul_scalar(old, (1.0 - momentum).into());
    B::float_add(old, B::float_mul_scalar(batch, momentum.into()))
}

/// [`NormOps::normalize_gradients`] around the gradients of a normalisation alone.
pub(super) fn gradients_around<B: Backend>(
    core: CoreGradients<B>,
    [x, y, gamma, beta, moments, dy]: [FloatTensor<B>; 6],
    norm: Norm,
) -> Four<B> {
    let dy = if norm.add && norm.rectify { B::relu_backward(y, dy) } else { dy };
    let dother = if norm.add { dy.clone() } else { moments.clone() };
    let (dx, dgamma, dbeta) = core(x, gamma, beta, moments, dy, alone(norm));
    (dx, dother, dgamma, dbeta)
}

pub(super) fn normalize<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    norm: Norm,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let channels = x.shape()[1];
    let result = B::batch_norm_train(x, gamma, beta, norm.epsilon);
    let row = |t| B::float_reshape(t, [1, channels].into());
    let moments = B::float_cat(vec![row(result.mean), row(result.variance)], 0);
    (if norm.rectify { B::relu(result.output) } else { result.output }, moments)
}

pub(super) fn gradients<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    moments: FloatTensor<B>,
    dy: FloatTensor<B>,
    norm: Norm,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (mean, variance) = (row::<B>(&moments, 0), row::<B>(&moments, 1));
    let dy = match norm.rectify {
        false => dy,
        true => {
            let (mean, variance) = (mean.clone(), variance.clone());
            let y = B::batch_norm(x.clone(), gamma.clone(), beta, mean, variance, norm.epsilon);
            B::relu_backward(B::relu(y), dy)
        }
    };
    let result = B::batch_norm_train_backward(x, gamma, mean, variance, norm.epsilon, dy);
    (result.x_grad, result.gamma_grad, result.beta_grad)
}

pub(super) fn affine<B: NormOps>(
    [x, other, scale, shift]: [FloatTensor<B>; 4],
    add: bool,
    rectify: bool,
) -> FloatTensor<B> {
    let shape = x.shape();
    let mut spread = vec![1; shape.num_dims()];
    spread[1] = shape[1];
    let spread = Shape::from(spread);
    let y = B::float_mul(x, B::float_reshape(scale, spread.clone()));
    let y = B::float_add(y, B::float_reshape(shift, spread));
    let y = if add { B::float_add(y, other) } else { y };
    if rectify { B::rectify(y) } else { y }
}

pub(super) fn rectify<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::relu(x)
}

pub(super) fn rectify_gradient<B: Backend>(
    y: FloatTensor<B>,
    dy: FloatTensor<B>,
) -> FloatTensor<B> {
    B::relu_backward(y, dy)
}
