//! What tests compare of a layer's backward pass.

use burn::backend::DispatchTensor;
use burn::tensor::Tensor;

/// The bits of a tensor of one axis or four.
pub(super) fn bits(x: DispatchTensor, axes: usize) -> Vec<u32> {
    let data = match axes {
        1 => Tensor::<1>::from_dispatch(x).into_data(),
        _ => Tensor::<4>::from_dispatch(x).into_data(),
    };
    data.iter::<f32>().map(f32::to_bits).collect()
}

/// The bits of output, input's gradient and parameters' gradients by their numbers.
#[derive(Debug, PartialEq)]
pub(super) struct Pulled {
    pub output: Vec<u32>,
    pub input: Option<Vec<u32>>,
    pub parameters: Vec<(usize, Vec<u32>)>,
}
