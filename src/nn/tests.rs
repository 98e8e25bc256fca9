//! Layers against their recorded graphs, and against sums written out.

mod plain;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

pub use self::plain::evaluate;
use super::*;
use crate::rng::Stream;

/// One of each layer that the networks do not use: groups, dilation and bias, gates, and values
/// side by side.
#[derive(Module, Debug)]
struct Everything {
    conv: Conv2d,
    grouped: Conv2d,
    norm: BatchNorm,
    over_time: Conv1d,
    gate: Conv1d,
    linear: Linear,
}

const MELS: usize = 6;
const FRAMES: usize = 17;

impl Everything {
    fn new(init: &Init) -> Self {
        let conv = Conv2dConfig::new(1, 4, 3).dilated(2).biased();
        let grouped = Conv2dConfig::new(4, 8, 3).grouped(2);
        let over_time = Conv1dConfig::new(48, 20, 3).dilated(3).grouped(2).biased();
        Self {
            conv: conv.init(init.at("conv")),
            grouped: grouped.stride([2, 1]).init(init.at("grouped")),
            norm: BatchNorm::new(init.at("norm"), 16),
            over_time: over_time.init(init.at("over_time")),
            gate: Conv1dConfig::new(20, 20, 1).init(init.at("gate")),
            linear: Linear::new(init.at("linear"), 40, 5),
        }
    }
}

impl Net for Everything {
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        e.stage(Stage::numbered("front", 1));
        let x = e.conv2d(&self.conv, image);
        let x = e.conv2d(&self.grouped, x);
        let y = e.map(Map::Sigmoid, x.clone());
        let x = e.concat(vec![x, y], 1);
        let x = e.norm(&self.norm, x, false);
        let x: E::Value<3> = e.reshape(x, [0, (16 * MELS / 2) as i32, -1]);
        let x = e.conv1d(&self.over_time, x);
        let gate = e.conv1d(&self.gate, x.clone());
        let gate = e.map(Map::Sigmoid, gate);
        let x = e.combine(Combine::Multiply, x, gate);
        e.stage(Stage::POOLING);
        let pooled = e.pool(Statistics::Both, x, None);
        e.stage(Stage::EMBEDDING);
        e.linear(&self.linear, pooled)
    }
}

#[test]
fn every_layer_runs_as_it_is_recorded() {
    let device = Device::default();
    let network = Everything::new(&Init::new(&device, 3));
    let mut stream = Stream::new(1, "everything", &[]);
    let values: Vec<f32> = (0..3 * MELS * FRAMES).map(|_| stream.normal() as f32).collect();
    let image = Tensor::<4>::from_data(TensorData::new(values, [3, 1, MELS, FRAMES]), &device);
    let ours = network.forward(&mut Run::new(Mode::Eval), image.clone()).into_data();
    let graph = Trace::record(&network, [MELS, FRAMES]);
    let tensors = collect_named(&network).into_iter().map(|(_, data)| data).collect();
    let wanted = evaluate(&graph, tensors, image).into_data();
    assert_eq!(ours.shape().to_vec(), [3, 5]);
    for (a, b) in ours.iter::<f32>().zip(wanted.iter::<f32>()) {
        assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} {b}");
    }
    // 4 + 8 channels, 40 statistics; weights and biases as they are built.
    let (stages, layers): (Vec<String>, Vec<_>) =
        graph.nodes.iter().map(|n| (n.stage.to_string(), graph.layer(n))).unzip();
    assert_eq!(stages.iter().filter(|s| *s == "front 1").count(), 10);
    let named: Vec<&str> = layers.into_iter().flatten().collect();
    assert_eq!(named, ["conv", "grouped", "norm", "over_time", "gate", "linear"]);
    let parameters = (9 * 4 + 4) + 8 * 2 * 9 + 2 * 16 + (20 * 24 * 3 + 20) + 20 * 20 + (40 * 5 + 5);
    assert_eq!(graph.parameters(), parameters);
    let macs = 9 * 4 * MELS * FRAMES
        + 8 * 2 * 9 * MELS / 2 * FRAMES
        + 20 * 24 * 3 * FRAMES
        + 20 * 20 * FRAMES
        + 40 * 5;
    assert_eq!(graph.macs(), macs);
}

/// Against sums written out.
#[test]
fn dilation_groups_and_stride_are_what_they_say() {
    let device = Device::default();
    let config = Conv1dConfig::new(4, 2, 3).stride([2]).dilated(2).grouped(2).biased();
    let layer = config.init(Init::new(&device, 2));
    let mut stream = Stream::new(2, "dilation", &[]);
    let x: Vec<f32> = (0..4 * 11).map(|_| stream.normal() as f32).collect();
    let weight: Vec<f32> = layer.weight.val().into_data().iter::<f32>().collect();
    let bias: Vec<f32> =
        layer.bias.as_ref().expect("has one").val().into_data().iter::<f32>().collect();
    let ours = layer.forward(Tensor::from_data(TensorData::new(x.clone(), [1, 4, 11]), &device));
    assert_eq!(ours.dims(), [1, 2, 6]);
    let mut wanted = Vec::new();
    for o in 0..2 {
        for t in 0..6 {
            let mut sum = bias[o];
            for i in 0..2 {
                for k in 0..3 {
                    let at = (2 * t + 2 * k) as i32 - 2;
                    if (0..11).contains(&at) {
                        sum += weight[(o * 2 + i) * 3 + k] * x[(o * 2 + i) * 11 + at as usize];
                    }
                }
            }
            wanted.push(sum);
        }
    }
    let ours: Vec<f32> = ours.into_data().iter::<f32>().collect();
    assert!(ours.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{ours:?} {wanted:?}");
}
