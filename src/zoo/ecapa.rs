//! ECAPA-TDNN (arXiv 2005.07143; WeSpeaker `wespeaker/models/ecapa_tdnn.py`).
//!
//! | layer | channels | kernel, dilation |
//! |---|---|---|
//! | layer1 | width | 5, 1 |
//! | layer2 to layer4, SE-Res2 blocks | width | 3, 2 to 4 |
//! | conv, of the three blocks' outputs side by side | 1536 | 1, 1 |
//!
//! Attentive pooling over frames, BatchNorm and a linear layer follow. BatchNorm stands behind ReLU
//! throughout, and no layer changes the number of frames. The last convolution has 1536 channels
//! whatever the width, as in WeSpeaker.
//!
//! There is no reversible type. Reversible blocks save memory because their outputs need not be
//! kept. Here the last convolution reads the outputs of all three blocks, so they are kept in any
//! case, and with them the inside of each block can be computed again without coupling. There is
//! no stage of several blocks whose ends alone would be kept.

use burn::module::Module;

use super::network::Backbone;
use super::registry::Member;
use super::{Architecture, Ecapa, Layers, without_asp, without_second_layer};
use crate::error::{Error, Result};
use crate::nn::{
    BatchNorm, Combine, Conv1d, Conv1dConfig, Exec, Init, Linear, Map, Normed, Pooling, Stage,
};

/// Parts that a Res2 layer divides its channels in.
const SCALE: usize = 8;
/// Inner values of a block's gate.
const BOTTLENECK: usize = 128;
/// Channels in front of the pooling.
const POOLED: usize = 1536;

/// The published network.
pub(super) const ECAPA: Ecapa = Ecapa { embedding_norm: false };

impl Member for Ecapa {
    fn init(&self, init: &Init, arch: &Architecture) -> Backbone {
        let (width, dim) = (arch.width, arch.embedding_dim);
        // The layer's number is its dilation.
        let block = |layer: usize| {
            SeRes2Block::new(&init.at(format!("layer{layer}")).at("se_res2block"), width, layer)
        };
        let statistics = arch.pooling.outputs(POOLED);
        let first = Conv1dConfig::new(arch.mels, width, 5);
        Backbone::Ecapa(EcapaTdnn {
            layer1: ConvReluNorm::new(&init.at("layer1"), first),
            layer2: block(2),
            layer3: block(3),
            layer4: block(4),
            conv: Conv1dConfig::new(3 * width, POOLED, 1).biased().init(init.at("conv")),
            pool: Pooling::new(init.at("pool"), arch.pooling, POOLED),
            unnamed: Normed::new(init, statistics, dim, self.embedding_norm),
        })
    }

    fn check(&self, arch: &Architecture) -> Result<()> {
        let (name, width) = (&arch.name, arch.width);
        without_second_layer(arch)?;
        if !width.is_multiple_of(SCALE) {
            return Err(Error::invalid(format!(
                "width = {width}: must be a multiple of {SCALE} for `{name}`, which divides its \
                 channels in {SCALE}"
            )));
        }
        without_asp(arch)
    }

    fn layers(&self) -> Option<Layers> {
        Some(Layers::Ecapa(self.clone()))
    }
}

/// The network; field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(super) struct EcapaTdnn {
    layer1: ConvReluNorm,
    layer2: SeRes2Block,
    layer3: SeRes2Block,
    layer4: SeRes2Block,
    conv: Conv1d,
    pool: Pooling,
    unnamed: Normed,
}

impl EcapaTdnn {
    /// `[batch, 1, mels, frames]` -> `[batch, embedding_dim]`.
    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let mels = self.layer1.conv.config().input as i32;
        let x: E::Value<3> = e.reshape(image, [0, mels, -1]);
        let mut x = self.layer1.forward(e, x);
        let mut outputs = Vec::new();
        for (i, block) in [&self.layer2, &self.layer3, &self.layer4].into_iter().enumerate() {
            e.stage(Stage::numbered("stage", i + 1));
            x = block.forward(e, x);
            outputs.push(x.clone());
        }
        e.stage(Stage::numbered("stage", 4));
        let x = e.concat(outputs, 1);
        let x = e.conv1d(&self.conv, x);
        let x = e.map(Map::Relu, x);
        e.stage(Stage::POOLING);
        let pooled = self.pool.forward_flat(e, x);
        self.unnamed.forward(e, pooled)
    }
}

/// Convolution, ReLU, BatchNorm.
#[derive(Module, Debug)]
struct ConvReluNorm {
    conv: Conv1d,
    bn: BatchNorm,
}

impl ConvReluNorm {
    fn new(init: &Init, conv: Conv1dConfig) -> Self {
        Self {
            conv: conv.biased().init(init.at("conv")),
            bn: BatchNorm::new(init.at("bn"), conv.output),
        }
    }

    /// `[batch, input, frames]` -> `[batch, output, frames]`.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        conv_relu_norm(e, &self.conv, &self.bn, x)
    }
}

fn conv_relu_norm<E: Exec>(
    e: &mut E,
    conv: &Conv1d,
    norm: &BatchNorm,
    x: E::Value<3>,
) -> E::Value<3> {
    let y = e.conv1d(conv, x);
    let y = e.map(Map::Relu, y);
    e.norm(norm, y, false)
}

/// Two convolutions of kernel 1 with a Res2 layer between them, a gate, and the sum with the input.
#[derive(Module, Debug)]
struct SeRes2Block {
    /// A tuple, so that its parts are named `0` to `3` as in a PyTorch `Sequential`.
    se_res2block: (ConvReluNorm, Res2, ConvReluNorm, Gate),
}

impl SeRes2Block {
    fn new(parts: &Init, width: usize, dilation: usize) -> Self {
        let mixing = |i: usize| ConvReluNorm::new(&parts.at(i), Conv1dConfig::new(width, width, 1));
        let res2 = Res2::new(&parts.at(1), width / SCALE, dilation);
        Self { se_res2block: (mixing(0), res2, mixing(2), Gate::new(&parts.at(3), width)) }
    }

    /// `[batch, width, frames]` -> the same shape.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let (first, res2, last, gate) = &self.se_res2block;
        let y = first.forward(e, x.clone());
        let y = res2.forward(e, y);
        let y = last.forward(e, y);
        let y = gate.forward(e, y);
        e.combine(Combine::Add, x, y)
    }
}

/// Res2Net's hierarchy of convolutions (arXiv 1904.01169): each part of the channels is convolved
/// together with the result of the part in front of it. The last part passes through.
#[derive(Module, Debug)]
struct Res2 {
    convs: Vec<Conv1d>,
    bns: Vec<BatchNorm>,
}

impl Res2 {
    fn new(init: &Init, part: usize, dilation: usize) -> Self {
        let conv = Conv1dConfig::new(part, part, 3).dilated(dilation).biased();
        Self {
            convs: (1..SCALE).map(|i| conv.init(init.at("convs").at(i - 1))).collect(),
            bns: (1..SCALE).map(|i| BatchNorm::new(init.at("bns").at(i - 1), part)).collect(),
        }
    }

    /// `[batch, width, frames]` -> the same shape.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let size = self.convs[0].config().input;
        let part = |e: &mut E, i: usize| e.channels(&x, i * size..(i + 1) * size);
        let mut made: Vec<E::Value<3>> = Vec::with_capacity(SCALE);
        for (i, (conv, norm)) in self.convs.iter().zip(&self.bns).enumerate() {
            let own = part(e, i);
            let y = match made.last() {
                None => own,
                Some(before) => e.combine(Combine::Add, before.clone(), own),
            };
            made.push(conv_relu_norm(e, conv, norm, y));
        }
        made.push(part(e, SCALE - 1));
        e.concat(made, 1)
    }
}

/// Squeeze and excitation (arXiv 1709.01507): each channel times a factor between 0 and 1, computed
/// from the means of all channels over frames.
#[derive(Module, Debug)]
struct Gate {
    linear1: Linear,
    linear2: Linear,
}

impl Gate {
    fn new(init: &Init, channels: usize) -> Self {
        Self {
            linear1: Linear::new(init.at("linear1"), channels, BOTTLENECK),
            linear2: Linear::new(init.at("linear2"), BOTTLENECK, channels),
        }
    }

    /// `[batch, channels, frames]` -> the same shape.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let y = e.mean(&x, &[2]);
        let y = e.linear(&self.linear1, y);
        let y = e.map(Map::Relu, y);
        let y = e.linear(&self.linear2, y);
        let y = e.map(Map::Sigmoid, y);
        e.combine(Combine::Multiply, x, y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::PoolingKind;
    use crate::zoo::Layers;

    /// WeSpeaker's counts (PyTorch's `numel` over its parameters) for 80 mels.
    #[test]
    fn parameters_are_wespeakers() {
        let norm = || Some(Layers::Ecapa(Ecapa { embedding_norm: true }));
        let (plain, global) = ("ecapa-tdnn-512", "ecapa-tdnn-glob-512");
        for (name, width, embedding_dim, layers, parameters) in [
            (plain, 512, 256, None, 5_994_176),
            (plain, 512, 192, None, 5_797_504),
            (plain, 64, 64, None, 999_928),
            (global, 512, 256, None, 6_387_392),
            (global, 32, 32, norm(), 1_087_564),
            ("ecapa-tdnn-1024", 1024, 256, None, 14_460_544),
            ("ecapa-tdnn-glob-1024", 1024, 256, None, 14_853_760),
        ] {
            let named = Architecture::named(name).unwrap();
            let arch = Architecture { width, embedding_dim, layers, ..named };
            let ours = arch.account(200).unwrap().parameters();
            assert_eq!(ours, parameters, "{name} {width} {embedding_dim}");
        }
    }

    #[test]
    fn what_it_lacks_is_refused() {
        let named = || Architecture::named("ecapa-tdnn-512").unwrap();
        for (arch, word) in [
            (Architecture { two_embedding_layers: true, ..named() }, "two_embedding_layers"),
            (Architecture { width: 20, ..named() }, "multiple of 8"),
            (Architecture { pooling: PoolingKind::Asp, ..named() }, "ASTP-GLOBAL"),
        ] {
            let error = arch.check().unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("ecapa-tdnn-512"), "{error}");
        }
    }
}
