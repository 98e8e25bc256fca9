//! Steps during the backward pass against the ordinary ones: equal to the bit.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, TensorData};

use super::*;
use crate::losses::HeadConfig;
use crate::nn::collect_named;
use crate::nn::graph::Span;
use crate::optim::{Gate, Left, in_order};
use crate::rng::Stream;
use crate::train::{Batch, OptimizerConfig, Weights};
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

    /// The same with the network's units recomputed two by two, but for the first.
    fn checkpointed(mut self, name: &str) -> Self {
        let arch = Architecture { mels: 16, ..Architecture::named(name).unwrap() };
        let cuts = arch.graph(24).unwrap().cuts();
        let first = Span::new(0..cuts[0], false);
        let (mut spans, mut start) = (vec![first], cuts[0]);
        for two in cuts[1..].chunks(2) {
            let end = two[two.len() - 1];
            spans.push(Span::new(start..end, true));
            start = end;
        }
        self.model = self.model.checkpointed(spans.into()).unwrap();
        self
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

    /// A step with weights in 24 bits.
    fn packed(mut self, batch: Batch, iteration: usize) -> (Self, f64) {
        let batch = batch.upload(&self.model.device().autodiff());
        let (weights, optimizer) = (Weights::Bf16Plus8, &mut self.optimizer);
        let (model, pending, halfway) = self.model.halfway_in(weights, batch, optimizer, iteration);
        let (model, checks) = halfway.step(model, &mut self.optimizer, RATE);
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
    compare_both(new(), new(), &format!("{network:?}, {}", optimizer.name()));
}

fn compare_both(mut ours: Training, mut wanted: Training, what: &str) {
    for turn in 0..2 {
        let what = format!("{what}, step {turn}");
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

/// Recomputed spans deliver their gradients as reversible bodies do.
#[test]
fn checkpointed_networks_step_the_same() {
    for (name, freeze, optimizer) in [
        ("resnet10", "", "adamw8bit"),
        ("resnet10", "conv1 bn1 layer1", "sgd"),
        ("df-resnet32", "", "sgd8bit"),
    ] {
        let optimizer = OptimizerConfig::named(optimizer).unwrap();
        let new = || Training::new([name, freeze], 4, &optimizer, &[]);
        compare_both(new().checkpointed(name), new(), &format!("{name}, {freeze}, checkpointed"));
        // The other way round: the option alone.
        let (mut ours, mut wanted) = (new().checkpointed(name), new());
        for turn in 0..2 {
            (ours, wanted) = (ours.ordinary(batch(turn)).0, wanted.ordinary(batch(turn)).0);
            same(&ours, &wanted, name);
        }
    }
}

#[test]
fn networks_of_type_one_step_the_same() {
    optimizers().iter().for_each(|optimizer| compare(["rev1-resnet10", ""], 4, optimizer, &[]));
}

#[test]
fn networks_of_type_two_step_the_same() {
    optimizers().iter().for_each(|optimizer| compare(["rev2-resnet10", ""], 16, optimizer, &[]));
}

/// Transitions that are blocks are differentiated in pieces, each with parameters on loan, and the
/// stem runs once more for the first of them.
#[test]
fn blocks_in_pieces_step_the_same() {
    for name in ["sgd", "adamw8bit"] {
        let optimizer = OptimizerConfig::named(name).unwrap();
        compare(["rev1-resnet50", ""], 4, &optimizer, &[]);
        compare(["rev1-resnet50", "body.stem body.stages.1"], 4, &optimizer, &[]);
    }
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

/// A step with weights in 24 bits is the ordinary one from the same weights: its loss, its states
/// and running statistics to the bit. Its new weights are those of the ordinary step, rounded to
/// one of the two values around them. The weights before it have been rounded by a first step.
#[track_caller]
fn compare_packed(name: &str, width: usize, optimizer: &OptimizerConfig) {
    let new = || Training::new([name, ""], width, optimizer, &[("projection", 2.0)]);
    let [(ours, first), (wanted, again)] = [new(), new()].map(|t| t.packed(batch(0), 0));
    assert_eq!(first, again);
    let what = format!("{name}, {}", optimizer.name());
    same(&ours, &wanted, &what);
    let (ours, our_loss) = ours.packed(batch(1), 1);
    let (wanted, loss) = wanted.ordinary(batch(1));
    assert_eq!(our_loss, loss, "{what}");
    let ((ours, our_record), (wanted, record)) = (ours.outcome(), wanted.outcome());
    assert!(our_record == record, "{what}: other states");
    let mut rounded = 0;
    for ((name, ours), (_, wanted)) in ours.iter().zip(&wanted) {
        if name.contains("running_") {
            assert!(ours == wanted, "{what}: {name}");
            continue;
        }
        for (&ours, &wanted) in ours.iter().zip(wanted) {
            let [below, above] = [0, 0x100].map(|more| (wanted & !0xff) + more);
            let fits = [below, above].contains(&ours) && (ours == wanted || wanted & 0xff > 0);
            assert!(fits, "{what}: {name}: {ours:x}, f32 {wanted:x}");
            rounded += usize::from(ours != wanted);
        }
    }
    assert!(rounded > 1000, "{what}: {rounded} values were rounded");
}

#[test]
fn weights_in_24_bits_are_those_of_ordinary_steps() {
    for optimizer in optimizers() {
        compare_packed("rev1-resnet10", 4, &optimizer);
        compare_packed("rev2-resnet10", 16, &optimizer);
    }
}

/// A pass without a step moves running statistics, and nothing else. Then steps go on.
#[test]
fn weights_come_back_from_a_pass_that_is_given_up() {
    let optimizer = OptimizerConfig::named("sgd8bit").unwrap();
    let new = || Training::new(["rev2-resnet10", ""], 16, &optimizer, &[]).packed(batch(0), 0).0;
    let mut ours = new();
    let (before, record) = ours.outcome();
    let upload = batch(1).upload(&ours.model.device().autodiff());
    let (model, _, halfway) =
        ours.model.halfway_in(Weights::Bf16Plus8, upload, &mut ours.optimizer, 1);
    ours.model = halfway.given_up(model, &mut ours.optimizer);
    let (after, same_record) = ours.outcome();
    assert!(record == same_record);
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        assert_eq!(before == after, !name.contains("running_"), "{name}");
    }
    let weights = |training: &Training| {
        let all = training.outcome().0.into_iter();
        all.filter(|(name, _)| !name.contains("running_")).collect::<Vec<_>>()
    };
    let (ours, wanted) = (ours.packed(batch(2), 2).0, new().packed(batch(2), 2).0);
    assert!(weights(&ours) == weights(&wanted));
}

/// Thirty steps on one batch, beside f32.
#[test]
fn weights_in_24_bits_learn_as_f32_does() {
    let optimizer = OptimizerConfig::named("sgd8bit").unwrap();
    let train = |weights: Weights| -> Vec<f64> {
        let mut training = Training::new(["rev2-resnet10", ""], 16, &optimizer, &[]);
        let mut losses = Vec::new();
        for step in 0..30 {
            let (next, loss) = match weights {
                Weights::F32 => training.released(batch(0)),
                Weights::Bf16Plus8 => training.packed(batch(0), step),
            };
            training = next;
            losses.push(loss);
        }
        losses
    };
    let [ours, wanted] = [Weights::Bf16Plus8, Weights::F32].map(train);
    let late = |losses: &[f64]| losses[25..].iter().sum::<f64>() / 5.0;
    let (start, ours, wanted) = (wanted[0], late(&ours), late(&wanted));
    assert!(wanted < 0.8 * start, "f32 does not learn: {wanted} after {start}");
    assert!((ours - wanted).abs() < 0.2 * start, "{ours}, f32 {wanted}, both after {start}");
}
