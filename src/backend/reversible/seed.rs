//! Where a private tape starts to run backwards: a scalar whose derivative is given.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

/// Scalars with a derivative that is given.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait SeedOps: Backend {
    /// A scalar `[1]` whose derivative by `y` is `dy`, without the multiplication and sum of `(y *
    /// dy).sum()`. Its value is 0.
    fn seed(y: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        // Without a tape there is no derivative.
        drop(dy);
        zero::<Self>(&y)
    }
}

#[cfg(feature = "flex")]
impl SeedOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl SeedOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl SeedOps for burn::backend::Cube {}

/// [`SeedOps::seed`] of high-level tensors.
pub(crate) fn seed<const D: usize>(y: Tensor<D>, dy: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as SeedOps>::seed(y.into_dispatch(), dy.into_dispatch()))
}

/// What such a scalar holds.
pub(in crate::backend) fn zero<B: Backend>(like: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros([1].into(), &like.device(), like.dtype().into())
}

impl<B: SeedOps, C: CheckpointStrategy> SeedOps for Autodiff<B, C> {
    fn seed(y: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        let zero = zero::<B>(y.primitive());
        match Seed.prepare::<C>([y.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(dy.into_primitive(), zero),
            OpsKind::UnTracked(prepared) => prepared.finish(zero),
        }
    }
}

#[derive(Debug)]
struct Seed;

impl<B: SeedOps> Backward<B, 1> for Seed {
    /// The derivative.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        gradients.consume::<B>(&ops.node);
        let [y] = ops.parents;
        if let Some(y) = y {
            gradients.register::<B>(y.id, ops.state);
        }
    }
}
