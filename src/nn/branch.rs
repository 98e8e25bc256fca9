//! The residual function of a reversible block: a residual block's convolutions without its sum and
//! last ReLU, which could not be undone.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{BatchNorm, BranchKind, Conv2d, Conv2dConfig, Exec, Init, Mode, Order, Part};
use crate::backend::reversible::Pieces;
use crate::backend::{AnyLayer, Layer, Streams};

/// Convolutions, each with a BatchNorm in front of it or behind it.
#[derive(Module, Debug)]
pub struct Branch {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
    #[module(skip)]
    order: Order,
    /// Whether it is differentiated in pieces.
    #[module(skip)]
    in_pieces: bool,
}

impl Branch {
    /// The function on `width` channels.
    pub fn new(init: Init, kind: BranchKind, order: Order, width: usize, inner: usize) -> Self {
        let convs = kind.convolutions([width, inner, width], [1, 1]);
        let channels =
            |c: &Conv2dConfig| if order == Order::PreActivation { c.input } else { c.output };
        let norms = convs.iter().map(channels).enumerate();
        Self {
            norms: norms.map(|(i, n)| BatchNorm::new(init.at("norms").at(i), n)).collect(),
            convs: convs.iter().enumerate().map(|(i, c)| c.init(init.at("convs").at(i))).collect(),
            order,
            in_pieces: false,
        }
    }

    /// The same function, differentiated piece by piece if each convolution has its normalisation
    /// in front of it: with fewer activations at a time. For that, the first of three convolutions
    /// runs once more; of two convolutions none does.
    pub fn in_pieces(self) -> Self {
        Self { in_pieces: true, ..self }
    }
}

impl Part for Branch {
    fn forward<E: Exec>(&self, e: &mut E, mut x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
        let last = self.convs.len() - 1;
        for (i, (conv, norm)) in self.convs.iter().zip(&self.norms).enumerate() {
            let step = |y| match self.order {
                Order::PreActivation => {
                    let y = e.norm(norm, y, true);
                    e.conv2d(conv, y)
                }
                Order::PostActivation => {
                    let y = e.conv2d(conv, y);
                    e.norm(norm, y, i < last)
                }
            };
            x = x.into_iter().map(step).collect();
        }
        x
    }

    fn pieces(&self) -> Option<Pieces> {
        if !self.in_pieces || self.order != Order::PreActivation {
            return None;
        }
        let piece = |(conv, norm): (&Conv2d, &BatchNorm)| -> Box<dyn AnyLayer> {
            Box::new(Piece { norm: norm.clone(), conv: conv.clone() })
        };
        Some(Pieces::Series(self.convs.iter().zip(&self.norms).map(piece).collect()))
    }
}

/// BatchNorm, ReLU and a convolution.
#[derive(Module, Debug)]
struct Piece {
    norm: BatchNorm,
    conv: Conv2d,
}

impl Piece {
    /// What the convolution reads.
    fn normed(&self, x: Streams, mode: Mode) -> impl Iterator<Item = Tensor<4>> {
        x.into_iter().map(move |x| self.norm.apply(x, mode, true))
    }
}

impl Layer for Piece {
    fn forward(&self, x: Streams, mode: Mode) -> Streams {
        self.normed(x, mode).map(|x| self.conv.forward(x)).collect()
    }

    fn seeded(&self, x: Streams, dy: Streams, mode: Mode) -> Option<Tensor<1>> {
        let roots = self.normed(x, mode).zip(dy).filter_map(|(x, dy)| self.conv.seeded(x, dy));
        roots.reduce(|a, b| a + b)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests;
