//! Pooling over time (formulas of WeSpeaker's `pooling_layers.py`).

use burn::module::Module;
use burn::tensor::Tensor;
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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::nn::{Mode, Run};

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
