//! Whether a step is made at all: decided on the device, so that nobody waits for it.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch};
use burn::tensor::{Device, Tensor};

use super::{Floats, Optim8Ops, flat};

/// Lets a step's gradients through: multiplied by a factor, or not at all. Behind a closed gate
/// parameters and states stay as they are, to the bit.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a step has one")]
pub enum Gate {
    /// Known on the host: the factor of the gradients. 0 closes the gate.
    Open(f32),
    /// Decided on the device: the factor as an f32 tensor `[1]`. 0 closes the gate.
    Device(Tensor<1>),
}

impl Gate {
    /// The factor. This waits for the device if it decides.
    pub fn factor(&self) -> f32 {
        match self {
            Self::Open(factor) => *factor,
            Self::Device(gate) => gate.clone().into_scalar::<f32>(),
        }
    }

    /// As operations take it: a tensor, or none and the factor.
    pub(super) fn parts(&self) -> (Floats<Dispatch>, f32) {
        match self {
            Self::Open(factor) => (Floats(Vec::new()), *factor),
            Self::Device(gate) => (Floats(vec![gate.clone().into_dispatch()]), 1.0),
        }
    }
}

/// A gate as backends see it.
pub(super) struct Opening<B: Backend> {
    /// `[1]`; without it the factor counts.
    pub gate: Option<FloatTensor<B>>,
    pub factor: f32,
}

impl<B: Backend> Opening<B> {
    pub fn new(gate: Floats<B>, factor: f32) -> Self {
        Self { gate: gate.0.into_iter().next(), factor }
    }
}

/// The gate of a step `[1]`, and how many values of the gradients are infinite or NaN `[1]`. Both
/// are f32 tensors; this does not wait for the device. The gate is `factor`, or 0 if any value of
/// the gradients or of `extra`, such as the loss, is not finite. All tensors are on one device.
pub fn gate(
    gradients: Vec<Tensor<1>>,
    extra: Option<Tensor<1>>,
    factor: f32,
) -> (Tensor<1>, Tensor<1>) {
    let list = |tensors: Vec<Tensor<1>>| -> Floats<Dispatch> {
        Floats(tensors.into_iter().map(Tensor::into_dispatch).collect())
    };
    let (gradients, extra) =
        (list(gradients), list(extra.map(Tensor::inner).into_iter().collect()));
    if gradients.0.is_empty() && extra.0.is_empty() {
        let on = |x: f32| Tensor::from_floats([x], &Device::default());
        return (on(factor), on(0.0));
    }
    let (gate, bad) = <Dispatch as Optim8Ops>::gate(gradients, extra, factor);
    (Tensor::from_dispatch(gate), Tensor::from_dispatch(bad))
}

/// How many values are infinite or NaN, as a tensor `[1]`. It does not wait for the device.
pub fn not_finite<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Optim8Ops>::not_finite(flat(x).into_dispatch()))
}
