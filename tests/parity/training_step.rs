//! Training steps of WeSpeaker's: loss, gradients, BatchNorm buffers, parameters.

use std::collections::HashMap;
use std::path::Path;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use revox::losses::HeadConfig;
use revox::model_file::{ImportOptions, import};
use revox::nn::{Mode, assign_named, collect_named, gradients_named};
use revox::optim::Gate;
use revox::train::{OptimizerConfig, Trainee};

use crate::shared::{Tensors, json, sets};

fn relative_l2(ours: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(ours.len(), wanted.len());
    let difference: f64 = ours.iter().zip(wanted).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (difference / wanted.iter().map(|b| f64::from(*b).powi(2)).sum::<f64>()).sqrt()
}

/// The reference's names: the network's own, and `projection.*`.
fn reference_name(name: &str) -> String {
    name.strip_prefix("network.").unwrap_or(name).to_owned()
}

/// Whether a buffer is a running statistic, not the number of batches behind it.
fn is_moment(name: &str) -> bool {
    name.contains("running_")
}

/// A training that the files of a folder describe.
struct Trained {
    files: &'static str,
    arch: &'static str,
    mels: usize,
}

#[test]
fn three_steps_equal_the_reference() {
    let committed = Trained { files: "train_resnet10_m2", arch: "resnet10", mels: 24 };
    let large = Trained { files: "train_resnet34_m4", arch: "resnet34", mels: 40 };
    for (folder, trained) in sets(("networks", committed), ("fixtures/f2_models", large)) {
        check(&folder, &trained);
    }
}

fn check(folder: &Path, &Trained { files, arch, mels }: &Trained) {
    let t = Tensors::open(folder.join(format!("{files}.safetensors")));
    let losses = json(folder.join(format!("{files}.json")));
    let plain = Device::default();
    let device = Device::default().autodiff();
    let options =
        ImportOptions { arch: Some(arch.into()), mels: Some(mels), ..ImportOptions::default() };
    let (model, head) = import(&folder.join(format!("{files}_init.pt")), &options, &plain).unwrap();
    let trainee = Trainee::new(&model.header.arch, &HeadConfig::default(), 8, &plain, 0).unwrap();
    let trainee =
        Trainee { network: model.network, ..assign_named(trainee, HashMap::from_iter(head.0)) };
    let mut trainee = trainee.train();
    let sgd = "kind = \"sgd\"\nmomentum = 0.9\nnesterov = true\nweight_decay = 1e-4";
    let sgd: OptimizerConfig = toml::from_str(sgd).unwrap();
    let mut optimizer = sgd.init().unwrap();
    let names = t.names();
    let count = |prefix: &str| names.iter().filter(|n| n.starts_with(prefix)).count();
    let labels = t.i64("labels");
    for step in 1..=3 {
        let input =
            Tensor::<3>::from_data(TensorData::new(t.f32("input"), t.shape("input")), &device)
                .require_grad();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels.clone(), [4]), &device);
        let pass = trainee.pass(input.clone(), labels, 0.2);
        let loss = f64::from(pass.loss.clone().into_data().try_to_vec::<f32>().unwrap()[0]);
        let wanted = losses["loss_f64"][step - 1].as_f64().unwrap();
        let tolerance = if step == 1 { 1e-5 } else { 1e-3 };
        assert!(
            (loss - wanted).abs() <= tolerance * wanted,
            "step {step}: loss {loss} against {wanted}"
        );
        let gradients = pass.loss.backward();
        if step == 1 {
            let embeddings = pass.embeddings.into_data().try_to_vec::<f32>().unwrap();
            assert!(relative_l2(&embeddings, &t.f32("step1/emb_f64")) < 1e-5);
            let logits = pass.head.logits.into_data().try_to_vec::<f32>().unwrap();
            assert!(relative_l2(&logits, &t.f32("step1/logits_f64")) < 1e-5);
            let input_gradient =
                input.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
            assert!(relative_l2(&input_gradient, &t.f32("step1/grad_input_f64")) < 1e-4);
            let mut checked = 0;
            for (name, data) in gradients_named(&trainee, &gradients) {
                let wanted = t.f32(&format!("step1/grad_f64/{}", reference_name(&name)));
                let error = relative_l2(&data.try_to_vec::<f32>().unwrap(), &wanted);
                assert!(error < 1e-4, "gradient of {name}: relative error {error}");
                checked += 1;
            }
            assert_eq!(checked, count("step1/grad_f64/"), "every parameter has a gradient");
        }
        let gradients = GradientsParams::from_grads(gradients, &trainee);
        trainee = optimizer.step(0.001, trainee, gradients, Gate::Open(1.0));
        if step == 2 {
            continue;
        }
        let mut checked = 0;
        for (name, data) in collect_named(&trainee) {
            let name = reference_name(&name);
            let kind = if is_moment(&name) { "buf" } else { "after" };
            let wanted = t.f32(&format!("step{step}/{kind}/{name}"));
            let ours = data.try_to_vec::<f32>().unwrap();
            if step == 1 {
                let worst = ours.iter().zip(&wanted).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(worst <= 1e-5, "step 1 {kind} {name}: off by {worst}");
            } else {
                let error = relative_l2(&ours, &wanted);
                assert!(error < 1e-2, "step {step} {kind} {name}: relative error {error}");
            }
            checked += 1;
        }
        let parameters = count(&format!("step{step}/after/"));
        let statistics =
            names.iter().filter(|n| n.starts_with(&format!("step{step}/buf/")) && is_moment(n));
        assert_eq!(checked, parameters + statistics.count(), "parameters and statistics");
    }
    let input = Tensor::<3>::from_data(TensorData::new(t.f32("input"), t.shape("input")), &plain);
    let embeddings =
        trainee.valid().network.forward(input, Mode::Eval).into_data().try_to_vec::<f32>().unwrap();
    assert!(relative_l2(&embeddings, &t.f32("step3/eval_emb")) < 1e-2);
}
