//! Pooling over time (formulas of WeSpeaker's `pooling_layers.py`).

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Conv1d, Conv1dConfig, Exec, Init, Map};

/// Added to a variance before its root.
const FLOOR: f64 = 1e-7;
/// Inner channels of ASTP's attention.
const ATTENTION: usize = 128;

/// Which statistics over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PoolingKind {
    /// Mean and standard deviation, sqrt(unbiased variance + 1e-7).
    #[default]
    Tstp,
    /// Mean.
    Tap,
    /// Standard deviation.
    Tsdp,
    /// Mean and standard deviation weighted by attention (softmax over time for each channel).
    Astp,
}

impl PoolingKind {
    /// Outputs for each input channel.
    pub fn statistics(self) -> usize {
        match self {
            Self::Tstp | Self::Astp => 2,
            Self::Tap | Self::Tsdp => 1,
        }
    }
}

/// See [`PoolingKind`].
#[derive(Module, Debug)]
pub struct Pooling {
    linear1: Option<Conv1d>,
    linear2: Option<Conv1d>,
    #[module(skip)]
    kind: PoolingKind,
    /// Times mels.
    #[module(skip)]
    channels: usize,
}

impl Pooling {
    /// Pooling of `channels` (channels times mels) values a frame.
    pub fn new(init: Init, kind: PoolingKind, channels: usize) -> Self {
        let attention = kind == PoolingKind::Astp;
        let conv = |name: &str, input, output| {
            attention.then(|| Conv1dConfig::new(input, output, 1).biased().init(init.at(name)))
        };
        Self {
            linear1: conv("linear1", channels, ATTENTION),
            linear2: conv("linear2", ATTENTION, channels),
            kind,
            channels,
        }
    }

    /// `[batch, channels, mels, frames]` -> `[batch, statistics * channels * mels]`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<2> {
        let x: E::Value<3> = e.reshape(x, [0, self.channels as i32, -1]);
        let attention = self.linear1.as_ref().zip(self.linear2.as_ref()).map(|(first, second)| {
            let y = e.conv1d(first, x.clone());
            let y = e.map(Map::Tanh, y);
            let y = e.conv1d(second, y);
            e.map(Map::Softmax, y)
        });
        e.pool(self.kind, x, attention)
    }
}

/// Statistics over frames, `[batch, channels, frames]` -> `[batch, statistics * channels]`. One
/// frame has standard deviation sqrt(1e-7). Attention has the shape of `x`.
///
/// # Panics
/// ASTP without attention.
pub(super) fn statistics(
    kind: PoolingKind,
    x: Tensor<3>,
    attention: Option<Tensor<3>>,
) -> Tensor<2> {
    let [batch, channels, frames] = x.dims();
    let flat = |t: Tensor<3>| t.reshape([batch, channels]);
    if kind == PoolingKind::Astp {
        let alpha = attention.expect("ASTP weighs frames");
        let mean = (alpha.clone() * x.clone()).sum_dim(2);
        let square = (alpha * x.clone() * x).sum_dim(2);
        let std = (square - mean.clone() * mean.clone()).clamp_min(FLOOR).sqrt();
        return Tensor::cat(vec![flat(mean), flat(std)], 1);
    }
    let mean = x.clone().mean_dim(2);
    if kind == PoolingKind::Tap {
        return flat(mean);
    }
    let centered = x - mean.clone();
    let var = (centered.clone() * centered).sum_dim(2) / (frames.max(2) - 1) as f64;
    let std = flat((var + FLOOR).sqrt());
    if kind == PoolingKind::Tsdp { std } else { Tensor::cat(vec![flat(mean), std], 1) }
}

/// [`statistics`] of utterances of several lengths, padded to one: those of the first `lengths[i]`
/// frames of utterance `i`. `mask` `[batch, 1, frames]` is 1 for these frames and 0 behind them,
/// where any finite values may stand. Attention is a softmax over an utterance's own frames.
///
/// # Panics
/// ASTP without attention.
pub(super) fn statistics_of_each(
    kind: PoolingKind,
    x: Tensor<3>,
    attention: Option<Tensor<3>>,
    lengths: &[usize],
    mask: Tensor<3>,
) -> Tensor<2> {
    if kind == PoolingKind::Astp {
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
    if kind == PoolingKind::Tap {
        return flat(mean);
    }
    let centered = (x - mean.clone()) * mask;
    let var = (centered.clone() * centered).sum_dim(2) / divisor(|n| n.max(2) - 1);
    let std = flat((var + FLOOR).sqrt());
    if kind == PoolingKind::Tsdp { std } else { Tensor::cat(vec![flat(mean), std], 1) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::nn::{Mode, Run};
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
        for kind in [PoolingKind::Tstp, PoolingKind::Tap, PoolingKind::Tsdp, PoolingKind::Astp] {
            let alpha = (kind == PoolingKind::Astp).then(|| alpha.clone());
            let ours = statistics_of_each(kind, x.clone(), alpha.clone(), &lengths, mask.clone());
            for (i, &length) in lengths.iter().enumerate() {
                let alone = |t: Tensor<3>| t.slice([i..i + 1, 0..2, 0..length]);
                let wanted = statistics(kind, alone(x.clone()), alpha.clone().map(alone));
                let ours = ours.clone().slice([i..i + 1, 0..2 * kind.statistics()]);
                let off = (ours - wanted).abs().max().into_scalar::<f32>();
                assert!(off < 1e-5, "{kind:?}, {length} frames: {off}");
            }
        }
    }

    #[test]
    fn statistics_are_those_of_the_frames() {
        let device = Device::default();
        let x = Tensor::<4>::from_floats([[[[1.0, 2.0, 6.0]], [[0.0, 0.0, 0.0]]]], &device);
        let run = |kind| {
            let pooling = Pooling::new(Init::new(&device, 0), kind, 2);
            pooling
                .forward(&mut Run::new(Mode::Eval), x.clone())
                .into_data()
                .try_to_vec::<f32>()
                .unwrap()
        };
        let std = 7.0f32.sqrt(); // ((1-3)^2 + (2-3)^2 + (6-3)^2) / 2
        let near = |a: &[f32], b: &[f32]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
        };
        assert!(near(&run(PoolingKind::Tap), &[3.0, 0.0]));
        assert!(near(&run(PoolingKind::Tsdp), &[std, 3.162_277_6e-4]));
        assert!(near(&run(PoolingKind::Tstp), &[3.0, 0.0, std, 3.162_277_6e-4]));
        assert_eq!(run(PoolingKind::Astp).len(), 4);
    }

    #[test]
    fn one_frame_is_finite() {
        let device = Device::default();
        let pooling = Pooling::new(Init::new(&device, 0), PoolingKind::Tstp, 2);
        let y = pooling
            .forward(&mut Run::new(Mode::Eval), Tensor::<4>::ones([1, 2, 1, 1], &device))
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        assert!(y.iter().all(|v| v.is_finite()));
    }
}
