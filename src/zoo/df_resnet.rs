//! DF-ResNet: depth before width (doi 10.1109/TASLP.2023.3273417), original layout and Gemini's
//! (arXiv 2312.03620; WeSpeaker `wespeaker/models/gemini_dfresnet.py`).
//!
//! Stages of inverted bottlenecks at 1, 2, 4, 8 times the width, with separate convolution +
//! BatchNorm layers for the downsampling between them.

use burn::module::Module;
use burn::tensor::Tensor;

use super::sketch::{Function, Sketch};
use super::{Architecture, DfLayout, embedding};
use crate::nn::{
    BatchNorm, Conv2dConfig, ConvNorm, Downsample, Init, InvertedBottleneck, Linear, Mode, Pooling,
};

/// Strides over `[mels, frames]` of the downsampling layer in front of each stage; none where there
/// is no such layer.
pub(super) const fn strides(layout: DfLayout) -> [Option<[usize; 2]>; 4] {
    match layout {
        DfLayout::Original => [None, Some([2, 2]), Some([2, 2]), Some([2, 2])],
        DfLayout::Gemini => [Some([2, 1]), Some([2, 2]), Some([2, 1]), Some([2, 1])],
    }
}

/// The network as arithmetic sees it, for utterances of `frames` frames.
pub(super) fn sketch(
    arch: &Architecture,
    layout: DfLayout,
    depths: [usize; 4],
    frames: usize,
) -> Sketch {
    let mut f = Function::of(&[[1, arch.mels, frames]]);
    let mut layers = 0;
    let mut downsample = |f: &mut Function, conv: Conv2dConfig, x| {
        let name = |part: usize| format!("downsample_layers.{layers}.{part}");
        let y = f.conv_norm(&name(0), &name(1), conv, x);
        layers += 1;
        y
    };
    let x = downsample(&mut f, Conv2dConfig::new(1, arch.width, 3), 0);
    let mut x = f.relu(x);
    for (s, stride) in strides(layout).into_iter().enumerate() {
        if let Some(stride) = stride {
            let conv = Conv2dConfig::new(f.size(x)[0], arch.width << s, 3).stride(stride);
            x = downsample(&mut f, conv, x);
        }
        for b in 0..depths[s] {
            x = f.inverted_block(&format!("stages.{s}.{b}"), arch.width << s, x);
        }
    }
    x = f.pool(arch.pooling, "pool", x);
    f.outputs = vec![x];
    Sketch::plain(f, arch.embedding_dim, arch.two_embedding_layers)
}

/// The network; field names are WeSpeaker's. `downsample_layers.0` is the stem.
#[derive(Module, Debug)]
pub struct DfResNet {
    downsample_layers: Vec<Downsample>,
    stages: Vec<Vec<InvertedBottleneck>>,
    pool: Pooling,
    seg_1: Linear,
    seg_bn_1: Option<BatchNorm>,
    seg_2: Option<Linear>,
}

impl DfResNet {
    pub(super) fn new(
        init: Init,
        arch: &Architecture,
        layout: DfLayout,
        depths: [usize; 4],
    ) -> Self {
        let at = |i: usize| init.at("downsample_layers").at(i);
        let mut downsample_layers =
            vec![Downsample::build(at(0), Conv2dConfig::new(1, arch.width, 3))];
        let (mut channels, mut mels) = (arch.width, arch.mels);
        for (stage, stride) in strides(layout).into_iter().enumerate() {
            let Some(stride) = stride else { continue };
            let conv = Conv2dConfig::new(channels, arch.width << stage, 3).stride(stride);
            downsample_layers.push(Downsample::build(at(downsample_layers.len()), conv));
            (channels, mels) = (conv.output, conv.output_size([mels, 1])[0]);
        }
        let stages = (0..4)
            .map(|s| {
                (0..depths[s])
                    .map(|b| {
                        InvertedBottleneck::new(init.at("stages").at(s).at(b), arch.width << s)
                    })
                    .collect()
            })
            .collect();
        let pooled = channels * mels;
        let (dim, two) = (arch.embedding_dim, arch.two_embedding_layers);
        Self {
            downsample_layers,
            stages,
            pool: Pooling::new(init.at("pool"), arch.pooling, pooled),
            seg_1: Linear::new(init.at("seg_1"), pooled * arch.pooling.statistics(), dim),
            seg_bn_1: two.then(|| BatchNorm::without_affine(init.at("seg_bn_1"), dim)),
            seg_2: two.then(|| Linear::new(init.at("seg_2"), dim, dim)),
        }
    }

    /// `[batch, 1, mels, frames]` -> `[batch, embedding_dim]`.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<2> {
        let (stem, rest) = self.downsample_layers.split_first().expect("a network has a stem");
        let mut x = stem.rectified(x, mode);
        // Layouts with fewer downsampling layers than stages have none in front of the first
        // stages.
        let without = self.stages.len() - rest.len();
        for (s, stage) in self.stages.iter().enumerate() {
            if s >= without {
                x = rest[s - without].forward(x, mode);
            }
            for block in stage {
                x = block.forward(x, mode);
            }
        }
        embedding(
            self.pool.forward(x),
            &self.seg_1,
            self.seg_bn_1.as_ref().zip(self.seg_2.as_ref()),
            mode,
        )
    }
}
