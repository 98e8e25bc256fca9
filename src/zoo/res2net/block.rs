//! The residual block of Res2Net (arXiv 1904.01169), in the forms that speaker networks have
//! (WeSpeaker `res2net.py`, `eres2net.py`).

use burn::module::Module;

use super::Res2Net;
use super::fusion::Fusion;
use crate::nn::{
    BatchNorm, Combine, Conv2d, Conv2dConfig, Downsample, Exec, Init, Map, downsample,
};

/// What a block does with the splits of its inner channels. Every convolution takes its split
/// together with the result of the convolution before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Splits {
    /// Res2Net: each takes the sum. The last split passes unchanged.
    Summed,
    /// ERes2Net's stages 1 and 2: each takes the sum, the last split as well.
    AllSummed,
    /// ERes2Net's stages 3 and 4: each takes the fusion, the last split as well.
    AllFused,
}

/// 1x1 to all splits, a 3x3 convolution of each, 1x1 to the output, plus shortcut. ReLUs are
/// clipped at 20. Field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(super) struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    /// The first split's convolution, where splits are fused.
    conv2_1: Option<Conv2d>,
    bn2_1: Option<BatchNorm>,
    /// Those of the other splits.
    convs: Vec<Conv2d>,
    bns: Vec<BatchNorm>,
    fuse_models: Vec<Fusion>,
    conv3: Conv2d,
    bn3: BatchNorm,
    /// A projection, where the shape changes.
    shortcut: Option<Downsample>,
    /// Channels of a split.
    #[module(skip)]
    width: usize,
    /// Number of splits.
    #[module(skip)]
    scale: usize,
}

impl Block {
    /// The block of `planes` channels before expansion. The stride belongs to its first
    /// convolution.
    pub fn new(
        init: &Init,
        of: &Res2Net,
        splits: Splits,
        input: usize,
        planes: usize,
        stride: [usize; 2],
    ) -> Self {
        let Res2Net { scale, expansion, .. } = *of;
        let (width, output) = (of.split(planes), expansion * planes);
        let fused = splits == Splits::AllFused;
        let convs = match splits {
            Splits::Summed | Splits::AllFused => scale - 1,
            Splits::AllSummed => scale,
        };
        let conv = |at: Init| Conv2dConfig::new(width, width, 3).init(at);
        let first = Conv2dConfig::new(input, width * scale, 1).stride(stride);
        let last = Conv2dConfig::new(width * scale, output, 1);
        let fusion = |i: usize| Fusion::new(init.at("fuse_models").at(i), width);
        Self {
            conv1: first.init(init.at("conv1")),
            bn1: BatchNorm::new(init.at("bn1"), width * scale),
            conv2_1: fused.then(|| conv(init.at("conv2_1"))),
            bn2_1: fused.then(|| BatchNorm::new(init.at("bn2_1"), width)),
            convs: (0..convs).map(|i| conv(init.at("convs").at(i))).collect(),
            bns: (0..convs).map(|i| BatchNorm::new(init.at("bns").at(i), width)).collect(),
            fuse_models: (0..convs).filter(|_| fused).map(fusion).collect(),
            conv3: last.init(init.at("conv3")),
            bn3: BatchNorm::new(init.at("bn3"), output),
            shortcut: (input != output || stride != [1, 1]).then(|| {
                let conv = Conv2dConfig::new(input, output, 1).stride(stride);
                downsample(init.at("shortcut"), conv)
            }),
            width,
            scale,
        }
    }

    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let y = e.conv_norm(&self.conv1, &self.bn1, x.clone());
        let y = e.map(Map::Clip20, y);
        let split = |i: usize| i * self.width..(i + 1) * self.width;
        let first = self.conv2_1.as_ref().zip(self.bn2_1.as_ref());
        let layers = first.into_iter().chain(self.convs.iter().zip(&self.bns));
        let mut parts: Vec<E::Value<4>> = Vec::with_capacity(self.scale);
        for (i, (conv, norm)) in layers.enumerate() {
            let mut part = e.channels(&y, split(i));
            if let Some(before) = parts.last().cloned() {
                part = match self.fuse_models.get(i - 1) {
                    None => e.combine(Combine::Add, before, part),
                    Some(fusion) => fusion.forward(e, before, part),
                };
            }
            let part = e.conv_norm(conv, norm, part);
            parts.push(e.map(Map::Clip20, part));
        }
        if parts.len() < self.scale {
            parts.push(e.channels(&y, split(parts.len())));
        }
        let y = e.concat(parts, 1);
        let y = e.conv2d(&self.conv3, y);
        // ReLU comes with the sum at no cost, and changes nothing that the clip would not.
        let y = e.norm_add_relu(&self.bn3, y, |e| match &self.shortcut {
            None => x,
            Some((conv, norm)) => e.conv_norm(conv, norm, x),
        });
        e.map(Map::Clip20, y)
    }
}
