//! Checkpoints of trainings.

use std::path::Path;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};
use burn_pack::{Reader, Scalar, Writer};
use revox::losses::HeadConfig;
use revox::nn::collect_named;
use revox::optim::{Gate, Stepper};
use revox::rng::Stream;
use revox::train::checkpoint::{Average, State, load, save};
use revox::train::{Identity, OptimizerConfig, Trainee};
use revox::zoo::Architecture;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::checkpoint::{STATE, state, state_text};
use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run, run_with};
use crate::sign;
use crate::text::{change, text};

const MELS: usize = 16;
const FRAMES: usize = 24;
/// The tensor with the optimizer's record.
const OPTIMIZER: &str = "optimizer";

fn trainee() -> Trainee {
    let named = Architecture::named("resnet10").expect("a known name");
    let arch = Architecture { width: 2, mels: MELS, embedding_dim: 8, ..named };
    Trainee::new(&arch, &HeadConfig::default(), 4, &Device::default(), 3)
        .expect("a network and its head")
}

/// A step of training.
fn step(trainee: Trainee, optimizer: &mut Stepper) -> Trainee {
    let device = Device::default().autodiff();
    let values: Vec<f32> = (0..2 * FRAMES * MELS).map(|i| (i as f32 * 0.37).sin()).collect();
    let features = Tensor::<3>::from_data(TensorData::new(values, [2, FRAMES, MELS]), &device);
    let labels = Tensor::<1, Int>::from_data(TensorData::new(vec![0i64, 3], [2]), &device);
    let gradients = trainee.pass(features, labels, 0.2).loss.backward();
    let gradients = GradientsParams::from_grads(gradients, &trainee);
    optimizer.step(0.01, trainee, gradients, Gate::Open(1.0))
}

/// Burn's optimizer and ours, with blocks in 8 bits for the larger tensors.
fn optimizers() -> [OptimizerConfig; 2] {
    let ours = toml::from_str("kind = \"sgd8bit\"\nstates.min_size = 128").expect("a section");
    [OptimizerConfig::default(), ours]
}

/// Goes on with a checkpoint, by whichever optimizer reads it.
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

/// A checkpoint after a step with each of the optimizers.
fn checkpoints(fresh: &Trainee, optimizers: &[OptimizerConfig]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c");
    let saved = |config: &OptimizerConfig| {
        let mut optimizer = config.init().expect("an optimizer");
        let trained = step(fresh.clone().train(), &mut optimizer).valid();
        let average: Average = collect_named(&trained).into_iter().collect();
        let state = State { epoch: 2, averaged: 1, ..State::start(Identity::default()) };
        save(&path, &trained, &optimizer, &average, &state).expect("written");
        std::fs::read(&path).expect("a file")
    };
    optimizers.iter().map(saved).collect()
}

/// A checkpoint as the first version wrote it: another state, and no checksum.
fn first_format(file: &[u8]) -> Vec<u8> {
    let mut state: serde_json::Value = state(file);
    (state["format"], state["recipe"], state["data_hash"]) =
        (1.into(), "recipe".into(), "data".into());
    let mut old = sign::with_metadata(file, STATE, &state.to_string());
    sign::unsign(&mut old);
    old
}

/// A checkpoint with another number of steps in every state of its optimizer's record.
fn counted(file: &[u8], steps: Scalar) -> Vec<u8> {
    let whole = SafeTensors::deserialize(file).expect("a file");
    let record = whole.tensor(OPTIMIZER).expect("a record").data().to_vec();
    let reader = Reader::from_bytes(Bytes::from_bytes_vec(record)).expect("a record");
    let (scalars, metadata) = (reader.scalars().clone(), reader.metadata().clone());
    assert!(scalars.keys().any(|name| name.ends_with(".steps")), "{scalars:?}");
    let mut writer = Writer::new(reader.into_tensors().expect("tensors"));
    for (name, value) in &scalars {
        writer = writer.with_scalar(name, if name.ends_with(".steps") { steps } else { *value });
    }
    for (name, value) in &metadata {
        writer = writer.with_metadata(name, value);
    }
    let record = writer.into_bytes().expect("a record");
    let (_, header) = SafeTensors::read_metadata(file).expect("a header");
    let record =
        TensorView::new(Dtype::U8, vec![record.len()], &record).expect("bytes of the shape's size");
    let others = whole.iter().filter(|(name, _)| *name != OPTIMIZER);
    let views: Vec<(&str, TensorView)> = others.chain([(OPTIMIZER, record)]).collect();
    let mut changed = safetensors::serialize(views, header.metadata().clone()).expect("a file");
    sign::sign(&mut changed);
    changed
}

/// Checkpoints as a whole.
#[test]
fn training_states() {
    let (fresh, optimizers) = (trainee(), optimizers());
    let mut good = checkpoints(&fresh, &optimizers);
    let [_, ours] = &good[..] else { panic!("two optimizers") };
    // Numbers of steps that overflowed when they were counted on.
    let steps = [i32::MAX as u64 + 1, u64::from(u32::MAX), u64::MAX]
        .map(|n| counted(ours, Scalar::UInt(n)));
    let mut made: Vec<(&str, Vec<u8>)> =
        steps.iter().map(|file| ("steps, unsigned", first_format(file))).collect();
    made.extend(steps.iter().map(|file| ("steps", file.clone())));
    made.push(("steps below 0", counted(ours, Scalar::Int(-1))));
    let old: Vec<Vec<u8>> = good.iter().map(|file| first_format(file)).collect();
    good.extend(old);
    let words = [
        "model.",
        "average.",
        "optimizer",
        "F32",
        "U8",
        "I64",
        "shape",
        "dtype",
        "data_offsets",
        "epoch",
    ];
    let make = |stream: &mut Stream| match stream.below(3) {
        0 => mutate::bytes(stream, &good, 9000),
        1 => mutate::bytes(stream, &good, 0),
        _ => {
            let seed = pick(stream, &good).clone();
            mutate::with_header(stream, &seed, |stream, header| text(stream, &[header], &words))
        }
    };
    let target = Target {
        name: "training_states",
        file: "c.safetensors",
        good: &good,
        make: &make,
        read: &|path, _| go_on(path, &optimizers, &fresh),
    };
    run_with(&target, &made);
}

/// Changed states of a training with the tensors of a good checkpoint.
#[test]
fn training_headers() {
    let (fresh, optimizers) = (trainee(), optimizers());
    let good = checkpoints(&fresh, &optimizers);
    let states: Vec<Vec<u8>> = good.iter().map(|file| state_text(file).into_bytes()).collect();
    let words = [
        "format",
        "version",
        "identity",
        "recipe",
        "init",
        "data",
        "backend",
        "devices",
        "epoch",
        "batch",
        "loss_sum",
        "accuracy_sum",
        "skipped",
        "skipped_in_a_row",
        "best",
        "averaged",
        "lists",
        "sizes",
        "[0.5, 1]",
    ];
    let make = |stream: &mut Stream| {
        let i = stream.below(good.len());
        let mut state = states[i].clone();
        (0..1 + stream.below(3)).for_each(|_| change(stream, &mut state, &states, &words));
        let mut file = sign::with_metadata(&good[i], STATE, &String::from_utf8_lossy(&state));
        mutate::seal(stream, &mut file);
        file
    };
    run(&Target {
        name: "training_headers",
        file: "c.safetensors",
        good: &good,
        make: &make,
        read: &|path, _| go_on(path, &optimizers, &fresh),
    });
}
