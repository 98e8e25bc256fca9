//! GELU and its gradient on f32 values in memory, in vector instructions. Each value is computed by
//! itself, so results do not depend on the number of threads.

use std::f32::consts::FRAC_1_SQRT_2;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::DENSITY;
use crate::backend::flex::{TASK, contiguous, own, owned, slice};
use crate::functions;

/// See [`super::GeluOps::exact_gelu`]. The output takes the input's place where nobody else uses
/// it.
pub(super) fn gelu(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let mut x = contiguous(x);
    if let Some(values) = own(&mut x) {
        let tasks = values.par_chunks_mut(TASK);
        tasks.for_each(|values| Arch::new().dispatch(InPlace(values)));
        return x;
    }
    let xs = slice(&x);
    let mut y = vec![0.0f32; xs.len()];
    let tasks = y.par_chunks_mut(TASK).zip(xs.par_chunks(TASK));
    tasks.for_each(|(y, x)| Arch::new().dispatch(Values { x, y }));
    FloatTensor::<Flex>::from_data(TensorData::new(y, x.layout().shape().to_vec()))
}

/// See [`super::GeluOps::exact_gelu_gradient`].
pub(super) fn gradient(x: FloatTensor<Flex>, dy: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let (x, mut dx) = (contiguous(x), owned::<f32>(contiguous(dy)));
    let tasks = dx.storage_mut::<f32>().par_chunks_mut(TASK).zip(slice(&x).par_chunks(TASK));
    tasks.for_each(|(d, x)| Arch::new().dispatch(Gradients { x, d }));
    dx
}

/// The derivative. It is off by at most 3e-7.
#[inline(always)]
fn slope(x: f32) -> f32 {
    let share = (1.0 + functions::erf(x * FRAC_1_SQRT_2)) * 0.5;
    // The product with the bell is 0 from there on, but the exponential that is computed is not.
    let near = x.clamp(-13.0, 13.0);
    share + near * (functions::exp(near * near * -0.5) * DENSITY as f32)
}

struct InPlace<'a>(&'a mut [f32]);

impl WithSimd for InPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for x in self.0 {
            *x = functions::gelu(*x);
        }
    }
}

struct Values<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y = functions::gelu(x);
        }
    }
}

/// The output's gradients become the input's.
struct Gradients<'a> {
    x: &'a [f32],
    d: &'a mut [f32],
}

impl WithSimd for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (d, &x) in self.d.iter_mut().zip(self.x) {
            *d *= slope(x);
        }
    }
}
