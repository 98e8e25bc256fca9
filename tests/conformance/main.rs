//! The same small checks on every backend of this build: a backend that passes them can train and embed.
//!
//! Expected values are those of the first backend, which the parity tests tie to the references.

mod optim8;
mod quant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use revox::backend::BackendKind;
use revox::backend::reversible::Execution;
use revox::losses::{HeadConfig, InterTopK};
use revox::nn::{Mode, PoolingKind, collect_named, gradients_named};
use revox::rng::Stream;
use revox::train::{OptimizerConfig, Trainee};
use revox::zoo::Architecture;

/// Compiled-in backends that have a device here. The first is the reference of the others.
fn devices() -> Vec<(&'static str, Device)> {
    let all: Vec<_> = BackendKind::ALL
        .into_iter()
        .filter(|k| k.is_compiled())
        .filter_map(|k| match k.device(0) {
            Ok(device) => Some((k.name(), device)),
            Err(e) => {
                eprintln!("skipped: {e}");
                None
            }
        })
        .collect();
    assert!(!all.is_empty(), "a build without any backend");
    eprintln!("checked: {}", all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "));
    all
}

fn numbers(n: usize) -> Vec<f32> {
    let mut stream = Stream::new(9, "conformance", &[]);
    (0..n).map(|_| stream.normal() as f32).collect()
}

fn small(name: &str, pooling: PoolingKind) -> Architecture {
    Architecture { width: 2, mels: 16, embedding_dim: 6, pooling, ..Architecture::named(name).unwrap() }
}

fn values(data: TensorData) -> Vec<f32> {
    data.convert::<f32>().try_to_vec::<f32>().unwrap()
}

/// Largest difference relative to the largest value.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1e-30f32, |m, x| m.max(x.abs()));
    a.iter().zip(b).fold(0.0f32, |m, (x, y)| m.max((x - y).abs())) / largest
}

#[test]
fn embeddings_agree() {
    for (name, pooling) in [
        ("resnet18", PoolingKind::Tstp),
        ("resnet50", PoolingKind::Astp),
        ("df-resnet56", PoolingKind::Tap),
        ("gemini-df-resnet60", PoolingKind::Tsdp),
    ] {
        let mut first: Option<Vec<f32>> = None;
        for (backend, device) in devices() {
            let network = small(name, pooling).init(&device, 5).unwrap();
            let x = Tensor::<3>::from_data(TensorData::new(numbers(2 * 40 * 16), [2, 40, 16]), &device);
            let ours = values(network.forward(x, Mode::Eval).into_data());
            let reference = first.get_or_insert_with(|| ours.clone());
            let d = distance(&ours, reference);
            assert!(d < 1e-4, "{name} on {backend}: {d}");
        }
    }
}

#[test]
fn a_training_step_agrees() {
    let head =
        HeadConfig { sub_centers: 2, inter_topk: Some(InterTopK { k: 2, penalty: 0.06 }), ..HeadConfig::default() };
    let mut first: Option<Vec<(String, Vec<f32>)>> = None;
    for (backend, device) in devices() {
        let autodiff = device.clone().autodiff();
        let mut trainee = Trainee::new(&small("resnet10", PoolingKind::Tstp), &head, 5, &device, 3).unwrap().train();
        let mut optimizer = OptimizerConfig::default().init().unwrap();
        let x = Tensor::<3>::from_data(TensorData::new(numbers(4 * 32 * 16), [4, 32, 16]), &autodiff);
        let y = Tensor::<1, Int>::from_data(TensorData::new(vec![0i64, 3, 1, 3], [4]), &autodiff);
        let pass = trainee.pass(x, y, 0.2);
        let gradients = pass.loss.backward();
        let mut all: Vec<(String, Vec<f32>)> = vec![("loss".into(), values(pass.loss.into_data()))];
        let named = gradients_named(&trainee, &gradients);
        assert!(named.len() > 20, "{backend}: only {} gradients", named.len());
        all.extend(named.into_iter().map(|(n, d)| (format!("gradient of {n}"), values(d))));
        let gradients = GradientsParams::from_grads(gradients, &trainee);
        trainee = optimizer.step(0.1, trainee, gradients);
        all.extend(collect_named(&trainee).into_iter().map(|(n, d)| (format!("{n} after the step"), values(d))));
        let reference = first.get_or_insert_with(|| all.clone());
        for ((name, ours), (same, wanted)) in all.iter().zip(reference.iter()) {
            assert_eq!(name, same);
            let d = distance(ours, wanted);
            assert!(d < 1e-3, "{name} on {backend}: {d}");
        }
    }
}

/// Reversible networks: the recomputing execution against the taped one on the same backend (frames that Type II must pad), and against the first backend.
#[test]
fn reversible_steps_agree_with_taped_ones() {
    for (name, width) in [
        ("rev1-resnet18", 4),
        ("rev2-resnet10", 16),
        ("rev1-resnet50", 4),
        ("rev2-df-resnet32", 16),
        ("rev1-gemini-df-resnet60", 4),
    ] {
        let mut first: Option<Vec<f32>> = None;
        for (backend, device) in devices() {
            let step = |execution| {
                let arch = Architecture { width, mels: 16, embedding_dim: 6, ..Architecture::named(name).unwrap() };
                let trainee = Trainee::new(&arch, &HeadConfig::default(), 5, &device, 3).unwrap();
                let network = trainee.network.with_execution(execution).unwrap();
                let trainee = Trainee { network, ..trainee }.train();
                let x = TensorData::new(numbers(4 * 27 * 16), [4, 27, 16]);
                let x = Tensor::<3>::from_data(x, &device.clone().autodiff());
                let y =
                    Tensor::<1, Int>::from_data(TensorData::new(vec![0i64, 3, 1, 3], [4]), &device.clone().autodiff());
                let pass = trainee.pass(x, y, 0.2);
                let gradients = pass.loss.backward();
                let mut all: Vec<(String, Vec<f32>)> = vec![("loss".into(), values(pass.loss.into_data()))];
                all.extend(gradients_named(&trainee, &gradients).into_iter().map(|(n, d)| (n, values(d))));
                let buffers = collect_named(&trainee.valid()).into_iter().filter(|(n, _)| n.contains("running_"));
                all.extend(buffers.map(|(n, d)| (n, values(d))));
                all
            };
            let (reversible, taped) = (step(Execution::Reversible), step(Execution::Taped));
            assert!(taped.len() > 40, "{name} on {backend}: only {}", taped.len());
            assert_eq!(reversible.len(), taped.len());
            for ((what, ours), (_, twin)) in reversible.iter().zip(&taped) {
                // Some gradients are 0 but for rounding: a shift that the next normalisation takes away.
                if twin.iter().all(|x| x.abs() < 1e-5) {
                    continue;
                }
                let d = distance(ours, twin);
                assert!(d < 1e-4, "{name}, {what} on {backend}: {d} from the taped twin");
            }
            // Gradients of networks this deep differ between backends wherever a rectifier's input is nearly 0.
            let reference = first.get_or_insert_with(|| taped[0].1.clone());
            let d = distance(&reversible[0].1, reference);
            assert!(d < 1e-4, "{name}: loss on {backend} {d} from the first backend");
        }
    }
}
