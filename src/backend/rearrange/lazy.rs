//! Types and shapes of the operations' results, which fusing backends need before they compute
//! anything.

use burn::backend::fusion::custom::TensorSpec;

fn resized(x: &TensorSpec, shape: [usize; 4]) -> TensorSpec {
    TensorSpec::new(shape.into(), x.dtype)
}

pub(super) fn squeezed(x: &TensorSpec, &[h, w]: &[usize; 2]) -> TensorSpec {
    let [batch, channels, mels, frames] = x.shape.dims();
    resized(x, [batch, channels * h * w, mels / h, frames / w])
}

pub(super) fn unsqueezed(x: &TensorSpec, &[h, w]: &[usize; 2]) -> TensorSpec {
    let [batch, channels, mels, frames] = x.shape.dims();
    resized(x, [batch, channels / (h * w), mels * h, frames * w])
}

pub(super) fn split(x: &TensorSpec, &first: &usize) -> (TensorSpec, TensorSpec) {
    let [batch, channels, mels, frames] = x.shape.dims();
    let part = |channels| resized(x, [batch, channels, mels, frames]);
    (part(first), part(channels - first))
}

pub(super) fn joined(x: &TensorSpec, y: &TensorSpec) -> TensorSpec {
    let [batch, channels, mels, frames] = x.shape.dims();
    resized(x, [batch, channels + y.shape[1], mels, frames])
}

pub(super) fn fitted(x: &TensorSpec, &[mels, frames]: &[usize; 2]) -> TensorSpec {
    resized(x, [x.shape[0], x.shape[1], mels, frames])
}
