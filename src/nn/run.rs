//! The interpreter that computes.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::activation::{gelu_approximate, sigmoid, silu};

use super::pooling::statistics;
use super::{
    BatchNorm, Body, Combine, Conv1d, Conv2d, Exec, LayerNorm, Linear, Map, Mix, Mode, Stage,
    Statistics, over_frames,
};
use crate::backend::gelu::gelu;
use crate::backend::norm::rectify;
use crate::backend::rearrange::fit;
use crate::backend::reversible::{self, Execution};
use crate::backend::softmax::softmax;

/// Runs layers on tensors.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    mode: Mode,
}

impl Run {
    /// A pass of this mode.
    pub fn new(mode: Mode) -> Self {
        Self { mode }
    }
}

impl Exec for Run {
    type Value<const D: usize> = Tensor<D>;

    fn stage(&mut self, _: Stage) {}

    fn conv2d(&mut self, layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        layer.forward(x)
    }

    fn conv1d(&mut self, layer: &Conv1d, x: Tensor<3>) -> Tensor<3> {
        layer.forward(x)
    }

    fn norm<const D: usize>(&mut self, layer: &BatchNorm, x: Tensor<D>, relu: bool) -> Tensor<D> {
        layer.apply(x, self.mode, relu)
    }

    fn norm_add_relu<const D: usize>(
        &mut self,
        layer: &BatchNorm,
        x: Tensor<D>,
        other: impl FnOnce(&mut Self) -> Tensor<D>,
    ) -> Tensor<D> {
        let other = other(self);
        layer.apply_sum(x, other, self.mode)
    }

    fn layer_norm<const D: usize>(&mut self, layer: &LayerNorm, x: Tensor<D>) -> Tensor<D> {
        layer.forward(x)
    }

    fn map<const D: usize>(&mut self, f: Map, x: Tensor<D>) -> Tensor<D> {
        match f {
            Map::Relu => rectify(x),
            Map::Sigmoid => sigmoid(x),
            Map::Clip20 => x.clamp(0.0, 20.0),
            Map::Tanh => x.tanh(),
            Map::Silu => silu(x),
            Map::Gelu => gelu(x),
            Map::GeluTanh => gelu_approximate(x),
            Map::Softmax => softmax(x, D - 1),
        }
    }

    fn combine<const D: usize>(&mut self, f: Combine, x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
        match f {
            Combine::Add if x.shape() == y.shape() => reversible::sum(x, y),
            Combine::Add => x + y,
            Combine::Subtract => x - y,
            Combine::Multiply => x * y,
            Combine::Mean => (x + y) * 0.5,
        }
    }

    fn concat<const D: usize>(&mut self, all: Vec<Tensor<D>>, axis: usize) -> Tensor<D> {
        Tensor::cat(all, axis)
    }

    fn channels<const D: usize>(&mut self, x: &Tensor<D>, range: Range<usize>) -> Tensor<D> {
        x.clone().narrow(1, range.start, range.len())
    }

    fn mean<const D: usize>(&mut self, x: &Tensor<D>, axes: &[usize]) -> Tensor<D> {
        over_frames::mean(x.clone(), axes, None)
    }

    fn swap(&mut self, x: Tensor<4>) -> Tensor<4> {
        x.swap_dims(1, 2)
    }

    fn segments(&mut self, x: &Tensor<3>, frames: usize) -> Tensor<3> {
        over_frames::segments(x.clone(), frames, None)
    }

    fn spread(&mut self, x: Tensor<3>, like: &Tensor<3>) -> Tensor<3> {
        let ([batch, channels, _], [_, _, frames]) = (x.dims(), like.dims());
        x.expand([batch, channels, frames])
    }

    fn attend(&mut self, heads: usize, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        over_frames::attend(heads, [q, k, v], None)
    }

    fn mix(&mut self, layer: &Mix, all: Vec<Tensor<3>>) -> Tensor<3> {
        layer.forward(all)
    }

    fn simam(&mut self, x: Tensor<4>) -> Tensor<4> {
        over_frames::simam(x, None)
    }

    fn trim(&mut self, x: Tensor<4>, multiple: usize) -> Tensor<4> {
        let frames = x.dims()[3];
        match frames % multiple {
            0 => x,
            behind => x.narrow(3, 0, frames - behind),
        }
    }

    fn repeat(&mut self, x: Tensor<3>, times: usize) -> Tensor<3> {
        let [batch, channels, frames] = x.dims();
        match times {
            1 => x,
            _ => x
                .reshape([batch, channels, frames, 1])
                .expand([batch, channels, frames, times])
                .reshape([batch, channels, frames * times]),
        }
    }

    fn copy(&mut self, x: &Tensor<4>) -> Tensor<4> {
        x.clone()
    }

    fn pad(&mut self, x: Tensor<4>, multiples: [usize; 2]) -> Tensor<4> {
        let [_, _, mels, frames] = x.dims();
        fit(x, [mels.next_multiple_of(multiples[0]), frames.next_multiple_of(multiples[1])])
    }

    fn reshape<const D: usize, const O: usize>(
        &mut self,
        x: Tensor<D>,
        shape: [i32; O],
    ) -> Tensor<O> {
        x.reshape(shape)
    }

    fn pool(&mut self, kind: Statistics, x: Tensor<3>, attention: Option<Tensor<3>>) -> Tensor<2> {
        statistics(kind, x, attention)
    }

    fn linear<const D: usize>(&mut self, layer: &Linear, x: Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        match shape[..] {
            [batch, input] => {
                let y = layer.forward(x.reshape([batch, input]));
                shape[1] = y.dims()[1];
                y.reshape(shape)
            }
            [batch, input, frames] => {
                let y = layer.forward_frames(x.reshape([batch, input, frames]));
                shape[1] = y.dims()[1];
                y.reshape(shape)
            }
            _ => panic!("a linear layer takes two axes or three, not {D}"),
        }
    }

    fn body<B: Body>(&mut self, body: &B, x: Tensor<4>, execution: Execution) -> Tensor<4> {
        reversible::run(body, x, self.mode, execution)
    }
}
