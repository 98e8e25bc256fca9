//! Depthwise convolutions whose output nobody wants; see
//! [`seed_convolution`](crate::backend::convolution::seed_convolution).

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::Tensor;

use super::{DepthwiseOps, autodiff};
use crate::backend::reversible::zero;

/// Gradients of a depthwise convolution without the convolution.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait DepthwiseSeedOps: DepthwiseOps {
    /// A scalar `[1]` whose derivative by what [`DepthwiseOps::depthwise`] would make is `dy`. Its
    /// value is 0.
    fn seed_depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        // Without a tape there is no derivative.
        drop((x, weight));
        zero::<Self>(&dy)
    }
}

#[cfg(feature = "flex")]
impl DepthwiseSeedOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl DepthwiseSeedOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl DepthwiseSeedOps for burn::backend::Cube {}

impl<B: DepthwiseSeedOps, C: CheckpointStrategy> DepthwiseSeedOps for Autodiff<B, C> {
    fn seed_depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        autodiff::seed::<B, C>([x, weight, dy])
    }
}

/// A scalar on the tape whose derivative by the output of [`depthwise`](super::depthwise()) is
/// `dy`. The output is not made.
pub fn seed_depthwise(x: Tensor<4>, weight: Tensor<4>, dy: Tensor<4>) -> Tensor<1> {
    let [x, weight, dy] = [x, weight, dy].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as DepthwiseSeedOps>::seed_depthwise(x, weight, dy))
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::super::depthwise;
    use super::*;
    use crate::backend::BackendKind;
    use crate::backend::reversible::root;
    use crate::rng::Stream;

    const SIZE: [usize; 4] = [2, 4, 7, 6];

    /// Gradients are those of the convolution, to the bit, for whatever of input and weights is
    /// tracked.
    #[test]
    fn gradients_need_no_output() {
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
            let (image, weight) = (noise(SIZE, 1), noise([4, 1, 3, 3], 2));
            for tracked in [[true, true], [true, false], [false, true]] {
                let run = |seeded: bool| {
                    let x = leaf(image.clone(), tracked[0]);
                    let w = leaf(weight.clone(), tracked[1]);
                    let leaves = [x.clone(), w.clone()];
                    let scalar = if seeded {
                        let dy = noise(SIZE, 3);
                        seed_depthwise(x, w, dy)
                    } else {
                        let y = depthwise(x, w);
                        root(y, noise(SIZE, 3))
                    };
                    let found = scalar.backward();
                    leaves.map(|leaf| leaf.grad(&found).map(Tensor::into_data))
                };
                let (seeded, wanted) = (run(true), run(false));
                assert_eq!(seeded, wanted, "{kind:?} {tracked:?}");
                assert_eq!(seeded.map(|gradient| gradient.is_some()), tracked);
            }
            let dy = noise(SIZE, 3);
            let (x, w) = (image.autodiff(), weight.autodiff());
            assert!(!seed_depthwise(x, w, dy).is_tracked(), "nothing is");
        }
    }
}
