//! PyTorch's optimizers: trajectories of twelve steps.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use revox::optim::Gate;
use revox::train::OptimizerConfig;

use crate::shared::{Tensors, sets};

#[derive(Module, Debug)]
struct One {
    p: Param<Tensor<1>>,
}

/// The optimizer of a recipe's section.
fn optimizer(section: &str) -> OptimizerConfig {
    toml::from_str(section).unwrap_or_else(|e| panic!("{section}: {e}"))
}

fn sgd(momentum: f64, nesterov: bool, weight_decay: f64) -> OptimizerConfig {
    optimizer(&format!(
        "kind = \"sgd\"\nmomentum = {momentum:?}\nnesterov = {nesterov}\n\
         weight_decay = {weight_decay:?}"
    ))
}

fn adamw(weight_decay: f64) -> OptimizerConfig {
    optimizer(&format!("kind = \"adamw\"\nweight_decay = {weight_decay:?}"))
}

fn adam(weight_decay: f64) -> OptimizerConfig {
    optimizer(&format!("kind = \"adam\"\nweight_decay = {weight_decay:?}"))
}

fn check(case: &str, config: &OptimizerConfig, lr: f64) {
    for (folder, ()) in sets(("eight_bit", ()), ("fixtures/f6_8bit", ())) {
        follow(&Tensors::open(folder.join("optim.safetensors")), case, config, lr);
    }
}

fn follow(t: &Tensors, case: &str, config: &OptimizerConfig, lr: f64) {
    let device = Device::default();
    let start = TensorData::new(t.f32("optim32/p0"), [64]);
    let mut module = One { p: Param::from_data(start, &device) }.train();
    let mut optimizer = config.init().unwrap();
    let grads = t.f32("optim32/grads");
    let wanted = t.f32(&format!("optim32/{case}/trajectory"));
    assert_eq!((grads.len(), wanted.len()), (12 * 64, 12 * 64), "{case}");
    for (step, (grad, wanted)) in grads.chunks_exact(64).zip(wanted.chunks_exact(64)).enumerate() {
        let mut gradients = GradientsParams::new();
        gradients.register(
            module.p.id,
            Tensor::<1>::from_data(TensorData::new(grad.to_vec(), [64]), &device),
        );
        module = optimizer.step(lr, module, gradients, Gate::Open(1.0));
        let ours = module.p.val().into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(ours.len(), 64, "{case} step {step}");
        for (a, b) in ours.iter().zip(wanted) {
            assert!(
                (a - b).abs() <= 1e-6 * b.abs().max(1.0),
                "{case} step {step}: {a} against {b}"
            );
        }
    }
}

#[test]
fn sgd_equals_torch() {
    check("sgd_plain", &sgd(0.0, false, 0.0), 0.1);
    check("sgd_mom", &sgd(0.9, false, 0.0), 0.1);
    check("sgd_mom_wd", &sgd(0.9, false, 0.01), 0.1);
    check("sgd_nesterov_wd", &sgd(0.9, true, 1e-4), 0.1);
    check("sgd_nesterov_bigwd", &sgd(0.9, true, 0.05), 0.1);
}

#[test]
fn adam_equals_torch() {
    check("adam", &adam(0.0), 0.01);
    check("adam_l2", &adam(0.1), 0.01);
}

#[test]
fn adamw_equals_torch() {
    check("adam", &adamw(0.0), 0.01);
    check("adamw", &adamw(0.1), 0.01);
}

#[test]
fn impossible_settings_are_errors() {
    for section in [
        "kind = \"sgd\"\nmomentum = 1.0\nnesterov = false\nweight_decay = 0.0",
        "kind = \"sgd\"\nmomentum = 0.0\nnesterov = true\nweight_decay = 0.0",
        "kind = \"sgd\"\nmomentum = 0.9\nnesterov = true\nweight_decay = nan",
        "kind = \"adam\"\nbeta2 = 1.0",
        "kind = \"adamw\"\nepsilon = 0.0",
    ] {
        // The section is read: what is wrong with it is its numbers.
        let config = optimizer(section);
        assert!(config.init().is_err(), "{config:?}");
    }
}
