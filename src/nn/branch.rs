//! The residual function of a reversible block: a residual block's convolutions without its sum and
//! last ReLU, which could not be undone.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::{BatchNorm, Conv2d, Conv2dConfig, Exec, Init, Part};

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
    pub fn forward<E: Exec>(&self, e: &mut E, mut x: E::Value<4>) -> E::Value<4> {
        let last = self.convs.len() - 1;
        for (i, (conv, norm)) in self.convs.iter().zip(&self.norms).enumerate() {
            x = match self.order {
                Order::PreActivation => {
                    let y = e.norm_relu(norm, x);
                    e.conv2d(conv, y)
                }
                Order::PostActivation => {
                    let y = e.conv2d(conv, x);
                    if i < last { e.norm_relu(norm, y) } else { e.norm(norm, y) }
                }
            };
        }
        x
    }
}

impl Part for Branch {
    fn forward<E: Exec>(&self, e: &mut E, x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
        x.into_iter().map(|x| self.forward(e, x)).collect()
    }
}
