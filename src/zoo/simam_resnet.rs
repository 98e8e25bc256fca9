//! SimAM-ResNet with ASP (WeSpeaker `wespeaker/models/samresnet.py`): ResNet's basic blocks, whose
//! branches gate their own values (SimAM, PMLR 139, Yang et al. 2021) in front of the sum.
//!
//! | stage | channels | mels x frames |
//! |---|---|---|
//! | stem, 1 | width | 1 |
//! | 2 | 2 width | 1/2 |
//! | 3 | 4 width | 1/4 |
//! | 4 | 8 width | 1/8 |
//!
//! Attentive pooling and a linear layer follow.
//!
//! There is no reversible type. Its blocks could be coupled as ResNet's are, with the gate inside
//! each residual function. But these networks are known for what pre-training on VoxBlink2 makes of
//! them, at 25 and 50 million parameters. A coupled one could not begin with those weights, and no
//! result says that the gate does as well in pre-activation. Who trains from random weights has the
//! types of ResNet.

use burn::module::Module;

use super::network::Backbone;
use super::registry::Member;
use super::{Architecture, Layers, SimAm, without_second_layer};
use crate::error::{Error, Result};
use crate::nn::{
    BatchNorm, Combine, Conv2d, Conv2dConfig, Downsample, Exec, Init, Linear, Map, Pooling,
    PoolingKind, Stage, downsample,
};

/// Strides over `[mels, frames]` of the first block of each stage.
const STRIDES: [[usize; 2]; 4] = [[1, 1], [2, 2], [2, 2], [2, 2]];
/// What the strides over mels come to.
const MELS: usize = STRIDES[0][0] * STRIDES[1][0] * STRIDES[2][0] * STRIDES[3][0];
/// The most blocks that a recipe may ask for in a stage.
const MOST: usize = 256;

/// SimAM-ResNet34.
pub(super) const SIMAM_34: SimAm = SimAm { blocks: [3, 4, 6, 3] };
/// SimAM-ResNet100.
pub(super) const SIMAM_100: SimAm = SimAm { blocks: [6, 16, 24, 3] };

impl Member for SimAm {
    fn init(&self, init: &Init, arch: &Architecture) -> Backbone {
        let front = Front::new(&init.at("front"), arch.width, self.blocks);
        let pooled = (arch.width << (STRIDES.len() - 1)) * (arch.mels / MELS);
        let statistics = arch.pooling.outputs(pooled);
        Backbone::SimAm(SimAmNet {
            front,
            pooling: Pooling::new(init.at("pooling"), arch.pooling, pooled),
            bottleneck: Linear::new(init.at("bottleneck"), statistics, arch.embedding_dim),
        })
    }

    fn check(&self, arch: &Architecture) -> Result<()> {
        let (name, mels) = (&arch.name, arch.mels);
        if self.blocks.iter().any(|blocks| !(1..=MOST).contains(blocks)) {
            let blocks = self.blocks;
            let message = format!("blocks = {blocks:?}: each must be 1 to {MOST}");
            return Err(Error::invalid(message));
        }
        without_second_layer(arch)?;
        if !mels.is_multiple_of(MELS) {
            let message = format!("form for {mels} mels; they must be a multiple of {MELS}");
            return Err(Error::invalid(format!("`{name}` has no {message}")));
        }
        if arch.pooling != PoolingKind::Asp {
            return Err(Error::invalid(format!("`{name}` has no pooling but ASP")));
        }
        Ok(())
    }

    fn layers(&self) -> Option<Layers> {
        Some(Layers::SimAm(self.clone()))
    }
}

/// The network; field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(super) struct SimAmNet {
    front: Front,
    pooling: Pooling,
    bottleneck: Linear,
}

/// Everything in front of the pooling.
#[derive(Module, Debug)]
struct Front {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<SimAmBlock>,
    layer2: Vec<SimAmBlock>,
    layer3: Vec<SimAmBlock>,
    layer4: Vec<SimAmBlock>,
}

/// Two 3x3 convolutions, the gate, plus shortcut, ReLU.
#[derive(Module, Debug)]
struct SimAmBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    /// A projection, where the shape changes.
    downsample: Option<Downsample>,
}

impl SimAmNet {
    /// `[batch, 1, mels, frames]` -> `[batch, embedding_dim]`.
    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let x = self.front.forward(e, image);
        e.stage(Stage::POOLING);
        let pooled = self.pooling.forward(e, x);
        e.stage(Stage::EMBEDDING);
        e.linear(&self.bottleneck, pooled)
    }
}

impl Front {
    fn new(init: &Init, width: usize, blocks: [usize; 4]) -> Self {
        let mut channels = width;
        let mut stage = |s: usize| -> Vec<SimAmBlock> {
            let init = init.at(format!("layer{}", s + 1));
            let block = |b: usize| {
                let stride = if b == 0 { STRIDES[s] } else { [1, 1] };
                let input = std::mem::replace(&mut channels, width << s);
                SimAmBlock::new(&init.at(b), input, width << s, stride)
            };
            (0..blocks[s]).map(block).collect()
        };
        let [layer1, layer2, layer3, layer4] = [stage(0), stage(1), stage(2), stage(3)];
        let conv1 = Conv2dConfig::new(1, width, 3).init(init.at("conv1"));
        let bn1 = BatchNorm::new(init.at("bn1"), width);
        Self { conv1, bn1, layer1, layer2, layer3, layer4 }
    }

    /// `[batch, 1, mels, frames]` -> `[batch, 8 * width, mels / 8, frames / 8]`.
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<4> {
        let mut x = e.conv_norm_relu(&self.conv1, &self.bn1, image);
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        for (s, stage) in stages.into_iter().enumerate() {
            e.stage(Stage::numbered("stage", s + 1));
            x = stage.iter().fold(x, |x, block| block.forward(e, x));
        }
        x
    }
}

impl SimAmBlock {
    fn new(init: &Init, input: usize, output: usize, stride: [usize; 2]) -> Self {
        let conv1 = Conv2dConfig::new(input, output, 3).stride(stride);
        let shortcut = Conv2dConfig::new(input, output, 1).stride(stride);
        let changes = input != output || stride != [1, 1];
        Self {
            conv1: conv1.init(init.at("conv1")),
            bn1: BatchNorm::new(init.at("bn1"), output),
            conv2: Conv2dConfig::new(output, output, 3).init(init.at("conv2")),
            bn2: BatchNorm::new(init.at("bn2"), output),
            downsample: changes.then(|| downsample(init.at("downsample"), shortcut)),
        }
    }

    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let y = e.conv_norm_relu(&self.conv1, &self.bn1, x.clone());
        let y = e.conv_norm(&self.conv2, &self.bn2, y);
        let y = e.simam(y);
        let x = match &self.downsample {
            None => x,
            Some((conv, norm)) => e.conv_norm(conv, norm, x),
        };
        let y = e.combine(Combine::Add, y, x);
        e.map(Map::Relu, y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::wespeaker::compare;

    fn published(name: &str) -> Architecture {
        let named = Architecture::named(name).unwrap();
        Architecture { width: 64, mels: 80, embedding_dim: 256, ..named }
    }

    /// WeSpeaker's own counts.
    #[test]
    fn parameters_are_wespeakers() {
        for (name, wanted) in [("simam-resnet34", 25_213_760), ("simam-resnet100", 50_232_896)] {
            assert_eq!(published(name).layout().unwrap().parameters(), wanted, "{name}");
        }
    }

    #[test]
    fn blocks_are_wespeakers() {
        for (name, output, stride) in [("simam_plain", 6, [1, 1]), ("simam_down", 12, [2, 2])] {
            let block = |init: &Init| SimAmBlock::new(init, 6, output, stride);
            compare(name, "", block, |block, e, x| block.forward(e, x[0].clone()));
        }
    }

    #[test]
    fn what_the_family_lacks_is_refused() {
        let published = || published("simam-resnet34");
        let refused = |arch: Architecture, word: &str| {
            let error = arch.check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused(Architecture { mels: 84, ..published() }, "multiple of 8");
        refused(Architecture { two_embedding_layers: true, ..published() }, "second embedding");
        refused(Architecture { pooling: PoolingKind::Tstp, ..published() }, "ASP");
        assert!(SimAm { blocks: [3, 0, 6, 3] }.check(&published()).is_err());
    }
}
