use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, TensorData};

use super::*;
use crate::nn::{
    Conv1dConfig, Conv2dConfig, Init, Pooling, PoolingKind, assign_named, collect_named,
};
use crate::rng::Stream;

/// The module with biases and running statistics as training leaves them. A new module's are such
/// that zeros stay zeros, and nobody would miss a mask.
pub fn trained<M: Module>(module: M) -> M {
    let mut stream = Stream::new(3, "trained", &[]);
    let mut values = HashMap::new();
    for (name, data) in collect_named(&module) {
        let shape = data.shape().to_vec();
        if let [count] = shape[..] {
            let is_variance = name.ends_with("running_var");
            let mut moved = |x: f32| match is_variance {
                true => stream.between(0.7, 1.3) as f32,
                false => x + stream.between(-0.2, 0.2) as f32,
            };
            let moved: Vec<f32> = data.iter::<f32>().map(&mut moved).collect();
            values.insert(name, TensorData::new(moved, [count]));
        }
    }
    assign_named(module, values)
}

/// The largest difference, as a part of the largest value.
pub fn difference(ours: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(ours.len(), wanted.len());
    assert!(ours.iter().all(|x| x.is_finite()), "{ours:?}");
    let most = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, |a: f32, b| a.max(b.abs()));
    most(&mut ours.iter().zip(wanted).map(|(a, b)| a - b)) / most(&mut wanted.iter().copied())
}

/// What an interpreter can be asked for outside of reversible bodies.
#[derive(Module, Debug)]
struct Mixed {
    conv: Conv2d,
    strided: Conv2d,
    norm: BatchNorm,
    over_time: Conv1d,
    pool: Pooling,
    linear: Linear,
}

const MELS: usize = 6;

impl Mixed {
    fn new(init: &Init) -> Self {
        let conv = Conv2dConfig::new(1, 4, 3).dilated(2).biased();
        let strided = Conv2dConfig::new(4, 8, 3).grouped(2);
        let over_time = Conv1dConfig::new(48, 20, 3).dilated(3).grouped(2);
        Self {
            conv: conv.init(init.at("conv")),
            strided: strided.stride([2, 2]).init(init.at("strided")),
            norm: BatchNorm::new(init.at("norm"), 8),
            over_time: over_time.biased().init(init.at("over_time")),
            pool: Pooling::new(init.at("pool"), PoolingKind::Astp, 20),
            linear: Linear::new(init.at("linear"), 40, 5),
        }
    }
}

impl Net for Mixed {
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let x = e.conv2d(&self.conv, image);
        let x = e.pad(x, [1, 4]);
        let x = e.conv_norm_relu(&self.strided, &self.norm, x);
        let y = e.copy(&x);
        let y = e.map(Map::Sigmoid, y);
        let x = e.combine(Combine::Multiply, x, y.clone());
        let x = e.combine(Combine::Mean, x, y.clone());
        let x = e.concat(vec![x, y], 1);
        let x: E::Value<3> = e.reshape(x, [0, (16 * MELS / 2) as i32, -1]);
        let x = e.conv1d(&self.over_time, x);
        let x: E::Value<4> = e.reshape(x, [0, 20, 1, -1]);
        let pooled = self.pool.forward(e, x);
        e.linear(&self.linear, pooled)
    }
}

fn noise(shape: [usize; 4]) -> Tensor<4> {
    let mut stream = Stream::new(1, "masked", &[]);
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

fn values(x: Tensor<2>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

/// Whatever stands behind it.
#[test]
fn each_utterance_gets_what_it_gets_alone() {
    let network = trained(Mixed::new(&Init::new(&Device::default(), 3)));
    let (lengths, frames) = ([5, 19, 1, 12], 19);
    let image = noise([4, 1, MELS, frames]);
    let ours = Masked::embed(&network, image.clone(), lengths.to_vec());
    for (i, length) in lengths.into_iter().enumerate() {
        let alone = image.clone().slice([i..i + 1, 0..1, 0..MELS, 0..length]);
        let wanted = values(Net::forward(&network, &mut Run::new(Mode::Eval), alone));
        let off = difference(&values(ours.clone().slice([i..i + 1, 0..5])), &wanted);
        assert!(off < 1e-5, "{length} frames: {off}");
    }
    // The test sees what a missing mask would do.
    let unmasked = values(Masked::embed(&network, image, vec![frames; 4]));
    assert!(difference(&unmasked[..5], &values(ours)[..5]) > 1e-2);
}

#[test]
#[should_panic(expected = "lengths [3, 0] of 2 utterances in 4 frames")]
fn an_utterance_without_frames_is_refused() {
    let network = Mixed::new(&Init::new(&Device::default(), 3));
    Masked::embed(&network, noise([2, 1, MELS, 4]), vec![3, 0]);
}

#[test]
#[should_panic(expected = "frames are the last axis: [0, 3, -1]")]
fn frames_stay_the_last_axis() {
    let mut masked = Masked { run: Run::new(Mode::Eval), all: Vec::new() };
    let tensor = noise([1, 1, 2, 6]);
    let lengths = Some(masked.place(vec![4], 6, &tensor.device()));
    let _: Padded<3> = masked.reshape(Padded { tensor, lengths, zeros: false }, [0, 3, -1]);
}
