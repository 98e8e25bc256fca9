//! Convolution of f32 values in memory: matrix products of patches ([`product`]), and loops over
//! taps where groups have few channels ([`direct`]).

mod direct;
mod product;
mod sizes;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Shape, TensorData};

use self::direct::Walk;
use self::sizes::Sizes;
use super::{Window, plain};
use crate::backend::flex::{contiguous, slice};

/// The most bytes of Burn's columns (input gradient of a strided convolution).
const COLUMNS: usize = 8 << 20;

/// Bytes of scratch space with so many threads: of the output, of the weights' gradient, of the
/// input's gradient.
pub(super) fn scratch(x: [usize; 4], w: [usize; 4], window: Window, threads: usize) -> [usize; 3] {
    let s = Sizes::new(&x, &w, window);
    if s.is_direct() {
        let lines = |walk: Walk, tasks: usize| walk.bytes() * threads.min(tasks);
        return [
            lines(Walk::forward(&s), s.lots()),
            lines(Walk::forward(&s), s.groups),
            lines(Walk::backward(&s), s.lots()),
        ];
    }
    let input = match s.mirrored() {
        Some(mirrored) => mirrored.patches(threads),
        // Burn's columns, of one utterance at a time.
        None => (4 * s.depth() * s.after[0] * s.after[1]).min(COLUMNS),
    };
    [s.patches(threads), s.partial() + s.patches(threads), input]
}

/// See [`super::ConvolutionOps::convolve`].
pub(super) fn forward(
    x: FloatTensor<Flex>,
    w: FloatTensor<Flex>,
    window: Window,
) -> FloatTensor<Flex> {
    let (x, w) = (contiguous(x), contiguous(w));
    let s = Sizes::new(x.layout().shape(), w.layout().shape(), window);
    let y = match s.is_direct() {
        true => direct::forward(&Walk::forward(&s), s.groups, slice(&x), slice(&w)),
        false => product::forward(&s, slice(&x), slice(&w)),
    };
    tensor(y, [s.batch, s.groups * s.output, s.after[0], s.after[1]])
}

/// See [`super::ConvolutionOps::convolve_weight_gradient`]. It is summed in an order that does not
/// depend on the number of threads.
pub(super) fn weight_gradient(
    x: FloatTensor<Flex>,
    dy: FloatTensor<Flex>,
    [rows, columns]: [usize; 2],
    window: Window,
) -> FloatTensor<Flex> {
    let (x, dy) = (contiguous(x), contiguous(dy));
    let input = x.layout().shape()[1] / window.groups;
    let shape = [dy.layout().shape()[1], input, rows, columns];
    let s = Sizes::new(x.layout().shape(), &shape, window);
    let dw = match s.is_direct() {
        true => direct::weight_gradient(&Walk::forward(&s), s.groups, slice(&x), slice(&dy)),
        false => product::weight_gradient(&s, slice(&x), slice(&dy)),
    };
    tensor(dw, shape)
}

/// See [`super::ConvolutionOps::convolve_input_gradient`]. At stride 1 it is a convolution of `dy`
/// with mirrored, transposed weights. Strided ones are Burn's, but for those of small groups.
pub(super) fn input_gradient(
    w: FloatTensor<Flex>,
    dy: FloatTensor<Flex>,
    shape: Shape,
    window: Window,
) -> FloatTensor<Flex> {
    let s = Sizes::new(&shape, w.layout().shape(), window);
    let dx = match (s.is_direct(), s.mirrored()) {
        (true, _) => {
            let (w, dy) = (mirrored(&s, w), contiguous(dy));
            direct::forward(&Walk::backward(&s), s.groups, slice(&dy), &w)
        }
        (false, Some(back)) => {
            let (w, dy) = (mirrored(&s, w), contiguous(dy));
            product::forward(&back, slice(&dy), &w)
        }
        (false, None) => return plain::input_gradient::<Flex>(w, dy, shape, window),
    };
    tensor(dx, [s.batch, s.groups * s.input, s.before[0], s.before[1]])
}

fn tensor(values: Vec<f32>, shape: [usize; 4]) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
}

/// The weights of each group with their channels swapped and their taps in reverse order.
fn mirrored(s: &Sizes, w: FloatTensor<Flex>) -> Vec<f32> {
    let w = contiguous(w);
    let (weights, taps) = (slice(&w), s.taps());
    let mut mirrored = vec![0.0f32; weights.len()];
    for group in 0..s.groups {
        for o in 0..s.output {
            for i in 0..s.input {
                let from = ((group * s.output + o) * s.input + i) * taps;
                let to = ((group * s.input + i) * s.output + o) * taps;
                let (from, to) = (&weights[from..][..taps], &mut mirrored[to..][..taps]);
                to.iter_mut().zip(from.iter().rev()).for_each(|(t, f)| *t = *f);
            }
        }
    }
    mirrored
}
