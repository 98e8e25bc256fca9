//! Blocks over mels and frames. They keep the shape. Field names are WeSpeaker's.

use burn::module::Module;

use super::convnext::ConvNext;
use super::options::{Plan, Shared};
use crate::nn::{BatchNorm, Combine, Conv2d, Conv2dConfig, Exec, Init, Linear, Map};
use crate::zoo::Blocks2d;

/// A block of the kind that the network has.
#[derive(Module, Debug)]
pub(super) struct Block2d {
    conv_block: Kind,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has some tens of them, of one kind")]
enum Kind {
    Residual(Residual),
    ConvNext(ConvNext<4, 2>),
}

impl Block2d {
    /// A block of this stage.
    pub fn new(init: &Init, shared: &Shared, plan: &Plan) -> Self {
        let init = init.at("conv_block");
        let (channels, mels) = (plan.inner, plan.output[1]);
        let conv = Conv2dConfig::new(channels, channels, 3).grouped(shared.groups(channels));
        let residual = |gated: bool| {
            let pointwise = shared.group_divisor.is_some();
            Kind::Residual(Residual::new(&init, conv, pointwise, gated.then_some(mels)))
        };
        let conv_block = match shared.blocks {
            Blocks2d::Basic => residual(false),
            Blocks2d::BasicSe => residual(true),
            Blocks2d::ConvNext => {
                let kernel = plan.stage.kernel.unwrap_or(conv.kernel);
                Kind::ConvNext(ConvNext::new(&init, conv.kernel(kernel)))
            }
        };
        Self { conv_block }
    }

    /// `[batch, channels, mels, frames]` -> the same shape.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        match &self.conv_block {
            Kind::Residual(block) => block.forward(e, x),
            Kind::ConvNext(block) => block.forward(e, x),
        }
    }
}

/// Two convolutions, each with a 1x1 behind it if they are grouped; ReLU stands in front of the
/// first BatchNorm. Then the gate, the sum and ReLU.
#[derive(Module, Debug)]
struct Residual {
    conv1: Conv2d,
    conv1pw: Option<Conv2d>,
    bn1: BatchNorm,
    conv2: Conv2d,
    conv2pw: Option<Conv2d>,
    bn2: BatchNorm,
    se: Option<Gate>,
}

impl Residual {
    /// The block of these convolutions, with a gate of so many mels if it has one.
    fn new(init: &Init, conv: Conv2dConfig, pointwise: bool, gate: Option<usize>) -> Self {
        let channels = conv.output;
        let behind = |name: &str| {
            let conv = Conv2dConfig::new(channels, channels, 1).biased();
            pointwise.then(|| conv.init(init.at(name)))
        };
        Self {
            conv1: conv.init(init.at("conv1")),
            conv1pw: behind("conv1pw"),
            bn1: BatchNorm::new(init.at("bn1"), channels),
            conv2: conv.init(init.at("conv2")),
            conv2pw: behind("conv2pw"),
            bn2: BatchNorm::new(init.at("bn2"), channels),
            se: gate.map(|mels| Gate::new(&init.at("se"), mels, channels.clamp(32, 64))),
        }
    }

    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let y = convolve(e, [Some(&self.conv1), self.conv1pw.as_ref()], x.clone());
        let y = e.map(Map::Relu, y);
        let y = e.norm(&self.bn1, y, false);
        let y = convolve(e, [Some(&self.conv2), self.conv2pw.as_ref()], y);
        let Some(gate) = &self.se else {
            return e.norm_add_relu(&self.bn2, y, |_| x);
        };
        let y = e.norm(&self.bn2, y, false);
        let y = gate.forward(e, y);
        let y = e.combine(Combine::Add, y, x);
        e.map(Map::Relu, y)
    }
}

/// Those of the convolutions that are there, one after the other.
fn convolve<E: Exec>(e: &mut E, convs: [Option<&Conv2d>; 2], x: E::Value<4>) -> E::Value<4> {
    convs.into_iter().flatten().fold(x, |x, conv| e.conv2d(conv, x))
}

/// Squeeze and excitation (arXiv 1709.01507) of mels instead of channels.
#[derive(Module, Debug)]
struct Gate {
    squeeze: Linear,
    exitation: Linear,
}

impl Gate {
    fn new(init: &Init, mels: usize, inner: usize) -> Self {
        Self {
            squeeze: Linear::new(init.at("squeeze"), mels, inner),
            exitation: Linear::new(init.at("exitation"), inner, mels),
        }
    }

    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let y: E::Value<4> = e.mean(&x, &[1, 3]);
        let y: E::Value<2> = e.reshape(y, [0, -1]);
        let y = e.linear(&self.squeeze, y);
        let y = e.map(Map::Relu, y);
        let y = e.linear(&self.exitation, y);
        let y = e.map(Map::Sigmoid, y);
        let y: E::Value<4> = e.reshape(y, [0, 1, -1, 1]);
        e.combine(Combine::Multiply, x, y)
    }
}
