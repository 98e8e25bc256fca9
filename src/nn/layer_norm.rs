//! Layer normalisation over channels.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Init, LAYER_NORM_EPSILON};

/// Normalises the channels of every frame and mel by their own mean and (biased) variance
/// (arXiv 1607.06450), epsilon 1e-6; then a factor and a summand for each channel.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// `[channels]`.
    pub bias: Param<Tensor<1>>,
}

impl LayerNorm {
    /// The layer: weight 1, bias 0.
    pub fn new(init: Init, channels: usize) -> Self {
        Self {
            weight: init.constant("weight", channels, 1.0),
            bias: init.constant("bias", channels, 0.0),
        }
    }

    /// `[batch, channels, ...]` -> the same shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let row = |t: Tensor<1>| -> Tensor<D> {
            let mut shape = [1; D];
            shape[1] = t.dims()[0];
            t.reshape(shape)
        };
        let centered = x.clone() - x.mean_dim(1);
        let variance = (centered.clone() * centered.clone()).mean_dim(1);
        let deviation = (variance + LAYER_NORM_EPSILON).sqrt();
        centered / deviation * row(self.weight.val()) + row(self.bias.val())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn channels_are_normalised_at_each_place() {
        let device = Device::default();
        let mut layer = LayerNorm::new(Init::new(&device, 0), 2);
        layer.weight = Param::from_tensor(Tensor::from_floats([2.0, 3.0], &device));
        layer.bias = Param::from_tensor(Tensor::from_floats([0.0, 1.0], &device));
        // Channels 1 and 5 at the first frame, 0 and 0 at the second.
        let x = Tensor::<3>::from_floats([[[1.0, 0.0], [5.0, 0.0]]], &device);
        let y = layer.forward(x).into_data().try_to_vec::<f32>().unwrap();
        let wanted = [-2.0, 0.0, 4.0, 1.0];
        assert!(y.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{y:?}");
    }
}
