//! One forward pass, several interpreters.
//!
//! A part or a network says once which layers its input goes through: `forward<E: Exec>`. [`Run`]
//! makes tensors of it, [`Trace`] records a [`Graph`](super::Graph), on which everything is counted
//! that is known without weights.
//!
//! [`Run`]: super::Run
//! [`Trace`]: super::Trace

use std::ops::Range;

use burn::module::Module;

use super::{
    BatchNorm, Combine, Conv1d, Conv2d, Coupling, Halves, LayerNorm, Linear, Map, Masked, Mix,
    Padded, Squeeze, Stage, Statistics, Trace,
};
use crate::backend::reversible::{self, Execution, Pieces, Reversible};
use crate::backend::{AnyLayer, Layer, Mode, Streams};

/// The layers that networks are made of. Axis 0 of every value is the batch.
pub trait Exec: Sized {
    /// A tensor of `D` axes, or what stands for it.
    type Value<const D: usize>: Clone;

    /// From here on layers belong to this stage. Stages group layers in reports, and the account
    /// of activations ends where [`Stage::EMBEDDING`] begins. No value depends on them.
    fn stage(&mut self, stage: Stage);

    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`.
    fn conv2d(&mut self, layer: &Conv2d, x: Self::Value<4>) -> Self::Value<4>;

    /// `[batch, input, frames]` -> `[batch, output, frames']`.
    fn conv1d(&mut self, layer: &Conv1d, x: Self::Value<3>) -> Self::Value<3>;

    /// Batch normalisation, `[batch, channels, ...]` -> the same shape. With `relu` ReLU follows.
    fn norm<const D: usize>(
        &mut self,
        layer: &BatchNorm,
        x: Self::Value<D>,
        relu: bool,
    ) -> Self::Value<D>;

    /// Layer normalisation over channels, `[batch, channels, ...]` -> the same shape.
    fn layer_norm<const D: usize>(
        &mut self,
        layer: &LayerNorm,
        x: Self::Value<D>,
    ) -> Self::Value<D>;

    /// A function of one value.
    fn map<const D: usize>(&mut self, f: Map, x: Self::Value<D>) -> Self::Value<D>;

    /// A function of two values. Axes of size 1 in `y` are repeated.
    fn combine<const D: usize>(
        &mut self,
        f: Combine,
        x: Self::Value<D>,
        y: Self::Value<D>,
    ) -> Self::Value<D>;

    /// Values side by side along an axis (1 is the channels).
    fn concat<const D: usize>(&mut self, all: Vec<Self::Value<D>>, axis: usize) -> Self::Value<D>;

    /// These channels (axis 1).
    fn channels<const D: usize>(
        &mut self,
        x: &Self::Value<D>,
        range: Range<usize>,
    ) -> Self::Value<D>;

    /// The mean over axes, which stay with size 1. Axis 0 is the batch and not among them.
    fn mean<const D: usize>(&mut self, x: &Self::Value<D>, axes: &[usize]) -> Self::Value<D>;

    /// `[batch, channels, mels, frames]` -> `[batch, mels, channels, frames]`.
    fn swap(&mut self, x: Self::Value<4>) -> Self::Value<4>;

    /// Every frame becomes the mean of its segment of so many frames. The last segment may be
    /// shorter. `[batch, channels, frames]` -> the same shape.
    fn segments(&mut self, x: &Self::Value<3>, frames: usize) -> Self::Value<3>;

    /// `[batch, channels, 1]` repeated over the frames of `like`.
    fn spread(&mut self, x: Self::Value<3>, like: &Self::Value<3>) -> Self::Value<3>;

    /// Attention over frames with so many heads, side by side in the channels:
    /// `softmax(q k^T / sqrt(channels / heads)) v` (arXiv 1706.03762). Each is `[batch, channels,
    /// frames]`, and so is the result.
    fn attend(
        &mut self,
        heads: usize,
        q: Self::Value<3>,
        k: Self::Value<3>,
        v: Self::Value<3>,
    ) -> Self::Value<3>;

    /// The weighted sum of values of one shape, `[batch, channels, frames]`.
    fn mix(&mut self, layer: &Mix, all: Vec<Self::Value<3>>) -> Self::Value<3>;

    /// SimAM (PMLR 139, Yang et al. 2021; WeSpeaker `samresnet.py`): each value times the sigmoid
    /// of `d / (4 (v + 1e-4)) + 1/2`. `d` is its squared distance from the mean over mels and
    /// frames, `v` their unbiased variance. `[batch, channels, mels, frames]` -> the same shape.
    fn simam(&mut self, x: Self::Value<4>) -> Self::Value<4>;

    /// Cuts frames at the end, down to a multiple.
    fn trim(&mut self, x: Self::Value<4>, multiple: usize) -> Self::Value<4>;

    /// Every frame so many times, one after the other.
    fn repeat(&mut self, x: Self::Value<3>, times: usize) -> Self::Value<3>;

    /// The same values as a stream of their own.
    fn copy(&mut self, x: &Self::Value<4>) -> Self::Value<4>;

    /// Zeros on the right of mels and frames, up to multiples.
    fn pad(&mut self, x: Self::Value<4>, multiples: [usize; 2]) -> Self::Value<4>;

    /// The same values in another shape, in which 0 keeps the batch and -1 is what is left.
    fn reshape<const D: usize, const O: usize>(
        &mut self,
        x: Self::Value<D>,
        shape: [i32; O],
    ) -> Self::Value<O>;

    /// Statistics over frames, `[batch, channels, frames]` -> `[batch, count * channels]`.
    /// `attention`, of the shape of `x`, weighs the frames of each channel
    /// ([`Statistics::Weighted`] wants it, the others have none).
    fn pool(
        &mut self,
        kind: Statistics,
        x: Self::Value<3>,
        attention: Option<Self::Value<3>>,
    ) -> Self::Value<2>;

    /// A linear layer over channels: `[batch, input]` -> `[batch, output]`, or each frame of
    /// `[batch, input, frames]` -> `[batch, output, frames]`.
    fn linear<const D: usize>(&mut self, layer: &Linear, x: Self::Value<D>) -> Self::Value<D>;

    /// The steps of a reversible body, `[batch, channels, mels, frames]` -> the same axes.
    fn body<B: Body>(&mut self, body: &B, x: Self::Value<4>, how: Execution) -> Self::Value<4>;

    /// Convolution and batch normalisation.
    fn conv_norm(&mut self, conv: &Conv2d, bn: &BatchNorm, x: Self::Value<4>) -> Self::Value<4> {
        let y = self.conv2d(conv, x);
        self.norm(bn, y, false)
    }

    /// Convolution, batch normalisation and ReLU.
    fn conv_norm_relu(
        &mut self,
        conv: &Conv2d,
        bn: &BatchNorm,
        x: Self::Value<4>,
    ) -> Self::Value<4> {
        let y = self.conv2d(conv, x);
        self.norm(bn, y, true)
    }

    /// Batch normalisation, then the sum with a value of the same shape, then ReLU: the end of a
    /// residual block. `[batch, channels, ...]` -> the same shape.
    fn norm_add_relu<const D: usize>(
        &mut self,
        layer: &BatchNorm,
        x: Self::Value<D>,
        other: impl FnOnce(&mut Self) -> Self::Value<D>,
    ) -> Self::Value<D> {
        let y = self.norm(layer, x, false);
        let other = other(self);
        let y = self.combine(Combine::Add, y, other);
        self.map(Map::Relu, y)
    }
}

/// A whole network: `[batch, 1, mels, frames]` -> `[batch, embedding_dim]`.
pub trait Net: Module {
    /// The only description of the network.
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2>;
}

/// A function inside a reversible body, from streams to streams.
pub trait Part: Module + 'static {
    /// Each stream is `[batch, channels, mels, frames]`.
    fn forward<E: Exec>(&self, e: &mut E, x: Vec<E::Value<4>>) -> Vec<E::Value<4>>;

    /// The same function in pieces, for the way back; see [`Layer::pieces`].
    fn pieces(&self) -> Option<Pieces> {
        None
    }
}

impl<P: Part> Layer for P {
    fn forward(&self, x: Streams, mode: Mode) -> Streams {
        Part::forward(self, &mut super::Run::new(mode), x)
    }

    fn pieces(&self) -> Option<Pieces> {
        Part::pieces(self)
    }
}

/// A [`Part`] whose type is forgotten.
pub trait AnyPart: AnyLayer {
    /// Records the part; see [`Trace`].
    fn trace(&self, trace: &mut Trace, x: Vec<super::Value>) -> Vec<super::Value>;

    /// Runs the part on utterances that were padded to one length; see [`Masked`].
    fn masked(&self, masked: &mut Masked, x: Vec<Padded<4>>) -> Vec<Padded<4>>;
}

impl<P: Part> AnyPart for P {
    fn trace(&self, trace: &mut Trace, x: Vec<super::Value>) -> Vec<super::Value> {
        Part::forward(self, trace, x)
    }

    fn masked(&self, masked: &mut Masked, x: Vec<Padded<4>>) -> Vec<Padded<4>> {
        Part::forward(self, masked, x)
    }
}

/// A step of a reversible body.
#[derive(Clone, Copy)]
pub enum Step<'a> {
    /// Additive coupling of two streams.
    Couple(&'a Coupling),
    /// Mels and frames into channels, on every stream.
    Squeeze(&'a Squeeze),
    /// One tensor as two streams, or two as one.
    Halves(&'a Halves),
    /// Any function; its input is kept for the backward pass.
    Keep(&'a dyn AnyPart),
}

impl<'a> Step<'a> {
    /// The step as [`reversible::run`] takes it.
    fn lower(self) -> reversible::Step<'a> {
        match self {
            Self::Couple(block) => block.step(),
            Self::Squeeze(squeeze) => reversible::Step::Rearrange(squeeze),
            Self::Halves(halves) => reversible::Step::Rearrange(halves),
            Self::Keep(part) => reversible::Step::Keep(part),
        }
    }
}

/// A reversible body whose steps have names.
pub trait Body: Module + 'static {
    /// The steps in forward order, each with the stage it belongs to.
    fn walk(&self) -> Vec<(Stage, Step<'_>)>;

    /// See [`Reversible::is_cheap`].
    fn is_cheap(&self, step: usize) -> bool {
        let _ = step;
        false
    }
}

impl<B: Body> Reversible for B {
    fn steps(&self) -> Vec<reversible::Step<'_>> {
        self.walk().into_iter().map(|(_, step)| step.lower()).collect()
    }

    fn is_cheap(&self, step: usize) -> bool {
        Body::is_cheap(self, step)
    }
}
