//! Normalisation of f32 values in memory: two passes forwards for the moments and one for the
//! output, two backwards.

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use rayon::prelude::*;

use super::Norm;
use crate::backend::flex::{contiguous, own, slice, vector};
use crate::lanes::Lanes;

/// Sizes: utterances, channels, values of one channel of one utterance.
struct Layout {
    batch: usize,
    channels: usize,
    plane: usize,
    shape: Vec<usize>,
}

impl Layout {
    fn of(x: &FloatTensor<Flex>) -> Self {
        let shape = x.layout().shape().to_vec();
        Self { batch: shape[0], channels: shape[1], plane: shape[2..].iter().product(), shape }
    }

    fn count(&self) -> f64 {
        (self.batch * self.plane) as f64
    }

    /// Channel c of every utterance.
    fn planes<'a>(&self, values: &'a [f32], c: usize) -> impl Iterator<Item = &'a [f32]> {
        let (plane, step) = (self.plane, self.channels * self.plane);
        (0..self.batch).map(move |b| &values[b * step + c * plane..][..plane])
    }

    fn tensor(&self, values: Vec<f32>) -> FloatTensor<Flex> {
        FloatTensor::<Flex>::from_data(TensorData::new(values, self.shape.clone()))
    }
}

/// Sum of `f` over a plane and its partner.
fn sum(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    let [lanes, rest] = Lanes::<16>::parts(a, b, b, |a, b, _| f(a, b));
    f64::from(lanes) + f64::from(rest)
}

/// One channel's normalisation, `y = x * scale + shift`.
#[derive(Clone, Copy)]
struct Line {
    mean: f32,
    inverse: f32,
    scale: f32,
    shift: f32,
}

impl Line {
    fn new(mean: f32, variance: f32, gamma: f32, beta: f32, norm: Norm) -> Self {
        let inverse = (1.0 / (f64::from(variance) + norm.epsilon).sqrt()) as f32;
        let scale = gamma * inverse;
        Self { mean, inverse, scale, shift: beta - mean * scale }
    }

    fn at(self, x: f32) -> f32 {
        x * self.scale + self.shift
    }
}

/// Mean and biased variance of each channel.
fn moments(layout: &Layout, xs: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let of = |c: usize| {
        let mean = layout.planes(xs, c).map(|p| sum(p, p, |x, _| x)).sum::<f64>() / layout.count();
        let mean = mean as f32;
        let square = |p: &[f32]| sum(p, p, |x, _| (x - mean) * (x - mean));
        (mean, (layout.planes(xs, c).map(square).sum::<f64>() / layout.count()) as f32)
    };
    (0..layout.channels).into_par_iter().map(of).unzip()
}

/// A normalisation with the sum behind it, see [`super::plain::CoreSum`]. On a tape the input
/// stays; the sum takes the place of the second tensor if nobody else uses that.
pub(super) fn normalize_sum(
    [x, other, gamma, beta]: [FloatTensor<Flex>; 4],
    norm: Norm,
) -> (FloatTensor<Flex>, FloatTensor<Flex>) {
    let [mut x, mut other, gamma, beta] = [x, other, gamma, beta].map(contiguous);
    let is_free = own(&mut x).is_none() && own(&mut other).is_some();
    if !is_free || x.layout().shape() != other.layout().shape() {
        let (y, moments) = normalize(x, gamma, beta, norm);
        return (Flex::float_add(y, other), moments);
    }
    let (layout, xs) = (Layout::of(&x), slice(&x));
    let (means, variances) = moments(&layout, xs);
    let (gamma, beta) = (slice(&gamma), slice(&beta));
    let line = |i: usize| {
        let c = i % layout.channels;
        Line::new(means[c], variances[c], gamma[c], beta[c], norm)
    };
    if let Some(values) = own(&mut other) {
        let planes = values.par_chunks_mut(layout.plane).zip(xs.par_chunks(layout.plane));
        planes.enumerate().for_each(|(i, (y, x))| {
            let line = line(i);
            y.iter_mut().zip(x).for_each(|(y, &x)| *y += line.at(x));
        });
    }
    let moments = TensorData::new([means, variances].concat(), [2, layout.channels]);
    (other, FloatTensor::<Flex>::from_data(moments))
}

pub(super) fn normalize(
    x: FloatTensor<Flex>,
    gamma: FloatTensor<Flex>,
    beta: FloatTensor<Flex>,
    norm: Norm,
) -> (FloatTensor<Flex>, FloatTensor<Flex>) {
    let [mut x, gamma, beta] = [x, gamma, beta].map(contiguous);
    let layout = Layout::of(&x);
    let (gamma, beta) = (slice(&gamma), slice(&beta));
    let (means, variances) = moments(&layout, slice(&x));
    let line = |i: usize| {
        let c = i % layout.channels;
        Line::new(means[c], variances[c], gamma[c], beta[c], norm)
    };
    // Not `max`, which would turn NaN into 0.
    let rectified = |line: Line, x: f32| if line.at(x) <= 0.0 { 0.0 } else { line.at(x) };
    // Without a tape nobody else refers to the input: the output takes its place.
    let y = match own(&mut x) {
        Some(values) => {
            values.par_chunks_mut(layout.plane).enumerate().for_each(|(i, plane)| {
                match (line(i), norm.rectify) {
                    (line, true) => plane.iter_mut().for_each(|x| *x = rectified(line, *x)),
                    (line, false) => plane.iter_mut().for_each(|x| *x = line.at(*x)),
                }
            });
            x
        }
        None => {
            let xs = slice(&x);
            let mut y = vec![0.0f32; xs.len()];
            let planes =
                y.par_chunks_mut(layout.plane).zip(xs.par_chunks(layout.plane)).enumerate();
            planes.for_each(|(i, (y, x))| match (line(i), norm.rectify) {
                (line, true) => y.iter_mut().zip(x).for_each(|(y, &x)| *y = rectified(line, x)),
                (line, false) => y.iter_mut().zip(x).for_each(|(y, &x)| *y = line.at(x)),
            });
            layout.tensor(y)
        }
    };
    let moments = TensorData::new([means, variances].concat(), [2, layout.channels]);
    (y, FloatTensor::<Flex>::from_data(moments))
}

pub(super) fn gradients(
    x: FloatTensor<Flex>,
    gamma: FloatTensor<Flex>,
    beta: FloatTensor<Flex>,
    moments: FloatTensor<Flex>,
    dy: FloatTensor<Flex>,
    norm: Norm,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let [x, gamma, beta, mut dy] = [x, gamma, beta, dy].map(contiguous);
    let (layout, xs) = (Layout::of(&x), slice(&x));
    let (gamma, beta, moments) = (slice(&gamma), slice(&beta), slice(&moments));
    let channels = layout.channels;
    let line = |c: usize| Line::new(moments[c], moments[channels + c], gamma[c], beta[c], norm);
    let (dgamma, dbeta): (Vec<f32>, Vec<f32>) = {
        let dys = slice(&dy);
        let of = |c: usize| {
            let line = line(c);
            let passed = |x: f32, d: f32| if norm.rectify && line.at(x) <= 0.0 { 0.0 } else { d };
            let both = || layout.planes(xs, c).zip(layout.planes(dys, c));
            let dgamma: f64 = both()
                .map(|(x, d)| sum(x, d, |x, d| passed(x, d) * ((x - line.mean) * line.inverse)))
                .sum();
            let dbeta: f64 = both().map(|(x, d)| sum(x, d, passed)).sum();
            (dgamma as f32, dbeta as f32)
        };
        (0..channels).into_par_iter().map(of).unzip()
    };
    let count = layout.count() as f32;
    let write = |c: usize, x: &[f32], d: &mut [f32]| {
        let line = line(c);
        // scale * (d - mean of d - normalized * mean of (d * normalized))
        let (slope, offset) = (dgamma[c] / count * line.inverse, dbeta[c] / count);
        for (d, &x) in d.iter_mut().zip(x) {
            let passed = if norm.rectify && line.at(x) <= 0.0 { 0.0 } else { *d };
            *d = line.scale * (passed - offset - (x - line.mean) * slope);
        }
    };
    let over = |dx: &mut [f32]| {
        let planes = dx.par_chunks_mut(layout.plane).zip(xs.par_chunks(layout.plane)).enumerate();
        planes.for_each(|(i, (d, x))| write(i % channels, x, d));
    };
    let dx = match own(&mut dy) {
        Some(values) => {
            over(values);
            dy
        }
        None => {
            let mut values = slice(&dy).to_vec();
            over(&mut values);
            layout.tensor(values)
        }
    };
    (dx, vector(dgamma), vector(dbeta))
}
