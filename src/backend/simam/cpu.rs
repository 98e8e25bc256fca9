//! SimAM of f32 values in memory, in vector instructions. A plane is computed by one thread, and
//! summed in one order.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{LAMBDA, freedom};
use crate::backend::flex::{contiguous, own, owned, slice};
use crate::functions::sigmoid;
use crate::lanes::Lanes;

/// Values of a plane; 1 where there are none.
fn plane(x: &FloatTensor<Flex>) -> usize {
    x.layout().shape()[2..].iter().product::<usize>().max(1)
}

/// See [`super::SimAmOps::simam`]. Where nobody else uses the input, the output takes its place.
pub(super) fn simam(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let (plane, mut x) = (plane(&x), contiguous(x));
    if let Some(values) = own(&mut x) {
        values.par_chunks_mut(plane).for_each(|values| Arch::new().dispatch(InPlace(values)));
        return x;
    }
    let xs = slice(&x);
    let mut y = vec![0.0f32; xs.len()];
    let planes = y.par_chunks_mut(plane).zip(xs.par_chunks(plane));
    planes.for_each(|(y, x)| Arch::new().dispatch(Values { x, y }));
    FloatTensor::<Flex>::from_data(TensorData::new(y, x.layout().shape().to_vec()))
}

/// See [`super::SimAmOps::simam_gradient`].
pub(super) fn gradient(x: FloatTensor<Flex>, dy: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let (plane, x, mut dx) = (plane(&x), contiguous(x), owned::<f32>(contiguous(dy)));
    let planes = dx.storage_mut::<f32>().par_chunks_mut(plane).zip(slice(&x).par_chunks(plane));
    planes.for_each_init(Vec::new, |gates, (d, x)| {
        Arch::new().dispatch(Gradients { x, d, gates });
    });
    dx
}

/// What a plane's values have in common.
#[derive(Clone, Copy)]
struct Moments {
    mean: f32,
    /// `1 / (4 (v + lambda))`.
    scale: f32,
}

impl Moments {
    #[inline(always)]
    fn of(x: &[f32]) -> Self {
        let mean = Lanes::<16>::sum2(x, x, |x, _| f64::from(x)) / x.len() as f64;
        let mean = mean as f32;
        let squares = Lanes::<16>::sum2(x, x, |x, _| f64::from((x - mean) * (x - mean)));
        let variance = squares / freedom(x.len());
        Self { mean, scale: (1.0 / (4.0 * (variance + LAMBDA))) as f32 }
    }

    #[inline(always)]
    fn gate(self, x: f32) -> f32 {
        let c = x - self.mean;
        sigmoid(c * c * self.scale + 0.5)
    }
}

struct InPlace<'a>(&'a mut [f32]);

impl WithSimd for InPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let moments = Moments::of(self.0);
        for x in self.0 {
            *x *= moments.gate(*x);
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
        let moments = Moments::of(self.x);
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y = x * moments.gate(x);
        }
    }
}

/// The output's gradients become the input's. `gates` is memory to use.
struct Gradients<'a> {
    x: &'a [f32],
    d: &'a mut [f32],
    gates: &'a mut Vec<f32>,
}

impl WithSimd for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, d, gates } = self;
        let moments = Moments::of(x);
        let Moments { mean, scale } = moments;
        gates.resize(x.len(), 0.0);
        for (gate, &x) in gates.iter_mut().zip(x) {
            *gate = moments.gate(x);
        }
        let gates = gates.as_slice();
        // The letters of the formula in `mod.rs`.
        let h = |x: f32, d: f32, g: f32| x * d * g * (1.0 - g);
        let t = |x: f32| (x - mean) * (x - mean) * scale;
        let k = |x: f32| 2.0 * (x - mean) * scale;
        let sums = [
            Lanes::<16>::sum3(x, &*d, gates, |x, d, g| f64::from(h(x, d, g) * t(x))),
            Lanes::<16>::sum3(x, &*d, gates, |x, d, g| f64::from(h(x, d, g) * k(x))),
        ];
        let spread = (4.0 * sums[0] / freedom(x.len())) as f32;
        let shift = (sums[1] / x.len() as f64) as f32;
        for ((d, &x), &g) in d.iter_mut().zip(x).zip(gates) {
            *d = *d * g + k(x) * (h(x, *d, g) - spread) - shift;
        }
    }
}
