//! Checkpoints of trainings.

use std::path::Path;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::optim::module_optimizer::ModuleOptimizer;
use burn::tensor::{Device, Int, Tensor, TensorData};
use revox::losses::HeadConfig;
use revox::nn::collect_named;
use revox::optim::States;
use revox::rng::Stream;
use revox::train::checkpoint::{Average, State, load, save};
use revox::train::{OptimizerConfig, Trainee};
use revox::zoo::Architecture;
use safetensors::tensor::{SafeTensors, TensorView};

use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::text::text;

const MELS: usize = 16;
const FRAMES: usize = 24;

fn trainee() -> Trainee {
    let named = Architecture::named("resnet10").expect("a known name");
    let arch = Architecture { width: 2, mels: MELS, embedding_dim: 8, ..named };
    Trainee::new(&arch, &HeadConfig::default(), 4, &Device::default(), 3).expect("a network and its head")
}

/// A step of training.
fn step(trainee: Trainee, optimizer: &mut ModuleOptimizer) -> Trainee {
    let device = Device::default().autodiff();
    let values: Vec<f32> = (0..2 * FRAMES * MELS).map(|i| (i as f32 * 0.37).sin()).collect();
    let features = Tensor::<3>::from_data(TensorData::new(values, [2, FRAMES, MELS]), &device);
    let labels = Tensor::<1, Int>::from_data(TensorData::new(vec![0i64, 3], [2]), &device);
    let gradients = trainee.pass(features, labels, 0.2).loss.backward();
    let gradients = GradientsParams::from_grads(gradients, &trainee);
    optimizer.step(0.01, trainee, gradients)
}

/// Burn's optimizer and ours, with blocks in 8 bits for the larger tensors.
fn optimizers() -> [OptimizerConfig; 2] {
    let states = States { min_size: 128, ..States::default() };
    let ours = OptimizerConfig::Sgd8bit { momentum: 0.9, dampening: 0.0, nesterov: true, weight_decay: 1e-4, states };
    [OptimizerConfig::default(), ours]
}

/// Goes on with a checkpoint. It is of one of the optimizers or of none.
fn go_on(path: &Path, optimizers: &[OptimizerConfig], fresh: &Trainee) -> Outcome {
    for config in optimizers {
        match load(path, fresh.clone(), config) {
            Ok((read, mut optimizer, average, _)) => {
                let named = collect_named(&read).into_iter().chain(average);
                for (name, data) in named {
                    if let Some(x) = data.iter::<f32>().find(|x| !x.is_finite()) {
                        return Err(format!("`{name}` was read with the value {x}"));
                    }
                }
                step(read.train(), &mut optimizer);
                return Ok(Verdict::Read);
            }
            Err(e) if e.to_string().contains("c.safetensors") => {}
            Err(e) => return Err(format!("an error without the file's name: {e}")),
        }
    }
    Ok(Verdict::Refused)
}

/// The same checkpoint as revox wrote it before it had a checksum: changes reach what is behind.
fn unchecked(file: &[u8]) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(file).expect("a header");
    let whole = SafeTensors::deserialize(file).expect("a file");
    let views: Vec<(&str, TensorView)> = whole.iter().filter(|(name, _)| *name != "sha256").collect();
    let entries = header.metadata().clone().unwrap_or_default().into_iter();
    let old = entries.map(|(key, value)| (key, value.replace("\"format\":2", "\"format\":1"))).collect();
    safetensors::serialize(views, Some(old)).expect("a file")
}

#[test]
fn training_states() {
    let (fresh, optimizers) = (trainee(), optimizers());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c");
    let saved = |config: &OptimizerConfig| {
        let mut optimizer = config.init().expect("an optimizer");
        let trained = step(fresh.clone().train(), &mut optimizer).valid();
        let average: Average = collect_named(&trained).into_iter().collect();
        let state = State { epoch: 2, averaged: 1, ..State::start("recipe".into(), "data".into()) };
        save(&path, &trained, &optimizer, &average, &state).expect("written");
        std::fs::read(&path).expect("a file")
    };
    let mut good: Vec<Vec<u8>> = optimizers.iter().map(saved).collect();
    let old: Vec<Vec<u8>> = good.iter().map(|file| unchecked(file)).collect();
    good.extend(old);
    let words = ["model.", "average.", "optimizer", "F32", "U8", "I64", "shape", "dtype", "data_offsets", "epoch"];
    let make = |stream: &mut Stream| match stream.below(3) {
        0 => mutate::bytes(stream, &good, 9000),
        1 => mutate::bytes(stream, &good, 0),
        _ => {
            let seed = pick(stream, &good).clone();
            mutate::with_header(stream, &seed, |stream, header| text(stream, &[header], &words))
        }
    };
    run(&Target {
        name: "training_states",
        file: "c.safetensors",
        good: &good,
        make: &make,
        read: &|path, _| go_on(path, &optimizers, &fresh),
    });
}
