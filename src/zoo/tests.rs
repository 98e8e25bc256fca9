use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::nn::{BranchKind, Mode, PoolingKind, collect_named, graph, names_and_shapes};

/// Small networks of every name for so many mels, with every pooling that they may have, and with
/// two embedding layers where they may.
pub(crate) fn small(mels: usize) -> impl Iterator<Item = Architecture> {
    names().flat_map(move |name| {
        let own = Architecture::named(&name).unwrap();
        // A ReDimNet's widths and mels fit each other.
        let (width, mels) =
            if name.starts_with("redimnet") { (own.width, own.mels) } else { (8, mels) };
        let of = |pooling, two_embedding_layers| Architecture {
            width,
            mels,
            embedding_dim: 20,
            pooling,
            two_embedding_layers,
            ..own.clone()
        };
        let choices = PoolingKind::ALL.map(|pooling| {
            let two = pooling == PoolingKind::Tap;
            [of(pooling, two), of(pooling, !two)].into_iter().find(|arch| arch.check().is_ok())
        });
        let all: Vec<Architecture> = choices.into_iter().flatten().collect();
        assert!(!all.is_empty(), "{name} has no pooling");
        all
    })
}

/// The [`small`] networks: every pooling of those that are not deep, for depth adds no operation.
pub(crate) fn various(mels: usize) -> impl Iterator<Item = Architecture> {
    small(mels).filter(|arch| {
        let own = Architecture::named(&arch.name).unwrap().pooling;
        let is_deep = arch.layout().unwrap().nodes.len() >= 200;
        !is_deep || [PoolingKind::Astp, own].contains(&arch.pooling)
    })
}

#[test]
fn graphs_have_the_tensors_of_their_modules() {
    let mut seen = 0;
    for arch in small(48) {
        let (name, pooling) = (&arch.name, arch.pooling);
        let graph = arch.graph(200).unwrap();
        let network = arch.init(&Device::default(), 0).unwrap();
        assert_eq!(graph.names_and_shapes(), names_and_shapes(&network), "{name} {pooling:?}");
        // Every tensor belongs to one layer.
        let mut used: Vec<usize> = graph.nodes.iter().flat_map(|n| n.tensors.clone()).collect();
        used.sort_unstable();
        assert_eq!(used, (0..graph.tensors.len()).collect::<Vec<_>>(), "{name} {pooling:?}");
        for info in &graph.tensors {
            assert_eq!(info.trained, !info.name.contains(".running_"), "{name}: {}", info.name);
        }
        assert_eq!(graph.parameters(), arch.account(200).unwrap().parameters());
        seen += 1;
    }
    assert!(seen > 5 * names().count(), "{seen}");
}

/// Steps and tail cover all nodes, one after the other, but for rearrangements and the sums of
/// couplings.
#[test]
fn functions_stand_in_order() {
    for arch in small(48) {
        let graph = arch.graph(64).unwrap();
        let mut functions: Vec<&graph::Function> =
            graph.steps.iter().flat_map(|(_, step)| step.functions()).collect();
        functions.push(&graph.tail);
        let mut end = 0;
        for f in functions {
            assert!(f.nodes.start >= end && f.nodes.end >= f.nodes.start, "{}", arch.name);
            for node in &graph.nodes[end..f.nodes.start] {
                assert!(node.tensors.is_empty(), "{}: {node:?}", arch.name);
            }
            end = f.nodes.end;
        }
        assert_eq!((end, graph.output), (graph.nodes.len(), graph::Value(end)), "{}", arch.name);
    }
}

/// A network whose weights would take 96 GB is recorded all the same.
#[test]
fn recording_draws_no_weight() {
    let arch = Architecture { width: 1024, ..Architecture::named("resnet293").unwrap() };
    assert!(arch.graph(200).unwrap().parameters() > 20_000_000_000);
}

/// Equal parameters: within 1 % for basic blocks and DF-ResNets, 1.1 % where bottlenecks leave
/// nothing nearer.
#[test]
fn reversible_types_have_the_ordinary_networks_parameters() {
    let parameters =
        |name: &str| Architecture::named(name).unwrap().account(200).unwrap().parameters() as f64;
    let mut seen = 0;
    for row in ROWS {
        let Some(base) = row.network.base() else { continue };
        let most = if base.kind == BranchKind::Bottleneck { 0.011 } else { 0.01 };
        for kind in [ReversibleType::Partial, ReversibleType::Full] {
            let reversible = format!("{}{}", kind.prefix(), row.name);
            let off = parameters(&reversible) / parameters(row.name) - 1.0;
            assert!(off.abs() <= most, "{reversible}: {:+.2} %", 100.0 * off);
            seen += 1;
        }
    }
    assert_eq!(seen, names().count() - ROWS.len());
    assert_eq!(seen, 34);
}

/// To the digits that were published. DF-ResNet56 is the one that our layout does not meet.
#[test]
fn parameters_are_those_published() {
    let mut seen = 0;
    for row in ROWS {
        let Some(published) = row.published else { continue };
        let ours = Architecture::named(row.name).unwrap().account(200).unwrap().parameters();
        let off = ours as f64 / 1e6 / published - 1.0;
        let most = if row.name == "df-resnet56" { 0.05 } else { 0.004 };
        assert!(off.abs() < most, "{}: {ours}, published {published} million", row.name);
        seen += 1;
    }
    assert!(seen >= 6);
}

#[test]
fn unknown_names_list_the_known_ones() {
    let error = Architecture::named("resnet35").unwrap_err().to_string();
    assert!(error.contains("resnet35") && error.contains("gemini-df-resnet114"), "{error}");
    assert!(error.contains("each also as rev1-... and rev2-...; ecapa"), "{error}");
    let error = Architecture::named("ReDimNet2B2").unwrap_err().to_string();
    assert!(error.contains("did you mean redimnet2-b2? All: "), "{error}");
    let zero = Architecture { width: 0, ..Architecture::named("resnet18").unwrap() };
    assert!(zero.check().is_err());
}

/// The graph says all that a network computes: evaluated operation by operation, in operations of
/// Burn, it gives the network's embedding.
#[test]
fn graphs_compute_what_networks_compute() {
    let device = Device::default();
    let mut stream = crate::rng::Stream::new(5, "graphs", &[]);
    let mut seen = 0;
    // The deepest ones add minutes and no operation.
    let shallow = |arch: &Architecture| arch.graph(24).unwrap().nodes.len() < 600;
    for arch in small(48).filter(shallow) {
        let frames = 24;
        let network = arch.init(&device, 7).unwrap();
        let values: Vec<f32> =
            (0..2 * frames * arch.mels).map(|_| stream.normal() as f32).collect();
        let features =
            Tensor::<3>::from_data(TensorData::new(values, [2, frames, arch.mels]), &device);
        let wanted = network.forward(features.clone(), Mode::Eval).into_data();
        let image = features.swap_dims(1, 2).unsqueeze_dim::<4>(1);
        let graph = arch.graph(frames).unwrap();
        let tensors = collect_named(&network).into_iter().map(|(_, data)| data).collect();
        let ours = crate::nn::evaluate(&graph, tensors, image).into_data();
        let (ours, wanted): (Vec<f32>, Vec<f32>) =
            (ours.iter::<f32>().collect(), wanted.iter::<f32>().collect());
        let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>().sqrt();
        let off = norm(&mut ours.iter().zip(&wanted).map(|(a, b)| a - b));
        let size = norm(&mut wanted.iter().copied());
        assert_eq!(ours.len(), 2 * 20);
        assert!(off <= 1e-3 * size, "{} {:?}: {off} of {size}", arch.name, arch.pooling);
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}
