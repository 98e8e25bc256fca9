//! WeSpeaker's classification heads: logits, loss and gradients.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use revox::losses::{Form, HeadConfig, InterTopK, LossKind, cross_entropy};
use revox::nn::{Init, gradients_named};
use serde_json::Value;

use crate::shared::{Tensors, json, sets};

struct Case {
    logits: Vec<f32>,
    loss: f32,
    grad_embedding: Vec<f32>,
    grad_weight: Vec<f32>,
    grad_bias: Option<Vec<f32>>,
}

fn run(
    config: &HeadConfig,
    margin: f64,
    emb: (Vec<f32>, Vec<usize>),
    weight: (Vec<f32>, Vec<usize>),
    labels: &[i64],
) -> Case {
    let device = Device::default().autodiff();
    let plain = Device::default();
    let speakers = weight.1[0] / config.sub_centers;
    config.check(speakers).unwrap();
    let mut head = config.init(Init::new(&plain, 0), emb.1[1], speakers);
    head.weight = Param::from_data(TensorData::new(weight.0, weight.1), &plain);
    // The reference's bias begins with 0.
    head.bias = head.bias.map(|_| Param::from_data(TensorData::new(vec![0.0f32], [1]), &plain));
    let head = head.train();
    let embeddings = Tensor::<2>::from_data(TensorData::new(emb.0, emb.1), &device).require_grad();
    let labels =
        Tensor::<1, Int>::from_data(TensorData::new(labels.to_vec(), [labels.len()]), &device);
    let out = head.forward(embeddings.clone(), labels.clone(), margin);
    let loss = head.loss(out.logits.clone(), labels);
    let gradients = loss.backward();
    let mut named = gradients_named(&head, &gradients).into_iter();
    let mut gradient = |wanted: &str| {
        let (_, data) = named.find(|(name, _)| name == wanted)?;
        Some(data.try_to_vec::<f32>().unwrap())
    };
    Case {
        logits: out.logits.into_data().try_to_vec().unwrap(),
        loss: loss.into_data().try_to_vec::<f32>().unwrap()[0],
        grad_embedding: embeddings.grad(&gradients).unwrap().into_data().try_to_vec().unwrap(),
        grad_weight: gradient("weight").unwrap(),
        grad_bias: gradient("bias"),
    }
}

/// The head of a case, with the margin of its logits. Nothing for heads that are not ours.
fn head_of(name: &str, case: &Value) -> Option<(HeadConfig, f64)> {
    let args = &case["args"];
    let number = |key: &str| args[key].as_f64();
    let base = HeadConfig { scale: number("scale").unwrap_or(32.0), ..HeadConfig::default() };
    let easy_margin = args["easy_margin"].as_bool().unwrap_or(false);
    let margin = number("margin").unwrap_or(0.2);
    match case["class"].as_str().unwrap() {
        "ArcMarginProduct" => Some((HeadConfig { easy_margin, ..base }, margin)),
        "AddMarginProduct" => Some((HeadConfig { kind: LossKind::Am, ..base }, margin)),
        "ArcMarginProduct_intertopk_subcenter" => {
            let k = number("k_top").unwrap_or(5.0) as usize;
            let penalty = InterTopK { k, penalty: number("mp").unwrap_or(0.06) };
            // The reference's penalty is 0 in large-margin mode and before its first update().
            let off = k == 0 || name.contains("noupdate") || name.contains("do_lm");
            let config = HeadConfig {
                sub_centers: number("K").unwrap_or(3.0) as usize,
                inter_topk: (!off).then_some(penalty),
                easy_margin,
                ..base
            };
            Some((config, number("update").unwrap_or(margin)))
        }
        "SphereFace2" => {
            let form = match args["margin_type"].as_str().unwrap() {
                "A" => Form::A,
                "C" => Form::C,
                other => panic!("{name}: unknown form {other}"),
            };
            let config = HeadConfig {
                kind: LossKind::SphereFace2,
                form: Some(form),
                t: Some(number("t").unwrap() as usize),
                lambda: number("lanbuda"),
                ..base
            };
            Some((config, margin))
        }
        "voxceleb_trainer LossFunction (aamsoftmax)" => None,
        other => panic!("{name}: unknown head {other}"),
    }
}

#[test]
fn every_head_equals_the_reference() {
    for (folder, wanted) in sets(("heads", 24), ("fixtures/f3_losses", 32)) {
        let t = Tensors::open(folder.join("losses.safetensors"));
        let cases = json(folder.join("losses.json"));
        let mut checked = 0;
        for (name, case) in cases["cases"].as_object().unwrap() {
            if let Some((config, margin)) = head_of(name, case) {
                check(&t, name, case["inputs"].as_str().unwrap(), &config, margin);
                checked += 1;
            }
        }
        assert_eq!(checked, wanted, "{}", folder.display());
    }
}

fn check(t: &Tensors, name: &str, inputs: &str, config: &HeadConfig, margin: f64) {
    let tensor =
        |what: &str| (t.f32(&format!("{inputs}/{what}")), t.shape(&format!("{inputs}/{what}")));
    let labels = t.i64(&format!("{inputs}/labels"));
    let ours = run(config, margin, tensor("emb"), tensor("weight"), &labels);
    let near = |what: &str, ours: &[f32], tolerance: f32| {
        let reference = t.f32(&format!("{name}/{what}"));
        assert_eq!(ours.len(), reference.len(), "{name} {what}");
        for (a, b) in ours.iter().zip(&reference) {
            assert!((a - b).abs() <= tolerance, "{name} {what}: {a} against {b} (margin {margin})");
        }
    };
    let largest =
        |what: &str| t.f32(&format!("{name}/{what}")).iter().fold(0.0f32, |m, x| m.max(x.abs()));
    // The reference's logits of SphereFace2 are only for its accuracy.
    if config.kind != LossKind::SphereFace2 {
        near("logits", &ours.logits, 1e-4);
    }
    near("loss", &[ours.loss], 1e-6 * largest("loss"));
    near("grad_emb", &ours.grad_embedding, 1e-5 * largest("grad_emb"));
    near("grad_weight", &ours.grad_weight, 1e-5 * largest("grad_weight"));
    if let Some(bias) = &ours.grad_bias {
        near("grad_bias", bias, 1e-5 * largest("grad_bias"));
    }
}

#[test]
fn plain_cross_entropy_equals_the_reference() {
    for (folder, ()) in sets(("heads", ()), ("fixtures/f3_losses", ())) {
        check_cross_entropy(&Tensors::open(folder.join("losses.safetensors")));
    }
}

fn check_cross_entropy(t: &Tensors) {
    let device = Device::default().autodiff();
    let logits = TensorData::new(t.f32("ce/logits"), t.shape("ce/logits"));
    let logits = Tensor::<2>::from_data(logits, &device).require_grad();
    let labels = t.i64("ce/labels");
    let loss = cross_entropy(
        logits.clone(),
        Tensor::from_data(TensorData::new(labels.clone(), [labels.len()]), &device),
    );
    let gradient = logits.grad(&loss.backward()).unwrap().into_data().try_to_vec::<f32>().unwrap();
    let loss = loss.into_data().try_to_vec::<f32>().unwrap()[0];
    assert!((loss - t.f32("ce/loss")[0]).abs() < 1e-6 * loss);
    let wanted = t.f32("ce/grad_logits");
    assert_eq!(gradient.len(), wanted.len());
    for (a, b) in gradient.iter().zip(&wanted) {
        assert!((a - b).abs() < 1e-6);
    }
}

/// The reference gives NaN for an embedding parallel or anti-parallel to its class and 1e13 for a
/// zero one.
#[test]
fn gradients_are_finite_where_the_references_are_not() {
    for sign in [1.0f32, -1.0, 0.0] {
        let weight: Vec<f32> = (0..24).map(|i| if i % 7 == 0 { 1.0 } else { 0.0 }).collect();
        let emb: Vec<f32> = weight[..6].iter().map(|x| x * sign).collect();
        for easy_margin in [false, true] {
            let config = HeadConfig { easy_margin, ..HeadConfig::default() };
            let case =
                run(&config, 0.2, (emb.clone(), vec![1, 6]), (weight.clone(), vec![4, 6]), &[0]);
            let all = case.grad_embedding.iter().chain(&case.grad_weight);
            assert!(case.loss.is_finite() && all.clone().all(|g| g.is_finite()));
        }
    }
}
