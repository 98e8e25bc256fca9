//! Residual blocks: ResNet's (arXiv 1512.03385; layout of WeSpeaker's `resnet.py`) and DF-ResNet's
//! (`gemini_dfresnet.py`).

use burn::module::Module;

use super::{BatchNorm, Conv2d, Conv2dConfig, Exec, Init};

/// Which convolutions a residual block has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchKind {
    /// ResNet's basic block: two 3x3 convolutions.
    Basic,
    /// ResNet's bottleneck: 1x1, 3x3, and 1x1 to four times as many channels.
    Bottleneck,
    /// DF-ResNet's inverted bottleneck: 1x1 to four times as many channels, depthwise 3x3, and 1x1
    /// back.
    Inverted,
}

impl BranchKind {
    /// Inner and output channels of a block of `width`.
    pub fn channels(self, width: usize) -> (usize, usize) {
        match self {
            Self::Basic => (width, width),
            Self::Bottleneck => (width, 4 * width),
            Self::Inverted => (4 * width, width),
        }
    }

    /// The convolutions from input over inner to output `channels`. The first of 3x3 strides.
    pub fn convolutions(self, channels: [usize; 3], stride: [usize; 2]) -> Vec<Conv2dConfig> {
        let [input, inner, output] = channels;
        let conv = Conv2dConfig::new;
        let middle = conv(inner, inner, 3).stride(stride);
        let (first, last) = (conv(input, inner, 1), conv(inner, output, 1));
        match self {
            Self::Basic => vec![conv(input, inner, 3).stride(stride), conv(inner, output, 3)],
            Self::Bottleneck => vec![first, middle, last],
            Self::Inverted => vec![first, middle.depthwise(), last],
        }
    }
}

/// Convolutions, each with BatchNorm behind it and ReLU between them, plus shortcut, ReLU.
#[derive(Module, Debug)]
pub struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    /// A projection, where the shape changes.
    shortcut: Option<Downsample>,
}

impl Block {
    /// The block of `width` channels.
    pub fn new(
        init: Init,
        kind: BranchKind,
        input: usize,
        width: usize,
        stride: [usize; 2],
    ) -> Self {
        let (inner, output) = kind.channels(width);
        let convs = kind.convolutions([input, inner, output], stride);
        let mut layers = convs.iter().zip(1..).map(|(conv, i)| {
            let norm = BatchNorm::new(init.at(format!("bn{i}")), conv.output);
            (conv.init(init.at(format!("conv{i}"))), norm)
        });
        let mut next = || layers.next().expect("every kind has two convolutions or more");
        let ((conv1, bn1), (conv2, bn2)) = (next(), next());
        let (conv3, bn3) = layers.next().unzip();
        let shortcut = (input != output || stride != [1, 1]).then(|| {
            let conv = Conv2dConfig::new(input, output, 1).stride(stride);
            downsample(init.at("shortcut"), conv)
        });
        Self { conv1, bn1, conv2, bn2, conv3, bn3, shortcut }
    }

    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let mut y = e.conv_norm_relu(&self.conv1, &self.bn1, x.clone());
        let (y, last) = match self.conv3.as_ref().zip(self.bn3.as_ref()) {
            None => (e.conv2d(&self.conv2, y), &self.bn2),
            Some((conv3, bn3)) => {
                y = e.conv_norm_relu(&self.conv2, &self.bn2, y);
                (e.conv2d(conv3, y), bn3)
            }
        };
        e.norm_add_relu(last, y, |e| match &self.shortcut {
            None => x,
            Some((conv, norm)) => e.conv_norm(conv, norm, x),
        })
    }
}

/// conv + BatchNorm. A tuple, so that its parts are named `0` and `1` as in a PyTorch `Sequential`.
pub type Downsample = (Conv2d, BatchNorm);

/// The pair at a place.
pub fn downsample(init: Init, conv: Conv2dConfig) -> Downsample {
    (conv.init(init.at(0)), BatchNorm::new(init.at(1), conv.output))
}
