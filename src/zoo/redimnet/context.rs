//! The time context: what a stage computes over frames, on a few channels. Field names are
//! WeSpeaker's.

use burn::module::Module;

use super::convnext::ConvNext;
use super::options::HEADS;
use crate::nn::{Combine, Conv1d, Conv1dConfig, Exec, Init, LayerNorm, Linear, Map};
use crate::zoo::Context;

/// Kernels over frames.
const KERNELS: [usize; 4] = [7, 19, 31, 59];
/// Kernel of the convolution that tells positions.
const POSITIONS: usize = 59;

/// `x` plus the context of `x`: fewer channels, what [`Context`] says, all channels.
#[derive(Module, Debug)]
pub(super) struct TimeContext {
    red_dim_conv: (Conv1d, LayerNorm),
    tcm: Vec<Part>,
    exp_dim_conv: Conv1d,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a stage has at most five of them")]
enum Part {
    Convolution(ConvNext<3, 1>),
    Position(Position),
    Transformer(Transformer),
}

impl TimeContext {
    /// The context of so many channels, `hidden` of them inside.
    pub fn new(init: &Init, kind: Context, channels: usize, hidden: usize) -> Self {
        let pointwise = |input, output| Conv1dConfig::new(input, output, 1).biased();
        let (at, reduction) = (init.at("tcm"), init.at("red_dim_conv"));
        let conv = |(i, kernel): (usize, usize)| {
            let conv = Conv1dConfig::new(hidden, hidden, kernel).depthwise();
            Part::Convolution(ConvNext::new(&at.at(i), conv))
        };
        let mut tcm: Vec<Part> = match kind {
            Context::ConvAttention => KERNELS.into_iter().enumerate().map(conv).collect(),
            Context::Attention => vec![Part::Position(Position::new(&at.at(0), hidden))],
        };
        let inner = match kind {
            Context::ConvAttention => hidden,
            Context::Attention => 2 * hidden,
        };
        let transformer = Transformer::new(&at.at(tcm.len()), hidden, inner);
        tcm.push(Part::Transformer(transformer));
        Self {
            red_dim_conv: (
                pointwise(channels, hidden).init(reduction.at(0)),
                LayerNorm::new(reduction.at(1), hidden),
            ),
            tcm,
            exp_dim_conv: pointwise(hidden, channels).init(init.at("exp_dim_conv")),
        }
    }

    /// `[batch, channels, frames]` -> the same shape.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let (conv, norm) = &self.red_dim_conv;
        let y = e.conv1d(conv, x.clone());
        let y = e.layer_norm(norm, y);
        let y = self.tcm.iter().fold(y, |y, part| match part {
            Part::Convolution(block) => block.forward(e, y),
            Part::Position(block) => block.forward(e, y),
            Part::Transformer(block) => block.forward(e, y),
        });
        let y = e.conv1d(&self.exp_dim_conv, y);
        e.combine(Combine::Add, y, x)
    }
}

/// `x` plus a normalised depthwise convolution of it.
#[derive(Module, Debug)]
struct Position {
    conv: Conv1d,
    norm: LayerNorm,
}

impl Position {
    fn new(init: &Init, channels: usize) -> Self {
        let conv = Conv1dConfig::new(channels, channels, POSITIONS).depthwise().biased();
        Self { conv: conv.init(init.at("conv")), norm: LayerNorm::new(init.at("norm"), channels) }
    }

    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let y = e.conv1d(&self.conv, x.clone());
        let y = e.layer_norm(&self.norm, y);
        e.combine(Combine::Add, y, x)
    }
}

/// An encoder layer of the Transformer (arXiv 1706.03762): each sum is normalised.
#[derive(Module, Debug)]
struct Transformer {
    attention: Attention,
    layer_norm: LayerNorm,
    feed_forward: FeedForward,
    final_layer_norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Attention {
    k_proj: Linear,
    v_proj: Linear,
    q_proj: Linear,
    out_proj: Linear,
}

#[derive(Module, Debug)]
struct FeedForward {
    intermediate_dense: Linear,
    output_dense: Linear,
}

impl Transformer {
    /// The layer of so many channels, `inner` of them in the feed-forward part.
    fn new(init: &Init, channels: usize, inner: usize) -> Self {
        let (attention, feed) = (init.at("attention"), init.at("feed_forward"));
        let square = |name: &str| Linear::new(attention.at(name), channels, channels);
        Self {
            attention: Attention {
                k_proj: square("k_proj"),
                v_proj: square("v_proj"),
                q_proj: square("q_proj"),
                out_proj: square("out_proj"),
            },
            layer_norm: LayerNorm::new(init.at("layer_norm"), channels),
            feed_forward: FeedForward {
                intermediate_dense: Linear::new(feed.at("intermediate_dense"), channels, inner),
                output_dense: Linear::new(feed.at("output_dense"), inner, channels),
            },
            final_layer_norm: LayerNorm::new(init.at("final_layer_norm"), channels),
        }
    }

    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let y = self.attention.forward(e, x.clone());
        let x = e.combine(Combine::Add, y, x);
        let x = e.layer_norm(&self.layer_norm, x);
        let y = self.feed_forward.forward(e, x.clone());
        let x = e.combine(Combine::Add, y, x);
        e.layer_norm(&self.final_layer_norm, x)
    }
}

impl Attention {
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let q = e.linear(&self.q_proj, x.clone());
        let k = e.linear(&self.k_proj, x.clone());
        let v = e.linear(&self.v_proj, x);
        let y = e.attend(HEADS, q, k, v);
        e.linear(&self.out_proj, y)
    }
}

impl FeedForward {
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let y = e.linear(&self.intermediate_dense, x);
        let y = e.map(Map::GeluTanh, y);
        e.linear(&self.output_dense, y)
    }
}
