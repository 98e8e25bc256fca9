//! The stages of CAM++: densely connected layers over frames, whose outputs a mask of their context
//! weighs. Field names are WeSpeaker's.

use burn::module::Module;

use super::CamPlusPlus;
use crate::nn::{BatchNorm, Combine, Conv1d, Conv1dConfig, Exec, Init, Map};

/// Frames that a layer sees, its dilation apart.
const KERNEL: usize = 3;
/// Frames of a segment of the context.
const SEGMENT: usize = 100;
/// The mask is computed in so many times fewer channels than the layer has inside.
const REDUCTION: usize = 2;

/// BatchNorm under the name that checkpoints give it.
#[derive(Module, Debug)]
pub(super) struct Nonlinear {
    pub(super) batchnorm: BatchNorm,
}

impl Nonlinear {
    /// BatchNorm with affine part.
    pub fn new(init: &Init, channels: usize) -> Self {
        Self { batchnorm: BatchNorm::new(init.at("batchnorm"), channels) }
    }

    /// BatchNorm and ReLU, `[batch, channels, frames]` -> the same shape.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        e.norm(&self.batchnorm, x, true)
    }
}

/// Layers, each of which sees the block's input and the outputs of all layers before it. Names
/// count from `tdnnd1`.
#[derive(Module, Debug)]
pub(super) struct DenseBlock {
    tdnnd_: Vec<Option<DenseLayer>>,
}

impl DenseBlock {
    /// So many layers behind `input` channels.
    pub fn new(
        init: &Init,
        size: &CamPlusPlus,
        layers: usize,
        dilation: usize,
        input: usize,
    ) -> Self {
        let layer = |i: usize| {
            let place = init.at(format!("tdnnd{i}"));
            DenseLayer::new(&place, size, dilation, input + (i - 1) * size.growth)
        };
        let layers = (1..=layers).map(|i| Some(layer(i)));
        Self { tdnnd_: std::iter::once(None).chain(layers).collect() }
    }

    /// `[batch, input, frames]` -> `[batch, input + layers * growth, frames]`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        self.tdnnd_.iter().flatten().fold(x, |x, layer| {
            let y = layer.forward(e, x.clone());
            e.concat(vec![x, y], 1)
        })
    }
}

/// Two convolutions with BatchNorm and ReLU in front of each; the second one is masked.
#[derive(Module, Debug)]
struct DenseLayer {
    nonlinear1: Nonlinear,
    linear1: Conv1d,
    nonlinear2: Nonlinear,
    cam_layer: ContextMasked,
}

impl DenseLayer {
    fn new(init: &Init, size: &CamPlusPlus, dilation: usize, input: usize) -> Self {
        let inner = size.bottleneck * size.growth;
        let place = init.at("cam_layer");
        Self {
            nonlinear1: Nonlinear::new(&init.at("nonlinear1"), input),
            linear1: Conv1dConfig::new(input, inner, 1).init(init.at("linear1")),
            nonlinear2: Nonlinear::new(&init.at("nonlinear2"), inner),
            cam_layer: ContextMasked::new(&place, inner, size.growth, dilation),
        }
    }

    /// `[batch, input, frames]` -> `[batch, growth, frames]`.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let x = self.nonlinear1.forward(e, x);
        let x = e.conv1d(&self.linear1, x);
        let x = self.nonlinear2.forward(e, x);
        self.cam_layer.forward(e, x)
    }
}

/// A convolution whose outputs are multiplied by a mask between 0 and 1. The mask is computed from
/// the mean over all frames plus the mean over the frame's segment.
#[derive(Module, Debug)]
struct ContextMasked {
    linear_local: Conv1d,
    linear1: Conv1d,
    linear2: Conv1d,
}

impl ContextMasked {
    fn new(init: &Init, input: usize, output: usize, dilation: usize) -> Self {
        let (local, narrow) =
            (Conv1dConfig::new(input, output, KERNEL).dilated(dilation), input / REDUCTION);
        Self {
            linear_local: local.init(init.at("linear_local")),
            linear1: Conv1dConfig::new(input, narrow, 1).biased().init(init.at("linear1")),
            linear2: Conv1dConfig::new(narrow, output, 1).biased().init(init.at("linear2")),
        }
    }

    /// `[batch, input, frames]` -> `[batch, output, frames]`.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let of_all = e.mean::<3>(&x, &[2]);
        let of_segments = e.segments(&x, SEGMENT);
        let context = e.combine(Combine::Add, of_segments, of_all);
        let mask = e.conv1d(&self.linear1, context);
        let mask = e.map(Map::Relu, mask);
        let mask = e.conv1d(&self.linear2, mask);
        let mask = e.map(Map::Sigmoid, mask);
        let y = e.conv1d(&self.linear_local, x);
        e.combine(Combine::Multiply, y, mask)
    }
}

/// BatchNorm, ReLU and a 1x1 convolution.
#[derive(Module, Debug)]
pub(super) struct Transit {
    nonlinear: Nonlinear,
    linear: Conv1d,
}

impl Transit {
    /// From `input` to `output` channels.
    pub fn new(init: &Init, input: usize, output: usize) -> Self {
        Self {
            nonlinear: Nonlinear::new(&init.at("nonlinear"), input),
            linear: Conv1dConfig::new(input, output, 1).init(init.at("linear")),
        }
    }

    /// `[batch, input, frames]` -> `[batch, output, frames]`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let x = self.nonlinear.forward(e, x);
        e.conv1d(&self.linear, x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::wespeaker::compare;

    /// On 230 frames: two segments of the context are whole, the last one is short.
    #[test]
    fn masks_are_wespeakers() {
        let layer = |init: &Init| ContextMasked::new(init, 8, 6, 2);
        compare("cam_layer", "", layer, |layer, e, x| layer.forward(e, x[0].clone()));
    }
}
