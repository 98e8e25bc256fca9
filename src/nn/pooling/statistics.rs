//! Statistics over frames.

use burn::tensor::{Tensor, TensorData};

use super::moments::{DEVIATION_EPSILON, Statistics};

/// Statistics over frames, `[batch, channels, frames]` -> `[batch, count * channels]`. One frame
/// has standard deviation sqrt(1e-7). Attention has the shape of `x`.
///
/// # Panics
/// Weighted statistics without attention.
pub(in crate::nn) fn statistics(
    kind: Statistics,
    x: Tensor<3>,
    attention: Option<Tensor<3>>,
) -> Tensor<2> {
    let [batch, channels, frames] = x.dims();
    let flat = |t: Tensor<3>| t.reshape([batch, channels]);
    if let Statistics::Weighted(floor) = kind {
        let alpha = attention.expect("attention weighs the frames");
        let mean = (alpha.clone() * x.clone()).sum_dim(2);
        let square = (alpha * x.clone() * x).sum_dim(2);
        let std = (square - mean.clone() * mean.clone()).clamp_min(floor.value()).sqrt();
        return Tensor::cat(vec![flat(mean), flat(std)], 1);
    }
    let mean = x.clone().mean_dim(2);
    if kind == Statistics::Mean {
        return flat(mean);
    }
    let centered = x - mean.clone();
    let var = (centered.clone() * centered).sum_dim(2) / (frames.max(2) - 1) as f64;
    let std = flat((var + DEVIATION_EPSILON).sqrt());
    if kind == Statistics::Deviation { std } else { Tensor::cat(vec![flat(mean), std], 1) }
}

/// [`statistics`] of utterances of several lengths, padded to one: those of the first `lengths[i]`
/// frames of utterance `i`. `mask` `[batch, 1, frames]` is 1 for these frames and 0 behind them,
/// where any finite values may stand. Attention is a softmax over an utterance's own frames.
///
/// # Panics
/// Weighted statistics without attention.
pub(in crate::nn) fn statistics_of_each(
    kind: Statistics,
    x: Tensor<3>,
    attention: Option<Tensor<3>>,
    lengths: &[usize],
    mask: Tensor<3>,
) -> Tensor<2> {
    if let Statistics::Weighted(_) = kind {
        let alpha = attention.map(|alpha| alpha * mask);
        return statistics(kind, x, alpha);
    }
    let [batch, channels, _] = x.dims();
    let (device, dtype) = (x.device(), x.dtype());
    let flat = |t: Tensor<3>| t.reshape([batch, channels]);
    let divisor = |of: fn(usize) -> usize| -> Tensor<3> {
        let counts: Vec<f32> = lengths.iter().map(|&n| of(n) as f32).collect();
        let counts = Tensor::<3>::from_data(TensorData::new(counts, [batch, 1, 1]), &device);
        counts.cast(dtype)
    };
    let mean = (x.clone() * mask.clone()).sum_dim(2) / divisor(|n| n);
    if kind == Statistics::Mean {
        return flat(mean);
    }
    let centered = (x - mean.clone()) * mask;
    let var = (centered.clone() * centered).sum_dim(2) / divisor(|n| n.max(2) - 1);
    let std = flat((var + DEVIATION_EPSILON).sqrt());
    if kind == Statistics::Deviation { std } else { Tensor::cat(vec![flat(mean), std], 1) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::Floor;
    use super::*;
    use crate::rng::Stream;

    /// Utterances of 1, 7 and 4 frames in tensors of 7, with large values behind them.
    #[test]
    fn statistics_of_each_are_those_of_it_alone() {
        let device = Device::default();
        let (lengths, frames) = ([1, 7, 4], 7);
        let mut stream = Stream::new(1, "statistics", &[]);
        let mut noise =
            || -> Vec<f32> { (0..3 * 2 * frames).map(|_| stream.normal() as f32).collect() };
        let (mut x, logits) = (noise(), noise());
        let mut mask = vec![0.0f32; 3 * frames];
        for (i, &length) in lengths.iter().enumerate() {
            mask[i * frames..][..length].fill(1.0);
            (0..2).for_each(|c| x[(2 * i + c) * frames..][length..frames].fill(1e6));
        }
        let tensor = |values: Vec<f32>, channels: usize| {
            Tensor::<3>::from_data(TensorData::new(values, [3, channels, frames]), &device)
        };
        let (x, logits, mask) = (tensor(x, 2), tensor(logits, 2), tensor(mask, 1));
        let exp = logits.exp() * mask.clone();
        let alpha = exp.clone() / exp.sum_dim(2);
        let weighted = Statistics::Weighted(Floor::E7);
        for kind in [Statistics::Both, Statistics::Mean, Statistics::Deviation, weighted] {
            let alpha = (kind == weighted).then(|| alpha.clone());
            let ours = statistics_of_each(kind, x.clone(), alpha.clone(), &lengths, mask.clone());
            for (i, &length) in lengths.iter().enumerate() {
                let alone = |t: Tensor<3>| t.slice([i..i + 1, 0..2, 0..length]);
                let wanted = statistics(kind, alone(x.clone()), alpha.clone().map(alone));
                let ours = ours.clone().slice([i..i + 1, 0..2 * kind.count()]);
                let off = (ours - wanted).abs().max().into_scalar::<f32>();
                assert!(off < 1e-5, "{kind:?}, {length} frames: {off}");
            }
        }
    }
}
