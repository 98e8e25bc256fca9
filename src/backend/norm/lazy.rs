//! Types and shapes of the operations' results, which fusing backends need before they compute
//! anything.

use burn::backend::fusion::custom::TensorSpec;

use super::Norm;
use super::cube::moments_type;

pub(super) fn normalized(
    x: &TensorSpec,
    _other: &TensorSpec,
    _gamma: &TensorSpec,
    _beta: &TensorSpec,
    mean: &TensorSpec,
    var: &TensorSpec,
    _: &Norm,
) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
    let moments = TensorSpec::new([2, x.shape[1]].into(), moments_type(x.dtype));
    (x.clone(), moments, mean.clone(), var.clone())
}

pub(super) fn gradients(
    x: &TensorSpec,
    _y: &TensorSpec,
    gamma: &TensorSpec,
    beta: &TensorSpec,
    moments: &TensorSpec,
    _dy: &TensorSpec,
    norm: &Norm,
) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
    let other = if norm.add { x.clone() } else { moments.clone() };
    (x.clone(), other, gamma.clone(), beta.clone())
}
