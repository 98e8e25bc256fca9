//! Batch normalisation of a training pass as one operation, with what often surrounds it: a sum
//! with a second tensor, the rectifier, the running statistics.
//!
//! The backward pass needs the input and the moments only: it computes the rectifier's mask from
//! them, and keeps the output only behind a sum. Burn's separate operations keep the rectifier's
//! input too.

mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "cube")]
mod cube;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod lazy;
mod plain;
mod together;

pub use self::together::synchronised;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// The settings of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether negative outputs become 0.
    pub rectify: bool,
    /// Whether a second tensor is added in front of the rectifier.
    pub add: bool,
    /// The share by which the running statistics move towards the batch's. Without it they stay.
    pub momentum: Option<f64>,
}

/// Normalisation by batch statistics and by given ones, and a rectifier whose backward pass needs
/// its output only.
///
/// Operations hand back what they do not compute: statistics that stay, and small tensors in place
/// of gradients that do not exist. Any small tensor may stand for one that the settings do not ask
/// for.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
    Autodiff
)]
pub trait NormOps: Backend {
    /// Input and what is added `[batch, channels, ...]`, gamma, beta and running statistics
    /// `[channels]` -> the input's shape; `[2, channels]`: mean and (biased) variance of each
    /// channel; the new running statistics, with the unbiased variance.
    #[fusion(meta = lazy::normalized)]
    fn normalize(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        var: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let tensors = [x, other, gamma, beta, mean, var];
        plain::around::<Self>(plain::normalize::<Self>, tensors, norm)
    }

    /// Gradients of the input, of what was added, of gamma and beta, from the output's. They
    /// account for the moments' own dependence on the input. The output `y` matters only with a sum
    /// and a rectifier.
    #[fusion(meta = lazy::gradients)]
    fn normalize_gradients(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let tensors = [x, y, gamma, beta, moments, dy];
        plain::gradients_around::<Self>(plain::gradients::<Self>, tensors, norm)
    }

    /// `x * scale + shift` of each channel, plus `other` with `add`, at least 0 with `rectify`:
    /// `[batch, channels, ...]` and `[channels]` -> the input's shape.
    #[fusion(dtype = x, shape = x)]
    fn affine(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        add: bool,
        rectify: bool,
    ) -> FloatTensor<Self> {
        plain::affine::<Self>([x, other, scale, shift], add, rectify)
    }

    /// max(x, 0), of any shape.
    #[fusion(dtype = x, shape = x)]
    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::rectify::<Self>(x)
    }

    /// The gradient of a rectifier from its output `y` and the gradient of that.
    #[fusion(dtype = dy, shape = dy)]
    fn rectify_gradient(y: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::rectify_gradient::<Self>(y, dy)
    }
}

#[cfg(feature = "flex")]
impl NormOps for burn::backend::Flex {
    fn normalize(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        var: FloatTensor<Self>,
        norm: Norm,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let fast = super::flex::is_f32([&x, &gamma, &beta]);
        let adds = norm.add && super::flex::is_f32([&other]);
        let tensors = [x, other, gamma, beta, mean, var];
        match (fast, adds) {
            (true, true) => plain::around_sum::<Self>(cpu::normalize_sum, tensors, norm),
            (true, false) => plain::around::<Self>(cpu::normalize, tensors, norm),
            (false, _) => plain::around::<Self>(plain::normalize::<Self>, tensors, norm),
        }
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
        let fast = super::flex::is_f32([&x, &gamma, &beta, &moments, &dy]);
        let core: plain::CoreGradients<Self> = match fast {
            true => cpu::gradients,
            false => plain::gradients::<Self>,
        };
        plain::gradients_around::<Self>(core, [x, y, gamma, beta, moments, dy], norm)
    }
}

#[cfg(feature = "ndarray")]
impl NormOps for burn::backend::NdArray {}

/// Running statistics `[channels]`, and the share by which a batch moves them.
#[derive(Debug, Clone)]
pub struct Running {
    /// Means.
    pub mean: Tensor<1>,
    /// Unbiased variances.
    pub var: Tensor<1>,
    /// The batch's share.
    pub momentum: f64,
}

/// `[batch, channels, ...]`, gamma and beta `[channels]` -> the input's shape, and `[2, channels]`:
/// mean and (biased) variance of each channel. The moments are not differentiable.
pub fn normalize<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    rectify: bool,
) -> (Tensor<D>, Tensor<2>) {
    let (y, moments, _) = normalize_with(x, None, [gamma, beta], None, epsilon, rectify);
    (y, moments)
}

/// [`normalize`] that also adds `other`, of the input's shape, in front of the rectifier, and moves
/// running statistics. The last result is the new running mean and variance; it means nothing
/// without `running`.
pub fn normalize_with<const D: usize>(
    x: Tensor<D>,
    other: Option<Tensor<D>>,
    [gamma, beta]: [Tensor<1>; 2],
    running: Option<Running>,
    epsilon: f64,
    rectify: bool,
) -> (Tensor<D>, Tensor<2>, [Tensor<1>; 2]) {
    let momentum = running.as_ref().map(|running| running.momentum);
    let norm = Norm { epsilon, rectify, add: other.is_some(), momentum };
    let [gamma, beta] = [gamma, beta].map(|t| t.into_dispatch());
    let other = other.map_or_else(|| gamma.clone(), |t| t.into_dispatch());
    let (mean, var) = match running {
        Some(running) => (running.mean.into_dispatch(), running.var.into_dispatch()),
        None => (gamma.clone(), beta.clone()),
    };
    let x = x.into_dispatch();
    let (y, moments, mean, var) = match together::ranks() {
        None => <Dispatch as NormOps>::normalize(x, other, gamma, beta, mean, var, norm),
        Some(ranks) => {
            let tensors = [x, other, gamma, beta, mean, var];
            together::dispatched(tensors, together::Together { norm, ranks })
        }
    };
    let running = [mean, var].map(Tensor::from_dispatch);
    (Tensor::from_dispatch(y), Tensor::from_dispatch(moments), running)
}

/// `x * scale + shift` of each channel, plus `other` of the input's shape, at least 0 with
/// `rectify`: `[batch, channels, ...]`, scale and shift `[channels]` -> the input's shape.
pub fn affine<const D: usize>(
    x: Tensor<D>,
    other: Option<Tensor<D>>,
    [scale, shift]: [Tensor<1>; 2],
    rectify: bool,
) -> Tensor<D> {
    let add = other.is_some();
    let [scale, shift] = [scale, shift].map(|t| t.into_dispatch());
    let other = other.map_or_else(|| scale.clone(), |t| t.into_dispatch());
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as NormOps>::affine(x, other, scale, shift, add, rectify))
}

/// max(x, 0), of any shape.
pub fn rectify<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as NormOps>::rectify(x.into_dispatch()))
}

#[cfg(test)]
mod tests;
