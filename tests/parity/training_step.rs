//! Training steps of WeSpeaker's: loss, gradients, BatchNorm buffers, parameters.

use std::collections::HashMap;
use std::path::Path;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use revox::losses::HeadConfig;
use revox::model_file::{ImportOptions, import};
use revox::nn::{Mode, assign_named, collect_named, gradients_named, names_and_shapes};
use revox::optim::Gate;
use revox::selftest::reference::procedural;
use revox::train::{OptimizerConfig, Trainee};

use crate::shared::{Tensors, json, sets};
use crate::shared_or_skip;
use crate::wespeaker::architecture;

fn relative_l2(ours: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(ours.len(), wanted.len());
    let difference: f64 = ours.iter().zip(wanted).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (difference / wanted.iter().map(|b| f64::from(*b).powi(2)).sum::<f64>()).sqrt()
}

/// The largest difference of two values.
fn worst(ours: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(ours.len(), wanted.len());
    ours.iter().zip(wanted).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()))
}

/// The reference's names: the network's own, and `projection.*`.
fn reference_name(name: &str) -> String {
    name.strip_prefix("network.").unwrap_or(name).to_owned()
}

/// Whether a buffer is a running statistic, not the number of batches behind it.
fn is_moment(name: &str) -> bool {
    name.contains("running_")
}

/// Tensors whose names begin so.
fn count(t: &Tensors, prefix: &str) -> usize {
    t.names().iter().filter(|name| name.starts_with(prefix)).count()
}

/// Running statistics whose names begin so.
fn count_moments(t: &Tensors, prefix: &str) -> usize {
    t.names().iter().filter(|name| name.starts_with(prefix) && is_moment(name)).count()
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec::<f32>().unwrap()
}

/// The features of a file's batch.
fn features(t: &Tensors, device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(t.f32("input"), t.shape("input")), device)
}

/// The optimizer of all these trainings.
fn sgd() -> OptimizerConfig {
    toml::from_str("kind = \"sgd\"\nmomentum = 0.9\nnesterov = true\nweight_decay = 1e-4").unwrap()
}

/// A forward and a backward pass.
struct Passes {
    embeddings: Vec<f32>,
    logits: Vec<f32>,
    loss: f64,
    input_gradient: Vec<f32>,
    gradients: Gradients,
}

impl Passes {
    /// Those of a file's batch, with margin 0.2.
    fn run(t: &Tensors, trainee: &Trainee, device: &Device) -> Self {
        let (input, labels) = (features(t, device).require_grad(), t.i64("labels"));
        let batch = labels.len();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [batch]), device);
        let pass = trainee.pass(input.clone(), labels, 0.2);
        let loss = f64::from(values(pass.loss.clone())[0]);
        let gradients = pass.loss.backward();
        Self {
            embeddings: values(pass.embeddings),
            logits: values(pass.head.logits),
            loss,
            input_gradient: values(input.grad(&gradients).unwrap()),
            gradients,
        }
    }

    /// Compares with the first step of a file. Gradients named in `zero` are rounding noise.
    fn compare(&self, t: &Tensors, trainee: &Trainee, near: Near, zero: &[String]) {
        for (what, ours, most) in [
            ("emb_f64", &self.embeddings, near.outputs),
            ("logits_f64", &self.logits, near.outputs),
            ("grad_input_f64", &self.input_gradient, near.gradients),
        ] {
            let error = relative_l2(ours, &t.f32(&format!("step1/{what}")));
            assert!(error < most, "{what}: relative error {error}");
        }
        let (whole, part) = ("step1/grad_f64/", "step1/grad_f64_first256rows/");
        let (mut checked, mut skipped) = (0, 0);
        for (name, data) in gradients_named(trainee, &self.gradients) {
            let name = reference_name(&name);
            checked += 1;
            if zero.contains(&name) {
                skipped += 1;
                continue;
            }
            let ours = data.try_to_vec::<f32>().unwrap();
            let rows = format!("{part}{name}");
            let error = match t.has(&rows) {
                true => {
                    let wanted = t.f32(&rows);
                    relative_l2(&ours[..wanted.len()], &wanted)
                }
                false => relative_l2(&ours, &t.f32(&format!("{whole}{name}"))),
            };
            assert!(error < near.gradients, "gradient of {name}: relative error {error}");
        }
        assert_eq!(checked, count(t, whole) + count(t, part), "every parameter has a gradient");
        assert_eq!(skipped, zero.len(), "{zero:?}");
    }
}

/// Relative errors (L2) that are allowed.
#[derive(Clone, Copy)]
struct Near {
    /// Of embeddings and logits.
    outputs: f64,
    /// Of each gradient.
    gradients: f64,
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
    let mut optimizer = sgd().init().unwrap();
    for step in 1..=3 {
        let passes = Passes::run(&t, &trainee, &device);
        let (loss, wanted) = (passes.loss, losses["loss_f64"][step - 1].as_f64().unwrap());
        let tolerance = if step == 1 { 1e-5 } else { 1e-3 };
        assert!(
            (loss - wanted).abs() <= tolerance * wanted,
            "step {step}: loss {loss} against {wanted}"
        );
        if step == 1 {
            passes.compare(&t, &trainee, Near { outputs: 1e-5, gradients: 1e-4 }, &[]);
        }
        let gradients = GradientsParams::from_grads(passes.gradients, &trainee);
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
                let worst = worst(&ours, &wanted);
                assert!(worst <= 1e-5, "step 1 {kind} {name}: off by {worst}");
            } else {
                let error = relative_l2(&ours, &wanted);
                assert!(error < 1e-2, "step {step} {kind} {name}: relative error {error}");
            }
            checked += 1;
        }
        let parameters = count(&t, &format!("step{step}/after/"));
        let statistics = count_moments(&t, &format!("step{step}/buf/"));
        assert_eq!(checked, parameters + statistics, "parameters and statistics");
    }
    let embeddings = values(trainee.valid().network.forward(features(&t, &plain), Mode::Eval));
    assert!(relative_l2(&embeddings, &t.f32("step3/eval_emb")) < 1e-2);
}

#[test]
fn a_step_of_eres2net_equals_the_reference() {
    let near = Near { outputs: 1e-5, gradients: 1e-4 };
    check_first_step("train_eres2net_m4", near, 3e-5, 1e-3);
}

#[test]
fn a_step_of_ecapa_equals_the_reference() {
    let near = Near { outputs: 1e-5, gradients: 3e-4 };
    check_first_step("train_ecapa_c16", near, 1e-4, 1e-3);
}

/// The network is deep and its widths are small: PyTorch's own f32 is off by 2e-5 in the
/// embeddings.
#[test]
fn a_step_of_campplus_equals_the_reference() {
    let near = Near { outputs: 1e-4, gradients: 3e-2 };
    check_first_step("train_campplus_g2", near, 1e-4, 1e-2);
}

/// A training whose weights follow from a formula. `after` is the largest difference of a
/// parameter after the step, `last` the largest relative error of the embeddings then.
fn check_first_step(files: &str, near: Near, after: f32, last: f64) {
    let folder = shared_or_skip!("fixtures/f9_zoo");
    let t = Tensors::open(folder.join(format!("{files}.safetensors")));
    let table = json(folder.join(format!("{files}.json")));
    let list = |key: &str| -> Vec<String> { serde_json::from_value(table[key].clone()).unwrap() };
    let zero = list("gradients_that_are_zero_in_exact_arithmetic");
    let missing = list("after_not_stored");
    let (plain, device) = (Device::default(), Device::default().autodiff());
    let arch = architecture(&table["config"]).unwrap();
    let trainee = Trainee::new(&arch, &HeadConfig::default(), 8, &plain, 0).unwrap();
    let seed = table["procedural_seed"].as_u64().unwrap();
    let weights = formula(&trainee, seed);
    let mut trainee = assign_named(trainee, weights).train();
    let passes = Passes::run(&t, &trainee, &device);
    let (loss, wanted) = (passes.loss, table["loss_f64"].as_f64().unwrap());
    assert!((loss - wanted).abs() <= 1e-5 * wanted, "{files}: loss {loss} against {wanted}");
    passes.compare(&t, &trainee, near, &zero);

    let lr = table["sgd"]["lr"].as_f64().unwrap();
    let mut optimizer = sgd().init().unwrap();
    let gradients = GradientsParams::from_grads(passes.gradients, &trainee);
    trainee = optimizer.step(lr, trainee, gradients, Gate::Open(1.0));
    let (mut parameters, mut moments) = (0, 0);
    for (name, data) in collect_named(&trainee) {
        let name = reference_name(&name);
        let ours = data.try_to_vec::<f32>().unwrap();
        if is_moment(&name) {
            let error = relative_l2(&ours, &t.f32(&format!("step1/buf/{name}")));
            assert!(error < near.outputs, "{files} {name}: relative error {error}");
            moments += 1;
        } else if !missing.contains(&name) {
            let worst = worst(&ours, &t.f32(&format!("step1/after_f64/{name}")));
            assert!(worst <= after, "{files} {name} after the step: off by {worst}");
            parameters += 1;
        }
    }
    assert_eq!(parameters, count(&t, "step1/after_f64/"), "{files}");
    assert_eq!(moments, count_moments(&t, "step1/buf/"), "{files}");
    let embeddings = values(trainee.valid().network.forward(features(&t, &plain), Mode::Eval));
    let error = relative_l2(&embeddings, &t.f32("step1/eval_emb_after_f64"));
    assert!(error < last, "{files}: embeddings after the step: relative error {error}");
}

/// Values by a formula on the reference's names, with gain 1.
fn formula(trainee: &Trainee, seed: u64) -> HashMap<String, TensorData> {
    let ours = names_and_shapes(trainee);
    let entries: Vec<_> =
        ours.iter().map(|(name, shape)| (reference_name(name), shape.clone())).collect();
    let mut values = procedural(&entries, seed, 1.0);
    ours.into_iter()
        .map(|(name, _)| {
            let data = values.remove(&reference_name(&name)).unwrap();
            (name, data)
        })
        .collect()
}
