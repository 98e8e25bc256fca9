//! The interpreter that computes.

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softmax};

use super::exec::{Body, Combine, Exec, Map, Stage};
use super::pooling::statistics;
use super::{BatchNorm, Conv1d, Conv2d, Linear, Mode, PoolingKind};
use crate::backend::norm::rectify;
use crate::backend::rearrange::fit;
use crate::backend::reversible::{self, Execution};

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

    fn map<const D: usize>(&mut self, f: Map, x: Tensor<D>) -> Tensor<D> {
        match f {
            Map::Relu => rectify(x),
            Map::Sigmoid => sigmoid(x),
            Map::Tanh => x.tanh(),
            Map::Softmax => softmax(x, D - 1),
        }
    }

    fn combine<const D: usize>(&mut self, f: Combine, x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
        match f {
            Combine::Add if x.shape() == y.shape() => reversible::sum(x, y),
            Combine::Add => x + y,
            Combine::Multiply => x * y,
            Combine::Mean => (x + y) * 0.5,
        }
    }

    fn concat<const D: usize>(&mut self, all: Vec<Tensor<D>>, axis: usize) -> Tensor<D> {
        Tensor::cat(all, axis)
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

    fn pool(&mut self, kind: PoolingKind, x: Tensor<3>, attention: Option<Tensor<3>>) -> Tensor<2> {
        statistics(kind, x, attention)
    }

    fn linear(&mut self, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        layer.forward(x)
    }

    fn body<B: Body>(&mut self, body: &B, x: Tensor<4>, execution: Execution) -> Tensor<4> {
        reversible::run(body, x, self.mode, execution)
    }
}
