//! A linear layer with PyTorch's weight layout.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Init;
use crate::backend::{product, products};

/// y = x W^T + b.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[output, input]`.
    pub weight: Param<Tensor<2>>,
    /// `[output]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// The layer, initialised as PyTorch does: weight and bias uniform within 1 / sqrt(input).
    pub fn new(init: Init, input: usize, output: usize) -> Self {
        let bound = 1.0 / (input as f64).sqrt();
        Self {
            weight: init.uniform("weight", [output, input], bound),
            bias: init.uniform("bias", [output], bound),
        }
    }

    /// `[batch, input]` -> `[batch, output]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        product(x, self.weight.val()) + self.bias.val().unsqueeze()
    }

    /// Each frame: `[batch, input, frames]` -> `[batch, output, frames]`.
    pub fn forward_frames(&self, x: Tensor<3>) -> Tensor<3> {
        let weight = self.weight.val();
        let [output, input] = weight.dims();
        let y = products(weight.reshape([output, input, 1]), x);
        y + self.bias.val().reshape([1, output, 1])
    }
}
