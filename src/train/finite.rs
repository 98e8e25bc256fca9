//! A look at a step's gradients before they reach the weights.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::backend::optim8;

/// Steps in a row without a usable gradient after which training stops: by then it is not the data.
pub(super) const PATIENCE: usize = 10;

/// How many values of the gradients of a module are infinite or not a number. The device is waited for once.
pub fn not_finite<M: Module>(module: &M, gradients: &GradientsParams) -> u64 {
    struct Counts<'a> {
        gradients: &'a GradientsParams,
        found: Vec<Tensor<1>>,
    }

    impl ModuleVisitor for Counts<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.extend(self.gradients.get::<D>(param.id).map(optim8::not_finite));
        }
    }

    let mut counts = Counts { gradients, found: Vec::new() };
    module.visit(&mut counts);
    match counts.found.is_empty() {
        true => 0,
        false => Tensor::cat(counts.found, 0).sum().into_scalar::<f64>() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    #[test]
    fn every_gradient_of_the_module_counts() {
        let device = Device::default();
        let module = LinearConfig::new(3, 2).init(&device);
        let mut gradients = GradientsParams::new();
        assert_eq!(not_finite(&module, &gradients), 0);
        gradients.register(module.weight.id, Tensor::<2>::from_floats([[1.0, f32::NAN]; 3], &device));
        gradients.register(module.bias.as_ref().unwrap().id, Tensor::<1>::from_floats([0.0, f32::INFINITY], &device));
        assert_eq!(not_finite(&module, &gradients), 4);
    }
}
