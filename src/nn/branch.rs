//! The residual function of a reversible block: a residual block's convolutions without its sum and
//! last ReLU, which could not be undone.

use burn::module::Module;

use super::{BatchNorm, BranchKind, Conv2d, Conv2dConfig, Exec, Init, Order, Part};

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
        let convs = kind.convolutions([width, inner, width], [1, 1]);
        let channels =
            |c: &Conv2dConfig| if order == Order::PreActivation { c.input } else { c.output };
        let norms = convs.iter().map(channels).enumerate();
        Self {
            norms: norms.map(|(i, n)| BatchNorm::new(init.at("norms").at(i), n)).collect(),
            convs: convs.iter().enumerate().map(|(i, c)| c.init(init.at("convs").at(i))).collect(),
            order,
        }
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
}
