//! Softmax of rows of f32 values in memory, in vector instructions. One thread computes a row.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::backend::flex::{TASK, contiguous, owned, slice};
use crate::functions;
use crate::lanes::Lanes;

/// The length of a row.
fn width(x: &FloatTensor<Flex>) -> usize {
    x.layout().shape().last().copied().unwrap_or(0)
}

/// Whether the axis is the last, along which values lie side by side.
pub(super) fn fits(x: &FloatTensor<Flex>, axis: usize) -> bool {
    axis + 1 == x.layout().shape().num_dims() && width(x) > 0
}

/// Values of a task: whole rows.
fn task(width: usize) -> usize {
    (TASK / width).max(1) * width
}

/// See [`super::SoftmaxOps::softmax_along`].
pub(super) fn softmax(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let width = width(&x);
    let mut y = owned::<f32>(contiguous(x));
    let tasks = y.storage_mut::<f32>().par_chunks_mut(task(width));
    tasks.for_each(|values| Arch::new().dispatch(Rows { values, width }));
    y
}

/// See [`super::SoftmaxOps::softmax_along_gradient`].
pub(super) fn gradient(y: FloatTensor<Flex>, dy: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let width = width(&y);
    let (y, mut dx) = (contiguous(y), owned::<f32>(contiguous(dy)));
    let each = task(width);
    let tasks = dx.storage_mut::<f32>().par_chunks_mut(each).zip(slice(&y).par_chunks(each));
    tasks.for_each(|(d, y)| Arch::new().dispatch(Gradients { y, d, width }));
    dx
}

/// Smaller weights become 0: what is left out by its logit weighs nothing, and processors are slow
/// at products that are no normal numbers.
const LEAST: f32 = 1e-30;

struct Rows<'a> {
    values: &'a mut [f32],
    width: usize,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.values.chunks_exact_mut(self.width) {
            functions::softmax(row);
            for y in row {
                *y = if *y < LEAST { 0.0 } else { *y };
            }
        }
    }
}

/// The output's gradients become the input's.
struct Gradients<'a> {
    y: &'a [f32],
    d: &'a mut [f32],
    width: usize,
}

impl WithSimd for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let rows = self.d.chunks_exact_mut(self.width).zip(self.y.chunks_exact(self.width));
        for (d, y) in rows {
            let sum = Lanes::<16>::sum2(y, &*d, |y, d| y * d);
            for (d, &y) in d.iter_mut().zip(y) {
                *d = y * (*d - sum);
            }
        }
    }
}
