//! The steps of a body forwards, and backwards from the output.

use burn::backend::DispatchTensor;
use burn::module::ParamId;
use burn::tensor::Tensor;

use super::body::{Reversible, Step};
use super::grid::{difference, shift, snap, sum};
use super::layer::{Again, AnyLayer, Streams};
use crate::backend::Mode;

/// The only tensor.
pub(super) fn single(mut streams: Streams) -> Tensor<4> {
    assert_eq!(streams.len(), 1, "a function of one tensor gave {}", streams.len());
    streams.remove(0)
}

fn pair(streams: Streams) -> [Tensor<4>; 2] {
    let n = streams.len();
    streams.try_into().unwrap_or_else(|_| panic!("a coupling wants two streams, not {n}"))
}

/// The functions of the steps, in forward order.
fn layers<'a>(steps: &[Step<'a>]) -> Vec<&'a dyn AnyLayer> {
    let of = |step: &Step<'a>| match *step {
        Step::Couple(f, g) => vec![f, g],
        Step::Rearrange(_) => vec![],
        Step::Keep(layer) => vec![layer],
    };
    steps.iter().flat_map(of).collect()
}

/// Parameters and buffers of each function.
pub(super) fn parameters(steps: &[Step]) -> Vec<Vec<DispatchTensor>> {
    layers(steps).into_iter().map(|l| l.parameters()).collect()
}

/// Their ids.
pub(super) fn ids(steps: &[Step]) -> Vec<Vec<ParamId>> {
    layers(steps).into_iter().map(|l| l.ids()).collect()
}

/// A stream on the body's grid.
fn on(grid: Option<i32>, x: Tensor<4>) -> Tensor<4> {
    match grid {
        Some(bits) => snap(x, bits),
        None => x,
    }
}

/// A stream and a function's output.
fn plus(grid: Option<i32>, x: Tensor<4>, change: Tensor<4>) -> Tensor<4> {
    match grid {
        Some(bits) => shift(x, change, bits, false),
        None => sum(x, change),
    }
}

/// What [`plus`] started from.
fn minus(grid: Option<i32>, y: Tensor<4>, change: Tensor<4>) -> Tensor<4> {
    match grid {
        Some(bits) => shift(y, change, bits, true),
        None => difference(y, change),
    }
}

/// Runs the steps. `kept` receives the inputs of [`Step::Keep`].
pub(super) fn forward<M: Reversible>(
    body: &M,
    x: Streams,
    mode: Mode,
    mut kept: Option<&mut Vec<Streams>>,
) -> Streams {
    let grid = body.grid();
    // Values from outside, or from an arbitrary function, are not on the grid yet.
    let mut rounded = false;
    body.steps().iter().fold(x, |x, step| match *step {
        Step::Couple(f, g) => {
            let [x1, x2] = pair(x);
            let [x1, x2] = if rounded { [x1, x2] } else { [x1, x2].map(|x| on(grid, x)) };
            rounded = true;
            let y1 = plus(grid, x1, single(f.forward(vec![x2.clone()], mode)));
            let y2 = plus(grid, x2, single(g.forward(vec![y1.clone()], mode)));
            vec![y1, y2]
        }
        Step::Rearrange(r) => r.forward(x),
        Step::Keep(layer) => {
            rounded = false;
            if let Some(kept) = &mut kept {
                kept.push(x.clone());
            }
            layer.forward(x, mode)
        }
    })
}

/// The start of the backward pass.
pub(super) struct Held {
    /// Inputs of [`Step::Keep`], in forward order.
    pub kept: Vec<Streams>,
    /// The output; none if the last step kept its input.
    pub output: Option<Streams>,
    /// Values of parameters that the body does not hold itself, function by function.
    pub lent: Vec<Vec<Option<DispatchTensor>>>,
}

/// Walks back from the output: the input's gradient, if wanted. `tracked[i]` tells which parameters
/// of function i want gradients. Those go to `sink`, with the numbers of function and parameter.
pub(super) fn backward<M: Reversible>(
    body: &M,
    held: Held,
    dy: Streams,
    mode: Mode,
    input: bool,
    tracked: &[Vec<bool>],
    sink: &mut dyn FnMut(usize, usize, DispatchTensor),
) -> Option<Streams> {
    let (grid, steps) = (body.grid(), body.steps());
    let Held { mut kept, output, mut lent } = held;
    let mut y = output.unwrap_or_default();
    let mut dy = dy;
    let mut number = tracked.len();
    for (i, step) in steps.iter().enumerate().rev() {
        match *step {
            Step::Couple(f, g) => {
                number -= 2;
                let ([y1, y2], [dy1, dy2]) = (pair(y), pair(dy));
                // The recovered stream takes the place of the one it comes from before the function
                // is differentiated.
                let mut pull = |layer: &dyn AnyLayer,
                                k: usize,
                                x: &Tensor<4>,
                                y: Tensor<4>,
                                dy: &Tensor<4>| {
                    let (mut y, mut recovered) = (Some(y), None);
                    let outputs = &mut |out: Streams| {
                        recovered = y.take().map(|y| minus(grid, y, single(out)))
                    };
                    let gradients = &mut |p, gradient| sink(k, p, gradient);
                    let (x, dy) = (vec![x.clone()], vec![dy.clone()]);
                    let values = std::mem::take(&mut lent[k]);
                    let again = Again { x, dy, mode, inputs: true, tracked: &tracked[k], values };
                    let dx = layer.pull(again, outputs, gradients).expect("was asked for");
                    (recovered.expect("the function has run"), single(dx))
                };
                let (x2, dg) = pull(g, number + 1, &y1, y2, &dy2);
                let dx1 = sum(dy1, dg);
                let (x1, df) = pull(f, number, &x2, y1, &dx1);
                y = vec![x1, x2];
                dy = vec![dx1, sum(dy2, df)];
            }
            Step::Rearrange(r) => {
                // Behind a kept input nothing was recovered.
                y = if y.is_empty() { y } else { r.inverse(y) };
                dy = r.inverse(dy);
            }
            Step::Keep(layer) => {
                number -= 1;
                // The kept input replaces the recovered one.
                drop(std::mem::take(&mut y));
                let x = kept.pop().expect("one for each such step");
                let wanted = input || i > 0;
                let gradients = &mut |p, gradient| sink(number, p, gradient);
                let values = std::mem::take(&mut lent[number]);
                let tracked = &tracked[number];
                let again = Again { x: x.clone(), dy, mode, inputs: wanted, tracked, values };
                dy = layer.pull(again, &mut drop, gradients)?;
                y = x;
            }
        }
    }
    Some(dy)
}

/// Walks back from the output without gradients; nothing if a step has no inverse.
pub(super) fn inverse<M: Reversible>(body: &M, y: Streams, mode: Mode) -> Option<Streams> {
    let grid = body.grid();
    body.steps().iter().rev().try_fold(y, |y, step| match *step {
        Step::Couple(f, g) => {
            let [y1, y2] = pair(y);
            let x2 = minus(grid, y2, single(g.forward(vec![y1.clone()], mode)));
            let x1 = minus(grid, y1, single(f.forward(vec![x2.clone()], mode)));
            Some(vec![x1, x2])
        }
        Step::Rearrange(r) => Some(r.inverse(y)),
        Step::Keep(_) => None,
    })
}
