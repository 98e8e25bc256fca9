//! Steps during the backward pass against the ordinary ones: equal to the bit.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, TensorData};

use super::*;
use crate::losses::HeadConfig;
use crate::nn::collect_named;
use crate::optim::{Gate, Left, in_order};
use crate::rng::Stream;
use crate::train::{Batch, OptimizerConfig};
use crate::zoo::Architecture;

const RATE: f64 = 0.05;

/// A training without a loop.
struct Training {
    model: Trainee,
    optimizer: Stepper,
}

/// All tensors, running statistics among them, and the record of the optimizer's states.
type Outcome = (Vec<(String, Vec<u32>)>, Vec<u8>);

impl Training {
    /// With parts that are frozen, and factors of the learning rates of parts.
    fn new(
        [name, freeze]: [&str; 2],
        width: usize,
        optimizer: &OptimizerConfig,
        factors: &[(&str, f64)],
    ) -> Self {
        let arch = Architecture {
            width,
            mels: 16,
            embedding_dim: 8,
            ..Architecture::named(name).unwrap()
        };
        let model = Trainee::new(&arch, &HeadConfig::default(), 5, &Device::default(), 7).unwrap();
        let freeze: Vec<String> = freeze.split_whitespace().map(str::to_owned).collect();
        let model = model.frozen(&freeze);
        let factors: BTreeMap<String, f64> =
            factors.iter().map(|&(part, factor)| (part.to_owned(), factor)).collect();
        let factors = model.factors(&factors);
        let optimizer = optimizer.init().unwrap().with_factors(factors);
        Self { model: model.train(), optimizer }
    }

    /// The step of the ordinary loop, and its loss.
    fn ordinary(mut self, batch: Batch) -> (Self, f64) {
        let (pending, gradients) = self.model.weighed(batch, 1.0, 1.0);
        self.model = self.optimizer.step(RATE, self.model, gradients, Gate::Open(1.0));
        (self, pending.read().loss)
    }

    fn released(mut self, batch: Batch) -> (Self, f64) {
        let batch = batch.upload(&self.model.device().autodiff());
        let (pending, halfway) = self.model.halfway(batch);
        let (model, checks) = halfway.step(self.model, &mut self.optimizer, RATE);
        self.model = model;
        assert_eq!(checks.read(&mut self.optimizer), Left::default());
        (self, pending.read().loss)
    }

    fn outcome(&self) -> Outcome {
        let bits =
            |values: TensorData| -> Vec<u32> { values.iter::<f32>().map(f32::to_bits).collect() };
        let tensors = collect_named(&self.model.valid()).into_iter();
        let record = in_order(self.optimizer.into_bytes().unwrap()).unwrap();
        (tensors.map(|(name, values)| (name, bits(values))).collect(), record.to_vec())
    }
}

fn batch(seed: u64) -> Batch {
    let mut stream = Stream::new(seed, "released", &[]);
    Batch {
        features: (0..3 * 24 * 16).map(|_| stream.normal() as f32).collect(),
        shape: [3, 24, 16],
        on_device: None,
        labels: vec![0, 3, 1],
        ids: vec![String::new(); 3],
        iteration: 0,
        margin: 0.2,
    }
}

/// All optimizers. Those with 8-bit states have them for all tensors but the smallest.
fn optimizers() -> Vec<OptimizerConfig> {
    let of = |name: &str| {
        let states = if name.ends_with("8bit") { "states.min_size = 16\n" } else { "" };
        toml::from_str::<OptimizerConfig>(&format!("kind = \"{name}\"\n{states}")).unwrap()
    };
    OptimizerConfig::NAMES.map(of).into()
}

#[track_caller]
fn same(ours: &Training, wanted: &Training, what: &str) {
    let ((ours, our_record), (wanted, record)) = (ours.outcome(), wanted.outcome());
    assert_eq!(ours.len(), wanted.len());
    for ((name, ours), (_, wanted)) in ours.iter().zip(&wanted) {
        assert!(ours == wanted, "{what}: {name}");
    }
    assert!(our_record == record, "{what}: other states");
}

/// Two steps: the second one finds states, running statistics and leaves of the first.
fn compare(network: [&str; 2], width: usize, optimizer: &OptimizerConfig, factors: &[(&str, f64)]) {
    let new = || Training::new(network, width, optimizer, factors);
    let (mut ours, mut wanted) = (new(), new());
    for turn in 0..2 {
        let what = format!("{network:?}, {}, step {turn}", optimizer.name());
        let (our_next, our_loss) = ours.released(batch(turn));
        let (next, loss) = wanted.ordinary(batch(turn));
        assert_eq!(our_loss, loss, "{what}");
        same(&our_next, &next, &what);
        (ours, wanted) = (our_next, next);
    }
}

#[test]
fn ordinary_networks_step_the_same() {
    optimizers().iter().for_each(|optimizer| compare(["resnet10", ""], 4, optimizer, &[]));
}

#[test]
fn networks_of_type_one_step_the_same() {
    optimizers().iter().for_each(|optimizer| compare(["rev1-resnet10", ""], 4, optimizer, &[]));
}

#[test]
fn networks_of_type_two_step_the_same() {
    optimizers().iter().for_each(|optimizer| compare(["rev2-resnet10", ""], 16, optimizer, &[]));
}

#[test]
fn frozen_parts_and_factors_are_those_of_ordinary_steps() {
    for name in ["adamw", "sgd8bit"] {
        let optimizer = OptimizerConfig::named(name).unwrap();
        let factors = [("projection", 3.0)];
        compare(["rev1-resnet10", "body.stem"], 4, &optimizer, &factors);
        compare(["rev1-resnet10", "projection"], 4, &optimizer, &[]);
        compare(["resnet10", "conv1 bn1 layer1"], 4, &optimizer, &factors);
    }
}

/// With a frozen network there is no tape behind the embeddings.
#[test]
fn a_head_alone_steps_the_same() {
    let optimizer = OptimizerConfig::named("adam8bit").unwrap();
    let arch = Architecture::named("resnet10").unwrap();
    let mut parts: Vec<String> = Vec::new();
    for tensor in arch.layout().unwrap().tensors {
        let part = tensor.name.split('.').next().unwrap().to_owned();
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let all = parts.join(" ");
    compare(["resnet10", &all], 4, &optimizer, &[]);
    // The network stays, the head moves.
    let new = || Training::new(["resnet10", &all], 4, &optimizer, &[]);
    let before = new().outcome().0;
    let after = new().released(batch(1)).0.outcome().0;
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        assert_eq!(before != after, name.starts_with("projection"), "{name}");
    }
}
