//! Rearrangements of `[batch, channels, mels, frames]`: values move and stay what they are. The
//! gradient of each is the opposite rearrangement of the output's gradient.

mod autodiff;
#[cfg(feature = "cube")]
mod cube;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod lazy;
mod plain;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

/// Space to channels, parts of channels, and sizes filled up with zeros.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
    Autodiff
)]
pub trait RearrangeOps: Backend {
    /// See [`squeeze`].
    #[fusion(meta = lazy::squeezed)]
    fn squeeze(x: FloatTensor<Self>, by: [usize; 2]) -> FloatTensor<Self> {
        plain::squeeze::<Self>(x, by)
    }

    /// See [`unsqueeze`].
    #[fusion(meta = lazy::unsqueezed)]
    fn unsqueeze(x: FloatTensor<Self>, by: [usize; 2]) -> FloatTensor<Self> {
        plain::unsqueeze::<Self>(x, by)
    }

    /// See [`split`].
    #[fusion(meta = lazy::split)]
    fn split(x: FloatTensor<Self>, first: usize) -> (FloatTensor<Self>, FloatTensor<Self>) {
        plain::split::<Self>(x, first)
    }

    /// See [`join`].
    #[fusion(meta = lazy::joined)]
    fn join(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        plain::join::<Self>(x, y)
    }

    /// See [`fit`].
    #[fusion(meta = lazy::fitted)]
    fn fit(x: FloatTensor<Self>, size: [usize; 2]) -> FloatTensor<Self> {
        plain::fit::<Self>(x, size)
    }
}

#[cfg(feature = "flex")]
impl RearrangeOps for burn::backend::Flex {
    /// Parts with memory of their own: a view would keep all channels for as long as one part is
    /// there.
    fn split(x: FloatTensor<Self>, first: usize) -> (FloatTensor<Self>, FloatTensor<Self>) {
        use super::flex::{is_f32, owned};

        let (x, y) = plain::split::<Self>(x, first);
        match is_f32([&x]) {
            true => (owned::<f32>(x), owned::<f32>(y)),
            false => (x, y),
        }
    }
}

#[cfg(feature = "ndarray")]
impl RearrangeOps for burn::backend::NdArray {}

/// Space to channels: mels and frames shrink by the factors `[h, w]`, which must divide them, and
/// channels grow by their product. Output channel `(i * w + j) * channels + c` holds sub-row i,
/// sub-column j of input channel c.
pub fn squeeze(x: Tensor<4>, by: [usize; 2]) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as RearrangeOps>::squeeze(x.into_dispatch(), by))
}

/// Undoes [`squeeze`] by the same factors.
pub fn unsqueeze(x: Tensor<4>, by: [usize; 2]) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as RearrangeOps>::unsqueeze(x.into_dispatch(), by))
}

/// The first channels, as many as given, and the others.
pub fn split(x: Tensor<4>, first: usize) -> [Tensor<4>; 2] {
    let (x, y) = <Dispatch as RearrangeOps>::split(x.into_dispatch(), first);
    [Tensor::from_dispatch(x), Tensor::from_dispatch(y)]
}

/// The channels of x, then those of y; all other sizes are equal.
pub fn join(x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as RearrangeOps>::join(x.into_dispatch(), y.into_dispatch()))
}

/// The image at another size `[mels, frames]`: at the end of each axis it loses values, or gets
/// zeros.
pub fn fit(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, mels, frames] = x.dims();
    if size == [mels, frames] {
        return x;
    }
    Tensor::from_dispatch(<Dispatch as RearrangeOps>::fit(x.into_dispatch(), size))
}

#[cfg(test)]
mod tests;
