//! PyTorch's optimizers, fixture f6 `optim32`: trajectories of twelve steps.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use revox::train::OptimizerConfig;

use crate::shared::Tensors;
use crate::shared_or_skip;

#[derive(Module, Debug)]
struct One {
    p: Param<Tensor<1>>,
}

fn check(case: &str, config: OptimizerConfig, lr: f64) {
    let t = Tensors::open(shared_or_skip!("fixtures/f6_8bit/optim.safetensors"));
    let device = Device::default();
    let start = TensorData::new(t.f32("optim32/p0"), [64]);
    let mut module = One { p: Param::from_data(start, &device) }.train();
    let mut optimizer = config.init().unwrap();
    let grads = t.f32("optim32/grads");
    let wanted = t.f32(&format!("optim32/{case}/trajectory"));
    for (step, (grad, wanted)) in grads.chunks_exact(64).zip(wanted.chunks_exact(64)).enumerate() {
        let mut gradients = GradientsParams::new();
        gradients.register(
            module.p.id,
            Tensor::<1>::from_data(TensorData::new(grad.to_vec(), [64]), &device),
        );
        module = optimizer.step(lr, module, gradients);
        let ours = module.p.val().into_data().try_to_vec::<f32>().unwrap();
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
    let sgd = |momentum, nesterov, weight_decay| OptimizerConfig::Sgd {
        momentum,
        nesterov,
        weight_decay,
    };
    check("sgd_plain", sgd(0.0, false, 0.0), 0.1);
    check("sgd_mom", sgd(0.9, false, 0.0), 0.1);
    check("sgd_mom_wd", sgd(0.9, false, 0.01), 0.1);
    check("sgd_nesterov_wd", sgd(0.9, true, 1e-4), 0.1);
    check("sgd_nesterov_bigwd", sgd(0.9, true, 0.05), 0.1);
}

#[test]
fn adamw_equals_torch() {
    let adamw = |weight_decay| OptimizerConfig::AdamW {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay,
    };
    check("adam", adamw(0.0), 0.01);
    check("adamw", adamw(0.1), 0.01);
}

#[test]
fn impossible_settings_are_errors() {
    for config in [
        OptimizerConfig::Sgd { momentum: 1.0, nesterov: false, weight_decay: 0.0 },
        OptimizerConfig::Sgd { momentum: 0.0, nesterov: true, weight_decay: 0.0 },
        OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: f64::NAN },
        OptimizerConfig::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 0.0, weight_decay: 0.0 },
    ] {
        assert!(config.init().is_err(), "{config:?}");
    }
}
