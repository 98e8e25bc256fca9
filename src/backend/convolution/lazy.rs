//! Types and shapes of the results, which fusing backends need before they compute anything.

use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::Shape;

use super::Window;

pub(super) fn convolved(x: &TensorSpec, weight: &TensorSpec, window: &Window) -> TensorSpec {
    let ([batch, _, mels, frames], [output, _, rows, columns]) =
        (x.shape.dims::<4>(), weight.shape.dims::<4>());
    let [mels, frames] = window.output([mels, frames], [rows, columns]);
    TensorSpec::new([batch, output, mels, frames].into(), x.dtype)
}

pub(super) fn weights(
    x: &TensorSpec,
    dy: &TensorSpec,
    &[rows, columns]: &[usize; 2],
    window: &Window,
) -> TensorSpec {
    let ([_, input, ..], [_, output, ..]) = (x.shape.dims::<4>(), dy.shape.dims::<4>());
    TensorSpec::new([output, input / window.groups, rows, columns].into(), x.dtype)
}

pub(super) fn input(_: &TensorSpec, dy: &TensorSpec, shape: &Shape, _: &Window) -> TensorSpec {
    TensorSpec::new(shape.clone(), dy.dtype)
}
