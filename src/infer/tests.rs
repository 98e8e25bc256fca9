//! The runtime against Burn's networks.

mod forms;
pub(super) mod integers;
mod joined;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::ThreadPoolBuilder;

use super::lower::{Lowered, Plain, Step, Work, lower};
use super::*;
use crate::audio::FbankConfig;
use crate::model_file::{Frontend, Header, Model};
use crate::nn::{Mode, PoolingKind, difference, names_and_shapes, trained};
use crate::quant::config::SmallLayers;
use crate::quant::{Method, QuantizeConfig, Quantizer, uniform};
use crate::rng::Stream;
use crate::zoo::tests::{small, various};
use crate::zoo::{Architecture, names};

/// A model whose biases and running statistics have moved.
pub(super) fn model(arch: &Architecture) -> Model {
    let network = trained(arch.init(&Device::default(), 7).unwrap());
    let fbank = FbankConfig { mels: arch.mels, ..FbankConfig::default() };
    Model { header: Header::new(arch.clone(), Frontend { fbank, cmn: true }), network }
}

/// A small network of a name.
fn named(name: &str, pooling: PoolingKind) -> Architecture {
    small(16).find(|arch| arch.name == name && arch.pooling == pooling).unwrap()
}

pub(super) fn noise(frames: usize, mels: usize) -> Vec<f32> {
    let mut stream = Stream::new(9, "features", &[frames as u64]);
    (0..frames * mels).map(|_| stream.normal() as f32).collect()
}

/// The embedding by Burn.
fn wanted(model: &Model, features: &[f32], frames: usize) -> Vec<f32> {
    let data = TensorData::new(features.to_vec(), [1, frames, model.header.arch.mels]);
    let features = Tensor::<3>::from_data(data, &Device::default());
    model.network.forward(features, Mode::Eval).into_data().iter::<f32>().collect()
}

fn compare(model: &Model, levels: &[Level], lengths: &[usize]) {
    let arch = &model.header.arch;
    let runtimes: Vec<(Level, Runtime)> =
        levels.iter().map(|&level| (level, Runtime::with_level(model, level).unwrap())).collect();
    for &frames in lengths {
        let features = noise(frames, arch.mels);
        let wanted = wanted(model, &features, frames);
        for (level, runtime) in &runtimes {
            let ours = runtime.embed(&features, frames).unwrap();
            let off = difference(&ours, &wanted);
            let (name, pooling) = (&arch.name, arch.pooling);
            assert!(off <= 1e-5, "{name} {pooling:?} {level:?}, {frames} frames: {off}");
        }
    }
}

#[test]
fn every_network_gives_burns_embeddings() {
    let mut seen = 0;
    for arch in various(16) {
        // Strides and squeezes by 8 leave 5 and 3 frames; 37 is no multiple of any.
        let least = arch.least_frames().unwrap();
        compare(&model(&arch), &[Level::best()], &[37, least.max(20)]);
        seen += 1;
    }
    assert!(seen > names().count(), "{seen}");
}

/// Networks that, with those of [`REDIMNETS`], have every operation.
const FAMILIES: [(&str, PoolingKind); 8] = [
    ("resnet18", PoolingKind::Tstp),
    ("df-resnet32", PoolingKind::Mqmhastp),
    ("rev1-resnet10", PoolingKind::Tstp),
    ("ecapa-tdnn-512", PoolingKind::AstpGlobal),
    ("campplus", PoolingKind::Tstp),
    ("eres2net34", PoolingKind::Tstp),
    ("simam-resnet34", PoolingKind::Asp),
    ("tdnn", PoolingKind::Tstp),
];

const REDIMNETS: [(&str, PoolingKind); 2] =
    [("redimnet-b0", PoolingKind::AstpGlobal), ("redimnet2-b0", PoolingKind::AstpGlobal)];

#[test]
fn all_instructions_give_the_same_embeddings() {
    for (name, pooling) in FAMILIES.into_iter().chain(REDIMNETS) {
        compare(&model(&named(name, pooling)), &Level::available(), &[41, 64]);
    }
}

/// The shortest utterances, in which rows of late layers have one frame, and long ones. Deviations
/// of one frame that attention weighs are Burn's rounding, so nothing is weighed here.
#[test]
fn lengths_at_both_ends_are_right() {
    let all = FAMILIES.into_iter().chain(REDIMNETS);
    for (name, _) in all.filter(|(name, _)| !name.starts_with("simam")) {
        let arch = named(name, PoolingKind::Tstp);
        let least = arch.least_frames().unwrap();
        compare(&model(&arch), &[Level::best()], &[least, least + 1, 700]);
    }
}

fn packed(model: &Model, config: QuantizeConfig) -> Model {
    let plan = uniform(&names_and_shapes(&model.network), &config).unwrap();
    let quantizer = Quantizer::new(plan, config);
    let attached = quantizer.attach(model.network.clone()).unwrap();
    quantizer.set_stage(quantizer.stages());
    Model::packed(&model.header, &attached, &quantizer, &Device::default()).unwrap()
}

/// All layers but the smallest in 4 bits.
pub(super) fn packed_in_4_bits(model: &Model) -> Model {
    packed(model, QuantizeConfig { bits: 4, ..QuantizeConfig::default() })
}

/// Also in groups of channels, whose codes begin within bytes, and with a table for each output.
#[test]
fn packed_networks_stay_packed_and_give_burns_embeddings() {
    let small_layers = SmallLayers::FewerBits;
    let kmeans = |bits| QuantizeConfig { bits, small_layers, ..QuantizeConfig::default() };
    let (method, per_channel) = (Method::BinaryAdaptive, true);
    let binary = QuantizeConfig { method, per_channel, small_layers, ..QuantizeConfig::default() };
    let names = ["resnet18", "df-resnet32", "rev1-resnet10", "ecapa-tdnn-512", "redimnet-b1"];
    for name in names {
        let arch = small(16).find(|arch| arch.name == name).unwrap();
        let whole = model(&arch);
        for config in [kmeans(4), kmeans(3), binary.clone()] {
            let packed = packed(&whole, config);
            compare(&packed, &[Level::best()], &[37]);
            let bytes = |model| Runtime::of(model).unwrap().weight_bytes();
            let (few, many) = (bytes(&packed), bytes(&whole));
            assert!(few < many * 3 / 4, "{name}: {few} bytes of {many}");
        }
    }
}

#[test]
fn threads_change_no_bit() {
    for (name, pooling) in FAMILIES.into_iter().chain(REDIMNETS) {
        let arch = named(name, pooling);
        let runtime = Runtime::of(&model(&arch)).unwrap();
        let features = noise(200, arch.mels);
        let run = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let made = pool.install(|| runtime.embed(&features, 200)).unwrap();
            made.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
        };
        assert_eq!(run(1), run(2), "{name}");
    }
}

/// Two passes at one time take two arenas; a shorter utterance takes a longer one's.
#[test]
fn arenas_have_the_bytes_that_were_told_and_are_used_again() {
    let arch = named("resnet18", PoolingKind::Tstp);
    let runtime = Runtime::of(&model(&arch)).unwrap();
    let told = runtime.arena_bytes(120).unwrap();
    assert!(runtime.arenas.lock().unwrap().is_empty());
    let bytes = || -> Vec<usize> {
        runtime.arenas.lock().unwrap().iter().map(super::program::Arena::bytes).collect()
    };
    let long = runtime.embed(&noise(120, arch.mels), 120).unwrap();
    assert_eq!(bytes(), [told]);
    runtime.embed(&noise(60, arch.mels), 60).unwrap();
    assert_eq!(bytes(), [told]);
    assert!(runtime.arena_bytes(60).unwrap() < told);
    // What other runs have left in it changes nothing.
    runtime.arenas.lock().unwrap().clear();
    assert_eq!(runtime.embed(&noise(120, arch.mels), 120).unwrap(), long);
    assert_eq!(runtime.embed(&noise(120, arch.mels), 120).unwrap(), long);
}

#[test]
fn more_lengths_than_are_kept_stay_right() {
    let arch = named("resnet10", PoolingKind::Tstp);
    let runtime = Runtime::of(&model(&arch)).unwrap();
    let embed = |frames| runtime.embed(&noise(frames, arch.mels), frames).unwrap();
    let first = embed(20);
    for frames in 21..60 {
        embed(frames);
    }
    assert_eq!(embed(20), first);
}

#[test]
fn threads_share_a_runtime() {
    let arch = named("resnet10", PoolingKind::Tstp);
    let runtime = Runtime::of(&model(&arch)).unwrap();
    let embed = |frames| runtime.embed(&noise(frames, arch.mels), frames).unwrap();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|i| scope.spawn(move || (i, embed(30 + i % 2)))).collect();
        for thread in all {
            let (i, made) = thread.join().unwrap();
            assert_eq!(made, embed(30 + i % 2));
        }
    });
}

#[test]
fn impossible_utterances_are_errors() {
    let arch = named("tdnn", PoolingKind::Tstp);
    let runtime = Runtime::of(&model(&arch)).unwrap();
    let error =
        |values: usize, frames| runtime.embed(&vec![0.0; values], frames).unwrap_err().to_string();
    let few = error(14 * 16, 14);
    assert!(few.contains("14 frames of speech; the network takes 15 or more"), "{few}");
    assert!(error(0, 0).contains("0 frames of speech"));
    let wrong = error(100, 20);
    assert!(wrong.contains("100 values are not 20 frames of 16 mels"), "{wrong}");
    assert!(error(100, usize::MAX).contains("100 values"));
    assert!(runtime.arena_bytes(14).is_err());
    let foreign = if Level::available().contains(&Level::Neon) { Level::Avx2 } else { Level::Neon };
    let error = Runtime::with_level(&model(&arch), foreign).err().unwrap().to_string();
    assert!(error.contains("instructions"), "{error}");
}

fn lowered(name: &str) -> Lowered {
    lower(&Architecture::named(name).unwrap().graph(200).unwrap(), None).unwrap()
}

/// A ResNet's blocks leave nothing between convolutions, and sums lie where their operands lay.
#[test]
fn a_resnet_is_convolutions_pooling_and_a_linear_layer() {
    let lowered = lowered("resnet34");
    let plain = lowered.steps.iter().filter(|step| matches!(step.work, Work::Plain(_))).count();
    assert_eq!((lowered.steps.len(), plain), (38, 1));
    assert_eq!(lowered.steps.iter().filter(|step| step.in_place).count(), 16);
}

/// A dense layer writes its channels behind those that it has read, which nobody copies.
#[test]
fn dense_blocks_grow_in_place() {
    let lowered = lowered("campplus");
    let is_concat = |step: &&Step<_>| matches!(step.work, Work::Plain(Plain::Concat(_)));
    let concats: Vec<_> = lowered.steps.iter().filter(is_concat).collect();
    // 12, 24 and 16 layers.
    assert_eq!(concats.len(), 52);
    assert!(concats.iter().all(|step| step.in_place));
}

/// Values of other sizes that are there already take no step: ranges of channels, vectors that
/// layers make of means, and the layers of gates that follow.
#[test]
fn views_take_no_step() {
    for name in ["ecapa-tdnn-512", "redimnet-b3", "eres2net34", "rev1-resnet34"] {
        let lowered = lowered(name);
        let is_reshape = |work: &Work<_>| matches!(work, Work::Plain(Plain::Reshape));
        let count = lowered.steps.iter().filter(|step| is_reshape(&step.work)).count();
        assert_eq!(count, 0, "{name}");
    }
}
