//! Which values are bytes, and the memory that they take.

use std::collections::BTreeMap;

use super::*;
use crate::backend::codes::pack;
use crate::infer::calibrate::candidates;
use crate::infer::layer::Layers;
use crate::infer::plane::Form;
use crate::infer::program::Program;
use crate::infer::weights::{Codes, Tensor as Stored, Tensors};
use crate::nn::Graph;
use crate::nn::graph::Info;
use crate::quant::{Activations, RangeMethod, Ranges};

/// Every layer that can has ranges, another one for every value.
fn ranges(graph: &Graph) -> Activations {
    let lowered = lower(graph, None).unwrap();
    let chosen: Vec<_> =
        candidates(graph, &lowered).into_iter().filter_map(|layer| layer.name(graph)).collect();
    let mut layers = BTreeMap::new();
    for step in &lowered.steps {
        if let Work::Layer { layer, .. } = &step.work
            && let Some(name) = layer.name(graph).filter(|name| chosen.contains(name))
        {
            let of = |value: usize| [0.0, 1.0 + value as f32];
            let ranges = Ranges { input: of(step.inputs[0]), output: of(step.output) };
            layers.insert(name.to_owned(), ranges);
        }
    }
    Activations { bits: 8, method: RangeMethod::Mse, utterances: 1, layers }
}

pub(super) fn in_integers(name: &str, frames: usize) -> (Graph, Activations, Lowered) {
    let graph = Architecture::named(name).unwrap().graph(frames).unwrap();
    let activations = ranges(&graph);
    let lowered = lower(&graph, Some(&activations)).unwrap();
    (graph, activations, lowered)
}

fn quantized(lowered: &Lowered) -> Vec<usize> {
    let steps = lowered.steps.iter();
    let is_quantized = |work: &Work<_>| matches!(work, Work::Plain(Plain::Quantize(_)));
    steps.filter(|step| is_quantized(&step.work)).map(|step| step.inputs[0]).collect()
}

/// All that convolutions of a ResNet read is made as bytes; so is what the first one makes, which
/// computes in floats. Only the last one makes floats, for the pooling.
#[test]
fn a_resnet_is_bytes_between_its_ends() {
    let (_, activations, lowered) = in_integers("resnet34", 200);
    assert_eq!(activations.layers.len(), 35);
    assert!(quantized(&lowered).is_empty());
    let is_bytes = |value: usize| matches!(lowered.values[value].form, Form::Bytes(_));
    let count = lowered.steps.iter().filter(|step| is_bytes(step.output)).count();
    assert_eq!((lowered.steps.len(), count), (38, 35));
}

#[test]
fn what_readers_take_in_several_forms_stays_in_floats() {
    let (graph, activations, _) = in_integers("resnet34", 200);
    let without = |name: &str| {
        let mut fewer = activations.clone();
        fewer.layers.remove(name).unwrap();
        quantized(&lower(&graph, Some(&fewer)).unwrap())
    };
    // What the layer reads is added behind the next one, as floats; what it makes becomes bytes
    // without a step.
    assert!(without("layer2.1.conv1.weight").is_empty());
    // The other layer that reads the same takes bytes.
    let [twin] = without("layer3.0.shortcut.0.weight")[..] else { panic!("one step") };
    let mut other = activations.clone();
    other.layers.get_mut("layer3.0.shortcut.0.weight").unwrap().input[1] *= 2.0;
    // Both take bytes, of two scales.
    assert_eq!(quantized(&lower(&graph, Some(&other)).unwrap()), [twin; 2]);
}

/// Ranges of channels are views of floats.
#[test]
fn views_become_bytes() {
    for name in ["ecapa-tdnn-512", "eres2net34"] {
        let (_, _, lowered) = in_integers(name, 200);
        let is_part = |value: &usize| {
            let laid = &lowered.values[*value];
            lowered.buffers[laid.buffer].len > laid.plane.buffer()
        };
        assert!(quantized(&lowered).iter().any(is_part), "{name}");
    }
}

#[test]
fn ranges_of_other_layers_are_errors() {
    let (graph, activations, _) = in_integers("resnet34", 200);
    for name in ["conv1.weight", "seg_1.weight", "conv9.weight"] {
        let mut wrong = activations.clone();
        let range = wrong.layers["layer1.0.conv1.weight"];
        wrong.layers.insert(name.to_owned(), range);
        let error = lower(&graph, Some(&wrong)).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

/// Tensors in the form of a packed model, convolutions in 4 bits.
pub(super) fn coded(graph: &Graph) -> Tensors {
    let of = |info: &Info| {
        let count = info.elements();
        let codes: Vec<u8> = (0..count).map(|i| (i % 16) as u8).collect();
        let table = (0..16).map(|code| code as f32 / 16.0 - 0.5).collect();
        let stored = match info.shape.len() {
            4 => Stored::Codes(Codes { bits: 4, packed: pack(&codes, 4), count, table, groups: 1 }),
            _ => Stored::Floats(vec![1.0; count]),
        };
        (info.name.clone(), stored)
    };
    Tensors(graph.tensors.iter().map(of).collect())
}

/// Three seconds: three values of the first stage in bytes at one time, at most. Codes stay codes.
#[test]
fn a_resnet_in_integers_takes_the_memory_of_bytes() {
    let (graph, activations, _) = in_integers("resnet34", 298);
    let bytes = |activations: Option<&Activations>| {
        let (lowered, level) = (lower(&graph, activations).unwrap(), Level::best());
        let layers = Layers::make(&graph, lowered.recipes(), &mut coded(&graph), level).unwrap();
        let program = Program::new(&graph, &layers, level, activations, true).unwrap();
        [program.arena_bytes(), layers.bytes()]
    };
    let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let [integers, floats] = [Some(&activations), None].map(|of| pool.install(|| bytes(of)));
    assert!(integers[0] < 3_000_000, "{integers:?} bytes");
    assert!(floats[0] > 2 * integers[0], "{floats:?} bytes in floats, {integers:?} in integers");
    assert!(10 * integers[1] < 11 * floats[1], "{floats:?} bytes in floats, {integers:?}");
}
