//! The rearrangements by operations that every backend has.

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Slice;

pub(super) fn squeeze<B: Backend>(x: FloatTensor<B>, [h, w]: [usize; 2]) -> FloatTensor<B> {
    let [batch, channels, mels, frames] = x.shape().dims();
    let parts = B::float_reshape(x, [batch, channels, mels / h, h, frames / w, w].into());
    let parts = B::float_permute(parts, &[0, 3, 5, 1, 2, 4]);
    B::float_reshape(parts, [batch, channels * h * w, mels / h, frames / w].into())
}

pub(super) fn unsqueeze<B: Backend>(y: FloatTensor<B>, [h, w]: [usize; 2]) -> FloatTensor<B> {
    let [batch, channels, mels, frames] = y.shape().dims();
    let inner = channels / (h * w);
    let parts = B::float_reshape(y, [batch, h, w, inner, mels, frames].into());
    let parts = B::float_permute(parts, &[0, 3, 4, 1, 5, 2]);
    B::float_reshape(parts, [batch, inner, mels * h, frames * w].into())
}

pub(super) fn split<B: Backend>(
    x: FloatTensor<B>,
    first: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [batch, channels, mels, frames] = x.shape().dims();
    let part = |x: FloatTensor<B>, channels: Range<usize>| {
        B::float_slice(x, &[0..batch, channels, 0..mels, 0..frames].map(Slice::from))
    };
    (part(x.clone(), 0..first), part(x, first..channels))
}

pub(super) fn join<B: Backend>(x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
    B::float_cat(vec![x, y], 1)
}

pub(super) fn fit<B: Backend>(x: FloatTensor<B>, size: [usize; 2]) -> FloatTensor<B> {
    let [batch, channels, mels, frames] = x.shape().dims();
    let kept = [mels.min(size[0]), frames.min(size[1])];
    let x = if kept == [mels, frames] {
        x
    } else {
        let ranges = [0..batch, 0..channels, 0..kept[0], 0..kept[1]];
        B::float_slice(x, &ranges.map(Slice::from))
    };
    (0..2).fold(x, |x, i| {
        let mut shape = x.shape();
        let lacks = size[i] - shape[2 + i];
        if lacks == 0 {
            return x;
        }
        shape[2 + i] = lacks;
        let zeros = B::float_zeros(shape, &x.device(), x.dtype().into());
        B::float_cat(vec![x, zeros], 2 + i)
    })
}
