//! The weighted sum of several values (arXiv 2407.18223).

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::Init;

/// A sum whose weights, one for each value and channel, are a softmax over the values.
#[derive(Module, Debug)]
pub struct Mix {
    /// `[1, values, channels, 1]`, at the layer's own name.
    unnamed: Param<Tensor<4>>,
}

impl Mix {
    /// The sum of so many values. All weigh the same at first.
    pub fn new(init: Init, values: usize, channels: usize) -> Self {
        Self { unnamed: init.here([1, values, channels, 1], 0.0) }
    }

    /// Values `[batch, channels, frames]` -> their sum. A value that is alone is the sum, whatever
    /// its weight.
    ///
    /// # Panics
    /// There are more or fewer values than weights.
    pub fn forward(&self, mut all: Vec<Tensor<3>>) -> Tensor<3> {
        let [_, values, channels, _] = self.unnamed.lazy_shape().dims();
        assert_eq!(all.len(), values, "values to be mixed");
        if values == 1 {
            return all.remove(0);
        }
        let weights = softmax(self.unnamed.val(), 1);
        let weight = |i: usize| weights.clone().narrow(1, i, 1).reshape([1, channels, 1]);
        let terms = all.into_iter().enumerate().map(|(i, x)| x * weight(i));
        terms.reduce(|sum, x| sum + x).expect("there are values")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn values_weigh_by_the_softmax_of_their_channel() {
        let device = Device::default();
        let weights = [[[[0.0], [0.0]], [[0.0], [3f32.ln()]]]];
        let mix = Mix { unnamed: Param::from_tensor(Tensor::from_floats(weights, &device)) };
        let value = |v: f32| Tensor::<3>::full([1, 2, 1], v, &device);
        let y = mix.forward(vec![value(4.0), value(8.0)]).into_data().try_to_vec::<f32>().unwrap();
        assert!((y[0] - 6.0).abs() < 1e-6 && (y[1] - 7.0).abs() < 1e-6, "{y:?}");
        let alone = Mix::new(Init::new(&device, 0), 1, 1);
        assert_eq!(alone.forward(vec![value(5.0)]).into_data(), value(5.0).into_data());
    }
}
