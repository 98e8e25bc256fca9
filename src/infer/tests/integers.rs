//! Networks in integers against a plain twin. It computes step by step in floats; layers with
//! ranges are computed group by group in memory of their own, from bytes to floats, and what lies
//! in bytes is rounded as bytes are.

use std::collections::HashMap;

use super::*;
use crate::infer::kernels::{IntAdd, IntCall, IntDense, IntOutput, Scale, quantize};
use crate::infer::layer::{Layer, Layers, part_of};
use crate::infer::plane::{Form, GUARD, Plane, TAIL};
use crate::infer::program::{Arena, Program, Slot};
use crate::infer::weights::Tensors;
use crate::inference::Features;
use crate::quant::RangeMethod;

/// A model with ranges for all layers that can compute in integers.
pub(in crate::infer) fn calibrated(mut model: Model) -> Model {
    let (mels, least) = (model.header.arch.mels, model.network.least_frames());
    let utterance = |frames| Features { values: noise(frames, mels), frames, mels };
    let features = [least.max(20), 50, 64].map(utterance);
    let method = RangeMethod::Percentile;
    let made = calibrate(&model, &features, method, &Floats::None, &mut |_, _| ()).unwrap();
    assert!(!made.activations.layers.is_empty(), "{}", model.header.arch.name);
    model.header.activations = Some(made.activations);
    model
}

/// Rounds the values of a slot as bytes are.
fn round(values: &mut [f32], slot: &Slot, scale: Scale) {
    let Plane { width, pitch, .. } = slot.plane;
    let rows = values[slot.start + GUARD..][..slot.plane.len()].chunks_exact_mut(pitch);
    rows.flat_map(|row| &mut row[..width]).for_each(|v| *v = scale.value(scale.byte(*v)));
}

/// Equal parts of a value, each in memory of its own.
fn parts(values: &[f32], slot: &Slot, count: usize) -> Vec<Vec<f32>> {
    let rows: Vec<&[f32]> = slot.rows(values).collect();
    let part = |rows: &[&[f32]]| {
        let mut part = vec![0.0; GUARD];
        for row in rows {
            part.extend_from_slice(row);
            part.extend(vec![0.0; slot.plane.pad()]);
        }
        part.extend([0.0; TAIL]);
        part
    };
    rows.chunks(rows.len() / count).map(part).collect()
}

/// Runs a step of a program in floats by layers in integers.
fn step(program: &Program, i: usize, layers: &[IntDense], relu: bool, values: &mut [f32]) {
    let step = &program.steps[i];
    let (x, y) = (&program.slots[step.inputs[0]], &program.slots[step.output]);
    let (count, pad) = (layers.len(), x.plane.pad());
    let (size, made) = (part_of(&x.size, count), part_of(&y.size, count));
    let others = step.inputs.get(1).map(|&other| parts(values, &program.slots[other], count));
    let inputs = parts(values, x, count);
    values[y.range()].fill(0.0);
    for (group, layer) in layers.iter().enumerate() {
        let words = Plane::of(&[size[0].div_ceil(4), size[1], size[2]], pad).buffer();
        let (mut words, mut scratch) = (vec![0u32; words], vec![0u32; layer.scratch(size, pad)]);
        quantize(program.level, &inputs[group], size, pad, layer.input(), &mut words, pad);
        let plane = Plane::of(&made, pad);
        let mut sums = vec![0.0; plane.buffer()];
        layer.run(IntCall {
            x: &words,
            size,
            pad,
            y: IntOutput::Floats(&mut sums),
            add: others.as_ref().map_or(IntAdd::Nothing, |all| IntAdd::Floats(&all[group])),
            relu,
            scratch: &mut scratch,
        });
        let own = &mut values[y.start + GUARD + group * plane.len()..][..plane.len()];
        own.copy_from_slice(&sums[GUARD..][..plane.len()]);
    }
}

/// The embedding by the plain twin.
fn twin(model: &Model, level: Level, features: &[f32], frames: usize) -> Vec<f32> {
    let activations = model.header.activations.as_ref();
    let graph = model.header.arch.graph(frames).unwrap();
    let [plain, integer] = [None, activations].map(|ranges| lower(&graph, ranges).unwrap());
    let layers = |lowered: &Lowered| {
        let mut tensors = Tensors::of(model).unwrap();
        Layers::make(&graph, lowered.recipes(), &mut tensors, level).unwrap()
    };
    let (floats, integers) = (layers(&plain), layers(&integer));
    let mut forms = HashMap::new();
    for step in &integer.steps {
        if let Work::Layer { layer, .. } = &step.work {
            let name = layer.name(&graph).unwrap_or_default();
            forms.insert(name, (layer, integer.values[step.output].form));
        }
    }
    let program = Program::new(&graph, &floats, level, None, false).unwrap();
    let mut arena = Arena::default();
    let values = arena.memory(&program);
    program.begin(features, values);
    for (i, lowered) in plain.steps.iter().enumerate() {
        let Work::Layer { layer, relu } = &lowered.work else {
            program.step(i, values);
            continue;
        };
        let (recipe, form) = forms[layer.name(&graph).unwrap_or_default()];
        match &*integers.get(recipe).unwrap() {
            Layer::Integers(layers) => step(&program, i, layers, *relu, values),
            _ => program.step(i, values),
        }
        if let Form::Bytes(scale) = form {
            round(values, &program.slots[lowered.output], scale);
        }
    }
    program.end(values)
}

fn bits(embedding: &[f32]) -> Vec<u32> {
    embedding.iter().map(|x| x.to_bits()).collect()
}

/// Directions that lie close to each other; and not the same, so that there are integers.
fn check_distance(ours: &[f32], floats: &[f32], name: &str) {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    let cosine = dot(ours, floats) / (dot(ours, ours) * dot(floats, floats)).sqrt();
    assert!((0.98..1.0).contains(&cosine), "{name}: cosine {cosine} to f32");
}

fn check(model: &Model, lengths: &[usize]) {
    let Architecture { name, mels, .. } = &model.header.arch;
    let floats = Runtime::floats_of(model).unwrap();
    let mut levels = vec![Level::Portable, Level::best()];
    levels.dedup();
    for level in levels {
        let runtime = Runtime::with_level(model, level).unwrap();
        for &frames in lengths {
            let features = noise(frames, *mels);
            let ours = runtime.embed(&features, frames).unwrap();
            let wanted = twin(model, level, &features, frames);
            assert_eq!(bits(&ours), bits(&wanted), "{name} {level:?}, {frames} frames");
            check_distance(&ours, &floats.embed(&features, frames).unwrap(), name);
        }
    }
}

/// Networks of every operation. An ECAPA-TDNN of this width has ranges of four channels, which
/// layers in integers read as views.
#[test]
fn networks_in_integers_equal_their_plain_twin() {
    let mut all: Vec<Architecture> =
        FAMILIES.into_iter().chain(REDIMNETS).map(|(name, pooling)| named(name, pooling)).collect();
    all.push(Architecture { width: 32, ..named("ecapa-tdnn-512", PoolingKind::AstpGlobal) });
    for arch in all {
        let mut model = calibrated(model(&arch));
        check(&model, &[37, 64]);
        // Fewer layers, some of which read other bytes than their neighbours.
        let layers = &mut model.header.activations.as_mut().unwrap().layers;
        let mut number = 0;
        layers.retain(|_, _| {
            number += 1;
            number % 3 != 0
        });
        layers.values_mut().step_by(2).for_each(|ranges| ranges.input[1] *= 1.25);
        check(&model, &[41]);
    }
}

#[test]
fn packed_networks_in_integers_equal_their_plain_twin() {
    let small_layers = SmallLayers::FewerBits;
    let kmeans = |bits| QuantizeConfig { bits, small_layers, ..QuantizeConfig::default() };
    let (method, per_channel) = (Method::BinaryAdaptive, true);
    let binary = QuantizeConfig { method, per_channel, small_layers, ..QuantizeConfig::default() };
    for config in [kmeans(4), kmeans(3), binary] {
        let packed = packed(&model(&named("resnet18", PoolingKind::Tstp)), config);
        check(&calibrated(packed), &[37]);
    }
}

#[test]
fn without_ranges_nothing_changes() {
    for (name, pooling) in FAMILIES {
        let plain = model(&named(name, pooling));
        let ranged = calibrated(plain.clone());
        let features = noise(41, 16);
        let embed = |runtime: Runtime| bits(&runtime.embed(&features, 41).unwrap());
        let wanted = embed(Runtime::of(&plain).unwrap());
        assert_eq!(embed(Runtime::floats_of(&ranged).unwrap()), wanted, "{name}");
        assert_ne!(embed(Runtime::of(&ranged).unwrap()), wanted, "{name}");
    }
}

#[test]
fn lengths_in_any_order_and_threads_change_no_bit() {
    for (name, pooling) in FAMILIES.into_iter().chain(REDIMNETS) {
        let model = calibrated(model(&named(name, pooling)));
        let (mels, least) = (model.header.arch.mels, model.network.least_frames());
        let embed =
            |runtime: &Runtime, frames| bits(&runtime.embed(&noise(frames, mels), frames).unwrap());
        let shared = Runtime::of(&model).unwrap();
        for frames in [64, least, 200, 64] {
            let run = |threads| {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let runtime = Runtime::of(&model).unwrap();
                pool.install(|| embed(&runtime, frames))
            };
            let alone = run(1);
            assert_eq!(embed(&shared, frames), alone, "{name}, {frames} frames");
            assert_eq!(run(2), alone, "{name}, {frames} frames");
        }
    }
}
