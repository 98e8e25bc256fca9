//! Recomputed spans against the ordinary pass: equal to the bit on CPUs.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::record::Record;
use crate::nn::graph::Span;
use crate::nn::{Mode, collect_named, gradients_named};
use crate::rng::Stream;
use crate::zoo::{Architecture, Network};

/// One of each family, small where its sizes allow that, with mels and frames.
const FAMILIES: [(&str, usize, usize, usize); 10] = [
    ("resnet10", 4, 16, 24),
    ("resnet50", 2, 16, 24),
    ("df-resnet32", 4, 16, 24),
    ("gemini-df-resnet60", 2, 16, 24),
    ("ecapa-tdnn-512", 16, 16, 24),
    ("campplus", 16, 16, 40),
    ("redimnet2-b0", 12, 72, 16),
    ("eres2net34", 4, 16, 24),
    ("simam-resnet34", 2, 16, 24),
    ("tdnn", 16, 16, 24),
];

fn architecture(name: &str, width: usize, mels: usize) -> Architecture {
    let own = Architecture::named(name).unwrap();
    // A ReDimNet's widths and mels fit each other.
    let (width, mels) =
        if name.starts_with("redimnet") { (own.width, own.mels) } else { (width, mels) };
    Architecture { width, mels, embedding_dim: 6, ..own }
}

/// Spans between cuts: `groups` says how many units each has, in turn, and whether it is
/// recomputed.
fn spans(arch: &Architecture, frames: usize, groups: &[(usize, bool)]) -> Vec<Span> {
    let cuts = arch.graph(frames).unwrap().cuts();
    let (mut spans, mut start, mut taken) = (Vec::new(), 0, 0);
    for &(units, recomputed) in groups.iter().cycle() {
        if taken == cuts.len() {
            break;
        }
        taken = (taken + units).min(cuts.len());
        let end = cuts[taken - 1];
        spans.push(Span::new(start..end, recomputed));
        start = end;
    }
    spans
}

type Outcome = Vec<(String, Vec<u32>)>;

/// Two passes, and of the second one: embeddings, all gradients, and running statistics.
fn outcome(network: Network, arch: &Architecture, frames: usize) -> Outcome {
    let network = network.train();
    let device = Device::default().autodiff();
    let bits = |data: TensorData| -> Vec<u32> { data.iter::<f32>().map(f32::to_bits).collect() };
    let noise = |purpose: &str, count: usize| -> Vec<f32> {
        let mut stream = Stream::new(5, purpose, &[]);
        (0..count).map(|_| stream.normal() as f32).collect()
    };
    let mut all = Vec::new();
    for pass in ["first", "second"] {
        let shape = [3, frames, arch.mels];
        let values = noise(pass, shape.iter().product());
        let x = Tensor::<3>::from_data(TensorData::new(values, shape), &device);
        let y = network.forward(x, Mode::Train);
        let weights = TensorData::new(noise("loss", 3 * arch.embedding_dim), y.dims());
        let loss = (y.clone() * Tensor::<2>::from_data(weights, &device)).sum();
        let gradients = loss.backward();
        all = vec![("embeddings".to_owned(), bits(y.into_data()))];
        let named = gradients_named(&network, &gradients).into_iter();
        all.extend(named.map(|(name, data)| (format!("gradient of {name}"), bits(data))));
    }
    let buffers = collect_named(&network.valid()).into_iter();
    all.extend(buffers.filter(|(n, _)| n.contains("running_")).map(|(n, data)| (n, bits(data))));
    all
}

#[track_caller]
fn same(ours: &Outcome, wanted: &Outcome, what: &str) {
    assert_eq!(ours.len(), wanted.len(), "{what}");
    for ((name, ours), (same, wanted)) in ours.iter().zip(wanted) {
        assert!(name == same && ours == wanted, "{what}: {name}");
    }
}

fn compare((name, width, mels, frames): (&str, usize, usize, usize), groups: &[(usize, bool)]) {
    let arch = architecture(name, width, mels);
    let spans = spans(&arch, frames, groups);
    compare_spans(&arch, frames, spans, &format!("{name} {groups:?}"));
}

#[track_caller]
fn compare_spans(arch: &Architecture, frames: usize, spans: Vec<Span>, what: &str) {
    let network = || arch.init(&Device::default(), 3).unwrap();
    let checkpointed = network().checkpointed(spans.into()).unwrap();
    let wanted = outcome(network(), arch, frames);
    assert!(wanted.len() > 20, "{what}");
    same(&outcome(checkpointed, arch, frames), &wanted, what);
}

/// The numbers that plans name are the same on both sides.
#[test]
fn values_are_those_of_the_graph() {
    let others = [
        ("res2net34", 4, 16, 24),
        ("eres2net34-aug", 4, 16, 24),
        ("ecapa-tdnn-glob-512", 16, 16, 24),
        ("redimnet-b1", 12, 72, 16),
        ("redimnet-b3", 16, 72, 16),
    ];
    for (name, width, mels, frames) in FAMILIES.into_iter().chain(others) {
        let arch = architecture(name, width, mels);
        let (lines, output) = Record::of(&arch.init(&Device::default(), 0).unwrap());
        let graph = arch.graph(frames).unwrap();
        assert_eq!(output, graph.output, "{name}");
        for line in &lines {
            assert_eq!(line.axes, 1 + graph.size(line.output).len(), "{name}: {:?}", line.output);
        }
        // Sums and softmaxes within one operation are nodes of the graph alone.
        let cuts = graph.cuts();
        assert!(cuts.iter().all(|cut| lines.iter().any(|line| line.output.0 == *cut)), "{name}");
    }
}

#[test]
fn every_unit_can_be_recomputed() {
    FAMILIES.iter().for_each(|&family| compare(family, &[(1, true)]));
}

#[test]
fn whole_networks_can_be_recomputed() {
    FAMILIES.iter().for_each(|&family| compare(family, &[(usize::MAX / 2, true)]));
}

#[test]
fn recomputed_spans_stand_beside_kept_ones() {
    for family in FAMILIES {
        compare(family, &[(2, true), (1, false), (3, true)]);
    }
}

/// Three units at a time, at each of which the backward pass takes its span apart.
#[test]
fn recomputed_spans_can_be_taken_apart() {
    for (name, width, mels, frames) in FAMILIES {
        let arch = architecture(name, width, mels);
        let all = arch.graph(frames).unwrap().cuts();
        let mut spans = spans(&arch, frames, &[(3, true)]);
        for span in &mut spans {
            let within = |cut: &&usize| (span.nodes.start + 1..span.nodes.end).contains(*cut);
            span.cuts = all.iter().filter(within).copied().collect();
        }
        let apart = spans.iter().any(|span| span.cuts.len() == 2);
        assert!(apart || all.len() < 4, "{name}: {all:?}");
        compare_spans(&arch, frames, spans, name);
    }
}

#[test]
fn kept_spans_are_the_ordinary_pass() {
    FAMILIES.iter().for_each(|&family| compare(family, &[(1, false)]));
}

/// Without a tape there is nothing to recompute.
#[test]
fn passes_without_a_tape_are_as_before() {
    let arch = architecture("resnet10", 4, 16);
    let network = || arch.init(&Device::default(), 3).unwrap();
    let spans = spans(&arch, 24, &[(2, true)]);
    let checkpointed = network().checkpointed(spans.into()).unwrap();
    let x = || Tensor::<3>::ones([2, 24, 16], &Device::default());
    for mode in [Mode::Eval, Mode::Train] {
        let [ours, wanted] = [&checkpointed, &network()].map(|n| n.forward(x(), mode).into_data());
        assert_eq!(ours, wanted, "{mode:?}");
    }
}

#[test]
fn what_is_no_plan_of_the_network_is_refused() {
    let device = Device::default();
    let reversible = architecture("rev1-resnet10", 4, 16).init(&device, 3).unwrap();
    let error = reversible.checkpointed(Vec::new().into()).unwrap_err().to_string();
    assert!(error.contains("already"), "{error}");
    let network = || architecture("resnet10", 4, 16).init(&device, 3).unwrap();
    for nodes in [1..3, 0..0] {
        let spans = vec![Span::new(nodes, true)];
        let error = network().checkpointed(spans.into()).unwrap_err().to_string();
        assert!(error.contains("gaps"), "{error}");
    }
    for cuts in [vec![0], vec![5], vec![2, 2], vec![3, 2]] {
        let spans = vec![Span { cuts, ..Span::new(0..5, true) }];
        let error = network().checkpointed(spans.into()).unwrap_err().to_string();
        assert!(error.contains("in order"), "{error}");
    }
}
