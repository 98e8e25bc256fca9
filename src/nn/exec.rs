//! One forward pass, several interpreters.
//!
//! A part or a network says once which layers its input goes through: `forward<E: Exec>`. [`Run`]
//! makes tensors of it, [`Trace`] records a [`Graph`](super::Graph), on which everything is counted
//! that is known without weights.
//!
//! [`Run`]: super::Run
//! [`Trace`]: super::Trace

use std::fmt;

use burn::module::Module;

use super::{
    BatchNorm, Conv1d, Conv2d, Coupling, Halves, Linear, Masked, Padded, PoolingKind, Squeeze,
    Trace,
};
use crate::backend::reversible::{self, Execution, Reversible};
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

    /// Statistics over frames, `[batch, channels, frames]` -> `[batch, statistics * channels]`.
    /// `attention`, of the shape of `x`, weighs the frames of each channel
    /// ([`PoolingKind::Astp`] wants it, the others have none).
    fn pool(
        &mut self,
        kind: PoolingKind,
        x: Self::Value<3>,
        attention: Option<Self::Value<3>>,
    ) -> Self::Value<2>;

    /// `[batch, input]` -> `[batch, output]`.
    fn linear(&mut self, layer: &Linear, x: Self::Value<2>) -> Self::Value<2>;

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

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Softmax over the last axis.
    Softmax,
}

/// A function of two values, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// `x + y`.
    Add,
    /// `x * y`.
    Multiply,
    /// `(x + y) / 2`, of one shape.
    Mean,
}

/// A group of layers in a report: `stem`, `stage 2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stage(&'static str, Option<usize>);

impl Stage {
    /// The first layers.
    pub const STEM: Self = Self("stem", None);
    /// Layers that lose resolution between stages.
    pub const TRANSITIONS: Self = Self("transitions", None);
    /// Statistics over time, and what prepares them.
    pub const POOLING: Self = Self("pooling", None);
    /// From pooled statistics to the embedding. Reports of activations end in front of it.
    pub const EMBEDDING: Self = Self("embedding", None);

    /// A stage with its number, counted from 1 as the literature does.
    pub const fn numbered(name: &'static str, number: usize) -> Self {
        Self(name, Some(number))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            None => f.write_str(self.0),
            Some(number) => write!(f, "{} {number}", self.0),
        }
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
}

impl<P: Part> Layer for P {
    fn forward(&self, x: Streams, mode: Mode) -> Streams {
        Part::forward(self, &mut super::Run::new(mode), x)
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
}

impl<B: Body> Reversible for B {
    fn steps(&self) -> Vec<reversible::Step<'_>> {
        self.walk().into_iter().map(|(_, step)| step.lower()).collect()
    }
}
