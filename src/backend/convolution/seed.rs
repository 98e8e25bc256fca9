//! Convolutions whose output nobody wants: on a tape they stand for their gradients alone.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::Tensor;

use super::{ConvolutionOps, Window, autodiff};
use crate::backend::reversible::zero;

/// Gradients of a convolution without the convolution.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait ConvolutionSeedOps: ConvolutionOps {
    /// A scalar `[1]` whose derivative by what [`ConvolutionOps::convolve`] would make is `dy`. Its
    /// value is 0.
    fn seed_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        // Without a tape there is no derivative.
        let _ = window;
        drop((x, weight));
        zero::<Self>(&dy)
    }
}

#[cfg(feature = "flex")]
impl ConvolutionSeedOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl ConvolutionSeedOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl ConvolutionSeedOps for burn::backend::Cube {}

impl<B: ConvolutionSeedOps, C: CheckpointStrategy> ConvolutionSeedOps for Autodiff<B, C> {
    fn seed_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        autodiff::seed::<B, C>([x, weight, dy], window)
    }
}

/// A scalar on the tape whose derivative by the output of [`convolve`](super::convolve) is `dy`.
/// The output is not made.
pub fn seed_convolution(
    x: Tensor<4>,
    weight: Tensor<4>,
    dy: Tensor<4>,
    window: Window,
) -> Tensor<1> {
    let [x, weight, dy] = [x, weight, dy].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as ConvolutionSeedOps>::seed_convolution(x, weight, dy, window))
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::super::convolve;
    use super::*;
    use crate::backend::BackendKind;
    use crate::backend::reversible::root;
    use crate::rng::Stream;

    /// Gradients are those of the convolution, to the bit, for whatever of input and weights is
    /// tracked.
    #[test]
    fn gradients_need_no_output() {
        let window = Window { stride: [2, 1], padding: [1, 0], dilation: [1, 2], groups: 2 };
        for kind in [BackendKind::Flex, BackendKind::Ndarray] {
            let Ok(device) = kind.device(0) else { continue };
            let noise = |shape: [usize; 4], seed: u64| {
                let mut stream = Stream::new(seed, "seed", &[]);
                let count = shape.iter().product::<usize>();
                let values: Vec<f32> = (0..count).map(|_| stream.normal() as f32).collect();
                Tensor::<4>::from_data(TensorData::new(values, shape), &device)
            };
            let leaf = |x: Tensor<4>, tracked: bool| match tracked {
                true => x.autodiff().require_grad(),
                false => x.autodiff(),
            };
            let (image, weight) = (noise([2, 4, 7, 6], 1), noise([4, 2, 3, 2], 2));
            let size = convolve(image.clone(), weight.clone(), window).dims();
            for tracked in [[true, true], [true, false], [false, true]] {
                let run = |seeded: bool| {
                    let x = leaf(image.clone(), tracked[0]);
                    let w = leaf(weight.clone(), tracked[1]);
                    let leaves = [x.clone(), w.clone()];
                    let scalar = if seeded {
                        let dy = noise(size, 3);
                        seed_convolution(x, w, dy, window)
                    } else {
                        let y = convolve(x, w, window);
                        root(y, noise(size, 3))
                    };
                    let found = scalar.backward();
                    leaves.map(|leaf| leaf.grad(&found).map(Tensor::into_data))
                };
                let (seeded, wanted) = (run(true), run(false));
                assert_eq!(seeded, wanted, "{kind:?} {tracked:?}");
                assert_eq!(seeded.map(|gradient| gradient.is_some()), tracked);
            }
            let dy = noise(size, 3);
            let (x, w) = (image.autodiff(), weight.autodiff());
            assert!(!seed_convolution(x, w, dy, window).is_tracked(), "nothing is");
        }
    }
}
