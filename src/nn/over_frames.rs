//! Operations that look at several frames. `mask` is 1 for an utterance's own frames and 0 behind
//! them; without it all frames are the utterance's.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, TensorData};

use super::SIMAM_LAMBDA;
use crate::backend::softmax::softmax;
use crate::backend::{self, is_ours, product_each};

/// The mean over axes, which stay with size 1. The mask `[batch, 1.., frames]` is wanted where
/// frames, the last axis, are among them.
pub(super) fn mean<const D: usize>(
    x: Tensor<D>,
    axes: &[usize],
    mask: Option<Tensor<D>>,
) -> Tensor<D> {
    let Some(mask) = mask else { return axes.iter().fold(x, |x, &axis| x.mean_dim(axis)) };
    let dims = x.dims();
    let others: usize = axes.iter().filter(|&&axis| axis < D - 1).map(|&axis| dims[axis]).product();
    let sum = axes.iter().fold(x * mask.clone(), |x, &axis| x.sum_dim(axis));
    sum / (mask.sum_dim(D - 1) * others as f64)
}

/// See [`Exec::segments`](super::Exec::segments). The mask is `[batch, 1, frames]`.
pub(super) fn segments(x: Tensor<3>, length: usize, mask: Option<Tensor<3>>) -> Tensor<3> {
    let [batch, channels, frames] = x.dims();
    let (device, dtype) = (x.device(), x.dtype());
    let count = frames.div_ceil(length);
    let behind = count * length - frames;
    let mask = mask.unwrap_or_else(|| {
        let ones = TensorData::new(vec![1f32; frames], [1, 1, frames]);
        Tensor::<3>::from_data(ones, &device).cast(dtype)
    });
    let sums = |x: Tensor<3>| -> Tensor<4> {
        let [batch, channels, _] = x.dims();
        let whole = match behind {
            0 => x,
            _ => {
                let zeros = Tensor::zeros([batch, channels, behind], (&device, dtype));
                Tensor::cat(vec![x, zeros], 2)
            }
        };
        whole.reshape([batch, channels, count, length]).sum_dim(3)
    };
    // A segment that is wholly behind an utterance has no frames.
    let counts = sums(mask.clone()).clamp_min(1.0);
    let means = sums(x * mask) / counts;
    let all = means.expand([batch, channels, count, length]);
    all.reshape([batch, channels, count * length]).narrow(2, 0, frames)
}

/// See [`Exec::attend`](super::Exec::attend). The mask, `[batch, 1, 1, frames]`, leaves frames out
/// by logits so low that their softmax is 0.
pub(super) fn attend(
    heads: usize,
    [q, k, v]: [Tensor<3>; 3],
    mask: Option<Tensor<4>>,
) -> Tensor<3> {
    let [batch, channels, frames] = q.dims();
    let share = channels / heads;
    let [q, k, v] = [q, k, v].map(|x| x.reshape([batch, heads, share, frames]));
    let q = q / (share as f64).sqrt();
    let y = match is_ours(&q) {
        true => attend_in_columns([q, k, v], mask),
        false => attend_in_rows([q, k, v], mask),
    };
    y.reshape([batch, channels, frames])
}

/// Attention of `[batch, heads, share, frames]` by Burn's products. Frames that attend are rows of
/// the scores, and of the output until it is turned: so nothing of the scores' size is copied.
fn attend_in_rows([q, k, v]: [Tensor<4>; 3], mask: Option<Tensor<4>>) -> Tensor<4> {
    let scores = q.swap_dims(2, 3).matmul(k);
    let scores = match mask {
        None => scores,
        Some(mask) => floored(scores, mask),
    };
    softmax(scores, 3).matmul(v.swap_dims(2, 3)).swap_dims(2, 3)
}

/// The same by products of ours, which take no transposed factor. Frames that attend are columns of
/// the scores, so nothing of their size is copied.
fn attend_in_columns([q, k, v]: [Tensor<4>; 3], mask: Option<Tensor<4>>) -> Tensor<4> {
    let scores = product_each(k.swap_dims(2, 3), q);
    let scores = match mask {
        None => scores,
        Some(mask) => floored(scores, mask.swap_dims(2, 3)),
    };
    product_each(v, softmax(scores, 2))
}

/// Logits of which softmax gives 0 where the mask is 0.
pub(super) fn floored<const D: usize>(x: Tensor<D>, mask: Tensor<D>) -> Tensor<D> {
    // So far below every other that its exponential is 0, and finite: shaders need not know
    // infinities.
    let depth = x.dtype().finfo().map_or(1e30, |info| info.max / 2.0);
    x * mask.clone() + (mask - 1.0) * depth
}

/// See [`Exec::simam`](super::Exec::simam). The mask is `[batch, 1, 1, frames]`.
pub(super) fn simam(x: Tensor<4>, mask: Option<Tensor<4>>) -> Tensor<4> {
    let Some(mask) = mask else { return backend::simam::simam(x) };
    let mels = x.dims()[2];
    let centered = x.clone() - mean(x.clone(), &[2, 3], Some(mask.clone()));
    let square = centered.clone() * centered;
    let counts = (mask.clone().sum_dim(3) * mels as f64).clamp_min(2.0) - 1.0;
    let variance = (square.clone() * mask).sum_dim(2).sum_dim(3) / counts;
    let gate = sigmoid(square / ((variance + SIMAM_LAMBDA) * 4.0) + 0.5);
    x * gate
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::backend::BackendKind;
    use crate::rng::Stream;

    fn noise<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
        let mut stream = Stream::new(seed, "over frames", &[]);
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    fn near(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5 * (1.0 + b.abs());
        assert!(a.iter().zip(b).all(close), "{a:?} {b:?}");
    }

    #[test]
    fn segments_are_means_of_their_frames() {
        let x = noise([1, 1, 7], 1);
        let given = values(x.clone());
        let mean = |of: &[f32]| of.iter().sum::<f32>() / of.len() as f32;
        let wanted: Vec<f32> = given.chunks(3).flat_map(|of| vec![mean(of); of.len()]).collect();
        near(&values(segments(x.clone(), 3, None)), &wanted);
        near(&values(segments(x, 100, None)), &[mean(&given); 7]);
    }

    /// Against sums written out.
    #[test]
    fn attention_is_what_it_says() {
        let (heads, share, frames) = (2, 3, 5);
        let [q, k, v] = [1, 2, 3].map(|seed| noise([1, heads * share, frames], seed));
        let [a, b, c] = [&q, &k, &v].map(|t| values(t.clone()));
        let at = |x: &[f32], head: usize, c: usize, t: usize| x[(head * share + c) * frames + t];
        let mut wanted = vec![0.0; heads * share * frames];
        for head in 0..heads {
            for t in 0..frames {
                let score = |s: usize| -> f32 {
                    let all = (0..share).map(|c| at(&a, head, c, t) * at(&b, head, c, s));
                    (all.sum::<f32>() / (share as f32).sqrt()).exp()
                };
                let total: f32 = (0..frames).map(score).sum();
                for channel in 0..share {
                    let sum: f32 = (0..frames).map(|s| score(s) * at(&c, head, channel, s)).sum();
                    wanted[(head * share + channel) * frames + t] = sum / total;
                }
            }
        }
        near(&values(attend(heads, [q, k, v], None)), &wanted);
    }

    /// Values and gradients, in every backend of the build; some frames are not the utterance's.
    #[test]
    fn rows_and_columns_attend_alike() {
        type Attend = fn([Tensor<4>; 3], Option<Tensor<4>>) -> Tensor<4>;
        let shape = [2, 3, 5, 9];
        for kind in BackendKind::ALL {
            let Ok(device) = kind.device(0) else { continue };
            let device = device.autodiff();
            let on = |seed| Tensor::<4>::from_data(noise(shape, seed).into_data(), &device);
            let own: Vec<f32> = (0..18).map(|i| if i < 14 { 1.0 } else { 0.0 }).collect();
            let mask =
                || Tensor::<4>::from_data(TensorData::new(own.clone(), [2, 1, 1, 9]), &device);
            let traced = |attend: Attend, mask| {
                let inputs = [1, 2, 3].map(|seed| on(seed).require_grad());
                let y = attend(inputs.clone(), mask);
                let gradients = (y.clone() * on(4)).sum().backward();
                let slopes = inputs.map(|x| values(x.grad(&gradients).unwrap()));
                (values(y), slopes)
            };
            for with_mask in [false, true] {
                let of = |attend: Attend| traced(attend, with_mask.then(mask));
                let ((y, slopes), (wanted, wanted_slopes)) =
                    (of(attend_in_columns), of(attend_in_rows));
                near(&y, &wanted);
                for (ours, wanted) in slopes.iter().zip(&wanted_slopes) {
                    near(ours, wanted);
                }
            }
        }
    }

    #[test]
    fn simam_gates_by_the_distance_from_the_mean() {
        let x = noise([1, 1, 3, 4], 4);
        let given = values(x.clone());
        let mean = given.iter().sum::<f32>() / 12.0;
        let square = |v: f32| (v - mean) * (v - mean);
        let variance = given.iter().map(|&v| square(v)).sum::<f32>() / 11.0;
        let gated = |&v: &f32| v / (1.0 + (-(square(v) / (4.0 * (variance + 1e-4)) + 0.5)).exp());
        near(&values(simam(x, None)), &given.iter().map(gated).collect::<Vec<_>>());
    }

    /// With a mask of ones Burn's operations compute the same, and their own gradients.
    #[test]
    fn simam_is_what_separate_operations_make() {
        for kind in BackendKind::ALL {
            let Ok(device) = kind.device(0) else { continue };
            let device = device.autodiff();
            for shape in [[2, 3, 4, 5], [1, 2, 1, 1], [2, 1, 1, 2], [3, 2, 7, 41]] {
                let on = |seed| Tensor::<4>::from_data(noise(shape, seed).into_data(), &device);
                let traced = |masked: bool| {
                    let x = on(1).require_grad();
                    let [batch, _, _, frames] = shape;
                    let mask = masked.then(|| Tensor::ones([batch, 1, 1, frames], &device));
                    let y = simam(x.clone() * 3.0 + 1.0, mask);
                    let gradients = (y.clone() * on(2)).sum().backward();
                    [y, x.grad(&gradients).unwrap()].map(values)
                };
                let ([y, slope], [wanted, wanted_slope]) = (traced(false), traced(true));
                near(&y, &wanted);
                near(&slope, &wanted_slope);
            }
        }
    }
}
