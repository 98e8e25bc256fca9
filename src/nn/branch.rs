//! The residual function of a reversible block: a residual block's convolutions without its sum and
//! last ReLU, which could not be undone.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{BatchNorm, Conv2d, Conv2dConfig, Init, Mode};
use crate::backend::{Layer, Streams};

/// Where normalisation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// BN - ReLU - conv, as in RevNet (arXiv 1707.04585).
    PreActivation,
    /// conv - BN, with ReLU between the pairs.
    PostActivation,
}

/// Whose convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchKind {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3, 1x1.
    Bottleneck,
    /// 1x1, depthwise 3x3, 1x1.
    Inverted,
}

impl BranchKind {
    /// The convolutions from `width` to `inner` channels and back.
    pub fn convolutions(self, width: usize, inner: usize) -> Vec<Conv2dConfig> {
        let conv = Conv2dConfig::new;
        match self {
            Self::Basic => vec![conv(width, inner, 3), conv(inner, width, 3)],
            Self::Bottleneck => {
                vec![conv(width, inner, 1), conv(inner, inner, 3), conv(inner, width, 1)]
            }
            Self::Inverted => vec![
                conv(width, inner, 1),
                conv(inner, inner, 3).depthwise(),
                conv(inner, width, 1),
            ],
        }
    }
}

/// Convolutions, each with a BatchNorm in front of it or behind it.
#[derive(Module, Debug)]
pub struct Branch {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
    #[module(skip)]
    order: Order,
}

impl Branch {
    /// The function on `width` channels.
    pub fn new(init: Init, kind: BranchKind, order: Order, width: usize, inner: usize) -> Self {
        let convs = kind.convolutions(width, inner);
        let channels =
            |c: &Conv2dConfig| if order == Order::PreActivation { c.input } else { c.output };
        let norms = convs.iter().map(channels).enumerate();
        Self {
            norms: norms.map(|(i, n)| BatchNorm::new(init.at("norms").at(i), n)).collect(),
            convs: convs.iter().enumerate().map(|(i, c)| c.init(init.at("convs").at(i))).collect(),
            order,
        }
    }

    /// `[batch, width, mels, frames]` -> the same shape.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let last = self.convs.len() - 1;
        self.convs.iter().zip(&self.norms).enumerate().fold(x, |x, (i, (conv, norm))| {
            match self.order {
                Order::PreActivation => conv.forward(norm.rectified(x, mode)),
                Order::PostActivation if i < last => norm.rectified(conv.forward(x), mode),
                Order::PostActivation => norm.forward(conv.forward(x), mode),
            }
        })
    }
}

impl Layer for Branch {
    fn forward(&self, x: Streams, mode: Mode) -> Streams {
        x.into_iter().map(|x| self.forward(x, mode)).collect()
    }
}
