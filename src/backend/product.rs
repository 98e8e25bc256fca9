//! Matrix products that are f32 where f32 is asked for, and need little memory. On NVIDIA's GPUs
//! from Ampere on, Burn's products round their factors to TF32, and CubeCL has no option against
//! it. So our own convolutions, which use no tensor cores in f32, compute products on GPUs. They
//! try no kernels out, either.

use burn::tensor::{DType, Tensor};

use super::convolution::{Window, convolve, tf32_allowed};
use super::kind::is_gpu;

/// `x [rows, inner]` times the transposed `weight [columns, inner]` -> `[rows, columns]`.
pub fn product(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    match is_ours(&x) {
        true => convolved(x, weight),
        false => x.matmul(weight.transpose()),
    }
}

/// Kernels of one value.
const POINT: Window = Window::same([1, 1], [1, 1]);

/// `weight [output, input, 1]` times each utterance of `x [batch, input, frames]` -> `[batch,
/// output, frames]`. The gradient of the weights is summed over the batch at once: a matrix product
/// would make one for each utterance first.
pub fn products(weight: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    match !is_gpu(&x.device()) || is_ours(&x) {
        true => each_convolved(weight, x),
        false => {
            let [output, input, _] = weight.dims();
            weight.reshape([1, output, input]).matmul(x)
        }
    }
}

/// Each matrix of `a [batch, heads, rows, inner]` times that of `b [batch, heads, inner, columns]`
/// -> `[batch, heads, rows, columns]`. Let the smaller factor be `a`: on GPUs it is copied where it
/// is transposed, and its gradient is no part of the pages that activations share.
pub(crate) fn product_each(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    match is_ours(&a) {
        true => grouped(a, b),
        false => a.matmul(b),
    }
}

/// Whether our own convolution computes products with this tensor.
pub(crate) fn is_ours<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && !tf32_allowed() && is_gpu(&x.device())
}

/// [`product`] as a convolution of one pixel for each row.
fn convolved(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let ([rows, inner], [columns, _]) = (x.dims(), weight.dims());
    let (x, weight) = (x.reshape([rows, inner, 1, 1]), weight.reshape([columns, inner, 1, 1]));
    convolve(x, weight, POINT).reshape([rows, columns])
}

/// [`products`] as a convolution.
fn each_convolved(weight: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
    let ([output, input, _], [batch, _, frames]) = (weight.dims(), x.dims());
    let image = x.reshape([batch, input, 1, frames]);
    let y = convolve(image, weight.reshape([output, input, 1, 1]), POINT);
    y.reshape([batch, output, frames])
}

/// [`product_each`] as a convolution with a group for each matrix.
fn grouped(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    let ([batch, heads, rows, inner], [.., columns]) = (a.dims(), b.dims());
    let groups = batch * heads;
    let weight = a.reshape([groups * rows, inner, 1, 1]);
    let image = b.reshape([1, groups * inner, 1, columns]);
    convolve(image, weight, Window { groups, ..POINT }).reshape([batch, heads, rows, columns])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::BackendKind;
    use crate::rng::Stream;
    use burn::tensor::{Device, TensorData};

    fn noise<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
        let mut stream = Stream::new(seed, "product", &[]);
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|_| stream.normal() as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &device.clone().autodiff())
    }

    /// A product and the gradients of its factors.
    fn traced<const A: usize, const B: usize, const C: usize>(
        factors: (Tensor<A>, Tensor<B>),
        multiply: impl Fn(Tensor<A>, Tensor<B>) -> Tensor<C>,
    ) -> [Vec<f32>; 3] {
        let (a, b) = (factors.0.require_grad(), factors.1.require_grad());
        let y = multiply(a.clone(), b.clone());
        let weights = noise(y.dims(), 3, &y.device().inner());
        let gradients = (y.clone() * weights).sum().backward();
        let (a, b) = (a.grad(&gradients).unwrap(), b.grad(&gradients).unwrap());
        [y.into_data(), a.into_data(), b.into_data()].map(|data| data.iter::<f32>().collect())
    }

    fn near(ours: &[Vec<f32>; 3], wanted: &[Vec<f32>; 3]) {
        for (ours, wanted) in ours.iter().zip(wanted) {
            assert_eq!(ours.len(), wanted.len());
            let largest = wanted.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            let off = ours.iter().zip(wanted).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(off <= 1e-5 * largest, "{off} of {largest}");
        }
    }

    #[test]
    fn convolutions_are_products() {
        for kind in BackendKind::ALL {
            let Ok(device) = kind.device(0) else { continue };
            for (rows, inner, columns) in [(1, 1, 1), (5, 7, 3), (16, 33, 40)] {
                let factors =
                    || (noise([rows, inner], 1, &device), noise([columns, inner], 2, &device));
                let plain = |x: Tensor<2>, weight: Tensor<2>| x.matmul(weight.transpose());
                near(&traced(factors(), convolved), &traced(factors(), plain));
            }
            for (batch, input, output, frames) in [(1, 1, 1, 1), (2, 5, 3, 7), (3, 40, 17, 25)] {
                let factors = || {
                    (
                        noise([output, input, 1], 1, &device),
                        noise([batch, input, frames], 2, &device),
                    )
                };
                let plain = |weight: Tensor<3>, x| weight.reshape([1, output, input]).matmul(x);
                near(&traced(factors(), each_convolved), &traced(factors(), plain));
            }
        }
    }

    #[test]
    fn grouped_convolutions_are_products_of_each_matrix() {
        for kind in BackendKind::ALL {
            let Ok(device) = kind.device(0) else { continue };
            for (batch, heads, rows, inner, columns) in
                [(1, 1, 1, 1, 1), (1, 1, 4, 6, 5), (2, 3, 7, 5, 33), (3, 4, 40, 3, 40)]
            {
                // The first factor is a view, as that of attention is.
                let factors = || {
                    (
                        noise([batch, heads, inner, rows], 1, &device),
                        noise([batch, heads, inner, columns], 2, &device),
                    )
                };
                let ours = traced(factors(), |a: Tensor<4>, b| grouped(a.swap_dims(2, 3), b));
                let plain = traced(factors(), |a: Tensor<4>, b| a.swap_dims(2, 3).matmul(b));
                near(&ours, &plain);
            }
        }
    }

    /// On CPUs a product is Burn's, to the bit.
    #[test]
    fn products_on_cpus_are_burns() {
        let device = BackendKind::Flex.device(0).unwrap();
        let factors = || (noise([9, 20], 1, &device), noise([11, 20], 2, &device));
        let plain = |x: Tensor<2>, weight: Tensor<2>| x.matmul(weight.transpose());
        assert_eq!(traced(factors(), product), traced(factors(), plain));
    }
}
