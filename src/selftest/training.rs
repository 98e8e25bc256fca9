//! A whole training step: margin head, gradients, optimizer.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Findings, Subject, numbers, small, tensor, values};
use crate::error::Result;
use crate::losses::{HeadConfig, InterTopK};
use crate::nn::{PoolingKind, collect_named, gradients_named};
use crate::optim::Gate;
use crate::train::{OptimizerConfig, Trainee};

/// Four crops of so many frames, and their speakers.
pub(super) fn batch(frames: usize, device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
    let device = device.clone().autodiff();
    let labels = Tensor::from_data(TensorData::new(vec![0i64, 3, 1, 3], [4]), &device);
    (tensor(numbers(4 * frames * 16), [4, frames, 16], &device), labels)
}

/// Values by name.
pub(super) type Named = Vec<(String, Vec<f32>)>;

/// Loss and all gradients of a trainee in training state.
pub(super) fn gradients(
    trainee: &Trainee,
    frames: usize,
    device: &Device,
) -> (Named, burn::tensor::Gradients) {
    let (x, y) = batch(frames, device);
    let pass = trainee.pass(x, y, 0.2);
    let gradients = pass.loss.backward();
    let mut all: Named = vec![("loss".into(), values(pass.loss.into_data()))];
    let named = gradients_named(trainee, &gradients);
    all.extend(named.into_iter().map(|(n, d)| (format!("gradient of {n}"), values(d))));
    (all, gradients)
}

/// All tensors of a module.
pub(super) fn tensors(module: &impl Module) -> Named {
    collect_named(module).into_iter().map(|(n, d)| (n, values(d))).collect()
}

fn step(device: &Device) -> Result<Named> {
    let head = HeadConfig {
        sub_centers: 2,
        inter_topk: Some(InterTopK { k: 2, penalty: 0.06 }),
        ..HeadConfig::default()
    };
    let trainee =
        Trainee::new(&small("resnet10", PoolingKind::Tstp)?, &head, 5, device, 3)?.train();
    let mut optimizer = OptimizerConfig::default().init()?;
    let (mut all, gradients) = gradients(&trainee, 32, device);
    let gradients = GradientsParams::from_grads(gradients, &trainee);
    let trainee = optimizer.step(0.1, trainee, gradients, Gate::Open(1.0));
    all.extend(tensors(&trainee).into_iter().map(|(n, v)| (format!("{n} after the step"), v)));
    Ok(all)
}

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let (ours, wanted) = (step(&subject.device)?, step(&subject.peer)?);
    findings.all_near("resnet10", &ours, &wanted, subject.tolerance.step);
    Ok(())
}
