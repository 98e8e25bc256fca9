//! A check of a step's gradients before they reach the weights.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::checkpoint::State;
use crate::backend::optim8;
use crate::error::{Error, Result};

/// Training stops after so many steps in a row without finite gradients: data alone would not cause
/// so many.
const PATIENCE: usize = 10;

/// How many values of a module's gradients are infinite or NaN. It waits for the device once.
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

/// Counts a step that is left out because its gradients are not finite.
///
/// # Errors
/// Too many such steps in a row.
pub(super) fn skip(
    state: &mut State,
    iteration: usize,
    bad: u64,
    warn: &dyn Fn(&str),
) -> Result<()> {
    state.skipped += 1;
    state.skipped_in_a_row += 1;
    let what = format!(
        "step {iteration} (epoch {}): {bad} values of the gradients are not finite",
        state.epoch
    );
    if state.skipped_in_a_row == PATIENCE {
        return Err(Error::Training(format!(
            "{what}, in the {PATIENCE}th step in a row; the weights are those before them. A lower \
             learning rate may help"
        )));
    }
    warn(&format!("{what}; weights and optimizer stay as they are"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Identity;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;
    use std::cell::RefCell;

    #[test]
    fn every_gradient_of_the_module_counts() {
        let device = Device::default();
        let module = LinearConfig::new(3, 2).init(&device);
        let mut gradients = GradientsParams::new();
        assert_eq!(not_finite(&module, &gradients), 0);
        gradients
            .register(module.weight.id, Tensor::<2>::from_floats([[1.0, f32::NAN]; 3], &device));
        gradients.register(
            module.bias.as_ref().unwrap().id,
            Tensor::<1>::from_floats([0.0, f32::INFINITY], &device),
        );
        assert_eq!(not_finite(&module, &gradients), 4);
    }

    #[test]
    fn skipped_steps_are_told_and_too_many_in_a_row_are_an_error() {
        let mut state = State::start(Identity::default());
        let told = RefCell::new(Vec::new());
        let skip = |state: &mut State, i| {
            skip(state, i, 3, &|line: &str| told.borrow_mut().push(line.to_owned()))
        };
        (0..8).for_each(|i| skip(&mut state, i).unwrap());
        state.skipped_in_a_row = 0; // a step that was made
        (9..18).for_each(|i| skip(&mut state, i).unwrap());
        let error = skip(&mut state, 18).unwrap_err().to_string();
        assert!(
            error.contains("step 18 (epoch 1): 3 values") && error.contains("10th step in a row"),
            "{error}"
        );
        assert_eq!((state.skipped, told.borrow().len()), (18, 17));
        assert!(told.borrow()[0].starts_with("step 0 (epoch 1)"), "{:?}", told.borrow());
    }
}
