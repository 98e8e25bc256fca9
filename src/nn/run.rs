//! The interpreter that computes.

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softmax};

use super::exec::{Body, Dim, Exec, Stage};
use super::pooling::statistics;
use super::{BatchNorm, Conv1d, Conv2d, Linear, Mode, PoolingKind};
use crate::backend::norm::rectify;
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

    fn size<const D: usize>(&self, x: &Tensor<D>) -> Vec<usize> {
        x.dims()[1..].to_vec()
    }

    fn stage(&mut self, _: Stage) {}

    fn conv2d(&mut self, layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
        layer.forward(x)
    }

    fn conv1d(&mut self, layer: &Conv1d, x: Tensor<3>) -> Tensor<3> {
        layer.forward(x)
    }

    fn norm<const D: usize>(&mut self, layer: &BatchNorm, x: Tensor<D>) -> Tensor<D> {
        layer.forward(x, self.mode)
    }

    fn norm_relu<const D: usize>(&mut self, layer: &BatchNorm, x: Tensor<D>) -> Tensor<D> {
        layer.rectified(x, self.mode)
    }

    fn relu<const D: usize>(&mut self, x: Tensor<D>) -> Tensor<D> {
        rectify(x)
    }

    fn sigmoid<const D: usize>(&mut self, x: Tensor<D>) -> Tensor<D> {
        sigmoid(x)
    }

    fn tanh<const D: usize>(&mut self, x: Tensor<D>) -> Tensor<D> {
        x.tanh()
    }

    fn softmax<const D: usize>(&mut self, x: Tensor<D>) -> Tensor<D> {
        softmax(x, D - 1)
    }

    fn add<const D: usize>(&mut self, x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
        x + y
    }

    fn multiply<const D: usize>(&mut self, x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
        x * y
    }

    fn mean<const D: usize>(&mut self, x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
        (x + y) * 0.5
    }

    fn concat<const D: usize>(&mut self, all: Vec<Tensor<D>>, axis: usize) -> Tensor<D> {
        Tensor::cat(all, axis)
    }

    fn copy(&mut self, x: &Tensor<4>) -> Tensor<4> {
        x.clone()
    }

    fn pad(&mut self, x: Tensor<4>, multiples: [usize; 2]) -> Tensor<4> {
        multiples.into_iter().enumerate().fold(x, |x, (i, multiple)| {
            let mut shape = x.dims();
            shape[2 + i] = shape[2 + i].next_multiple_of(multiple) - shape[2 + i];
            if shape[2 + i] == 0 {
                return x;
            }
            let zeros = Tensor::zeros(shape, (&x.device(), x.dtype()));
            Tensor::cat(vec![x, zeros], 2 + i)
        })
    }

    fn reshape<const D: usize, const O: usize>(
        &mut self,
        x: Tensor<D>,
        shape: &[Dim],
    ) -> Tensor<O> {
        let sizes = resolve(&self.size(&x), shape);
        let whole: Vec<usize> = std::iter::once(x.dims()[0]).chain(sizes).collect();
        let whole: [usize; O] = whole.try_into().expect("as many axes as the type says");
        x.reshape(whole)
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

/// The sizes that a new shape comes to.
///
/// # Panics
/// If the values do not fit into the shape.
pub(super) fn resolve(from: &[usize], shape: &[Dim]) -> Vec<usize> {
    let all: usize = from.iter().product();
    let known = |dim: &Dim| match dim {
        Dim::Of(n) => Some(*n),
        Dim::Rest => None,
    };
    let product: usize = shape.iter().filter_map(known).product();
    let sizes: Vec<usize> =
        shape.iter().map(|dim| known(dim).unwrap_or(all / product.max(1))).collect();
    assert_eq!(sizes.iter().product::<usize>(), all, "{from:?} as {shape:?}");
    sizes
}
