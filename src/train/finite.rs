//! A check of a step's gradients before they reach the weights.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::checkpoint::State;
use crate::backend::optim8;
use crate::bytes::counted;
use crate::error::{Error, Result};
use crate::optim::Left;

/// Training stops after so many steps in a row without finite gradients: data alone would not cause
/// so many.
const PATIENCE: usize = 10;

/// Passes the gradients of a module on, one by one and flat.
fn each<M: Module>(module: &M, gradients: &GradientsParams, take: impl FnMut(Tensor<1>)) {
    struct Each<'a, F> {
        gradients: &'a GradientsParams,
        take: F,
    }

    impl<F: FnMut(Tensor<1>)> ModuleVisitor for Each<'_, F> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                let count = gradient.shape().num_elements();
                (self.take)(gradient.reshape([count]));
            }
        }
    }

    module.visit(&mut Each { gradients, take });
}

/// How many values of a module's gradients are infinite or NaN. It waits for the device once.
pub(crate) fn not_finite<M: Module>(module: &M, gradients: &GradientsParams) -> u64 {
    let mut found = Vec::new();
    each(module, gradients, |gradient| found.push(optim8::not_finite(gradient)));
    match found.is_empty() {
        true => 0,
        false => Tensor::cat(found, 0).sum().into_scalar::<f64>() as u64,
    }
}

/// The decision about a step, left to the device: its gate (a factor of the gradients, or 0 if a
/// value of the loss `[parts]` or of the gradients is infinite or NaN), and how many values of the
/// gradients are so, both `[1]`. It does not wait for the device.
pub(crate) fn gate<M: Module>(
    module: &M,
    gradients: &GradientsParams,
    loss: &Tensor<1>,
    factor: f32,
) -> (Tensor<1>, Tensor<1>) {
    let mut all = Vec::new();
    each(module, gradients, |gradient| all.push(gradient));
    optim8::gate(all, Some(loss.clone()), factor)
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
    let what = format!("{bad} values of the gradients are not finite");
    let kept = "weights and optimizer stay as they are";
    counted_bad(state, iteration, [&what, kept, "the weights are those before them"], warn)
}

/// Counts a step that left out parameters, because their gradients are not finite, and changed the
/// others.
///
/// # Errors
/// Too many such steps in a row.
pub(super) fn leave(
    state: &mut State,
    iteration: usize,
    left: Left,
    warn: &dyn Fn(&str),
) -> Result<()> {
    let Left { parameters, values } = left;
    let what = format!(
        "{values} values of the gradients of {} are not finite",
        counted(parameters, "parameter")
    );
    let kept = "these and their optimizer states stay as they are, the others have changed";
    counted_bad(state, iteration, [&what, kept, "parameters with finite gradients changed"], warn)
}

/// Counts a step and tells of it: what was found, what stays, and what too many such steps mean.
///
/// # Errors
/// Too many such steps in a row.
fn counted_bad(
    state: &mut State,
    iteration: usize,
    [what, kept, after]: [&str; 3],
    warn: &dyn Fn(&str),
) -> Result<()> {
    state.skipped += 1;
    state.skipped_in_a_row += 1;
    let what = format!("step {iteration} (epoch {}): {what}", state.epoch);
    if state.skipped_in_a_row == PATIENCE {
        return Err(Error::Training(format!(
            "{what}, in the {PATIENCE}th step in a row; {after}. A lower learning rate may help"
        )));
    }
    warn(&format!("{what}; {kept}"));
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

    /// The device decides as the host does, and about the loss too.
    #[test]
    fn the_gate_is_open_for_finite_values_only() {
        let device = Device::default();
        let module = LinearConfig::new(2, 1).init(&device);
        let decided = |weight: [f32; 2], loss: f32| {
            let mut gradients = GradientsParams::new();
            let weight = Tensor::<2>::from_floats([[weight[0]], [weight[1]]], &device);
            gradients.register(module.weight.id, weight);
            let loss = Tensor::<1>::from_floats([loss], &device);
            let (gate, bad) = gate(&module, &gradients, &loss, 0.25);
            [gate, bad].map(Tensor::into_scalar::<f32>)
        };
        assert_eq!(decided([1.0, -2.0], 0.5), [0.25, 0.0]);
        assert_eq!(decided([f32::INFINITY, f32::NAN], 0.5), [0.0, 2.0]);
        assert_eq!(decided([1.0, 2.0], f32::NAN), [0.0, 0.0]);
    }

    #[test]
    fn parameters_that_are_left_are_told_and_too_many_such_steps_are_an_error() {
        let mut state = State::start(Identity::default());
        let told = RefCell::new(Vec::new());
        let mut leave = |i| {
            let left = Left { parameters: 2, values: 7 };
            leave(&mut state, i, left, &|line: &str| told.borrow_mut().push(line.to_owned()))
        };
        (0..9).for_each(|i| leave(i).unwrap());
        let error = leave(9).unwrap_err().to_string();
        assert!(error.contains("step 9 (epoch 1)") && error.contains("10th step"), "{error}");
        let told = told.borrow();
        assert!(told[0].contains("7 values of the gradients of 2 parameters"), "{}", told[0]);
        assert_eq!(told.len(), 9);
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
