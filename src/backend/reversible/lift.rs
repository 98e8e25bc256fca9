//! Between a backend's own tensors and Burn's high-level ones.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, BackendTensor, Dispatch, DispatchKindConversion, DispatchTensor};
use burn::tensor::Tensor;

/// A backend whose tensors are high-level tensors too. The layers of a body are written for those.
pub trait Lift: Backend {
    /// The same tensor, `[batch, channels, mels, frames]`, at the high level.
    fn lift(x: FloatTensor<Self>) -> Tensor<4>;

    /// The same tensor of this backend.
    ///
    /// # Errors
    /// The tensor is on another backend, or on the tape where this backend has none (and the other
    /// way round).
    fn lower(x: DispatchTensor) -> Result<FloatTensor<Self>, String>;
}

/// The methods for backends that Burn converts to and from.
macro_rules! converted {
    () => {
        fn lift(x: FloatTensor<Self>) -> Tensor<4> {
            let x = BackendTensor::<Self>::Float(x);
            Tensor::from_dispatch(<DispatchTensor as DispatchKindConversion<Self>>::from_backend(x))
        }

        fn lower(x: DispatchTensor) -> Result<FloatTensor<Self>, String> {
            <DispatchTensor as DispatchKindConversion<Self>>::try_into_backend(x)
                .map(BackendTensor::float)
        }
    };
}

#[cfg(feature = "flex")]
impl Lift for burn::backend::Flex {
    converted!();
}

#[cfg(feature = "ndarray")]
impl Lift for burn::backend::NdArray {
    converted!();
}

#[cfg(feature = "cube")]
impl Lift for burn::backend::Cube {
    converted!();
}

impl<B: Backend, C: CheckpointStrategy> Lift for Autodiff<B, C>
where
    DispatchTensor: DispatchKindConversion<Self>,
{
    converted!();
}

// High-level tensors are made of its tensors.
impl Lift for Dispatch {
    fn lift(x: DispatchTensor) -> Tensor<4> {
        Tensor::from_dispatch(x)
    }

    fn lower(x: DispatchTensor) -> Result<DispatchTensor, String> {
        Ok(x)
    }
}
