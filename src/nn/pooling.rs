//! Pooling over time (formulas of WeSpeaker's `pooling_layers.py`).

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use super::{Conv1x1, Init};

/// Added to a variance before its root.
const FLOOR: f64 = 1e-7;
/// Inner channels of ASTP's attention.
const ATTENTION: usize = 128;

/// Which statistics over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PoolingKind {
    /// Mean and standard deviation, sqrt(unbiased variance + 1e-7).
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

    /// Trainable parameters on `channels` channels.
    pub fn parameters(self, channels: usize) -> usize {
        match self {
            Self::Astp => 2 * channels * ATTENTION + channels + ATTENTION,
            _ => 0,
        }
    }

    /// Multiplications on `channels` channels and `frames` frames.
    pub fn macs(self, channels: usize, frames: usize) -> usize {
        match self {
            Self::Astp => 2 * channels * ATTENTION * frames,
            _ => 0,
        }
    }
}

/// See [`PoolingKind`].
#[derive(Module, Debug)]
pub struct Pooling {
    linear1: Option<Conv1x1>,
    linear2: Option<Conv1x1>,
    #[module(skip)]
    kind: PoolingKind,
}

impl Pooling {
    /// Pooling of `channels` (channels times mels) values a frame.
    pub fn new(init: Init, kind: PoolingKind, channels: usize) -> Self {
        let attention = kind == PoolingKind::Astp;
        Self {
            linear1: attention.then(|| Conv1x1::new(init.at("linear1"), channels, ATTENTION)),
            linear2: attention.then(|| Conv1x1::new(init.at("linear2"), ATTENTION, channels)),
            kind,
        }
    }

    /// `[batch, channels, mels, frames]` -> `[batch, statistics * channels * mels]`. One frame has
    /// standard deviation sqrt(1e-7).
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let [batch, channels, mels, frames] = x.dims();
        let x = x.reshape([batch, channels * mels, frames]);
        let flat = |t: Tensor<3>| t.reshape([batch, channels * mels]);
        if let (Some(linear1), Some(linear2)) = (&self.linear1, &self.linear2) {
            let alpha = softmax(linear2.forward(linear1.forward(x.clone()).tanh()), 2);
            let mean = (alpha.clone() * x.clone()).sum_dim(2);
            let square = (alpha * x.clone() * x).sum_dim(2);
            let std = (square - mean.clone() * mean.clone()).clamp_min(FLOOR).sqrt();
            return Tensor::cat(vec![flat(mean), flat(std)], 1);
        }
        let mean = x.clone().mean_dim(2);
        if self.kind == PoolingKind::Tap {
            return flat(mean);
        }
        let centered = x - mean.clone();
        let var = (centered.clone() * centered).sum_dim(2) / (frames.max(2) - 1) as f64;
        let std = (var + FLOOR).sqrt();
        match self.kind {
            PoolingKind::Tsdp => flat(std),
            _ => Tensor::cat(vec![flat(mean), flat(std)], 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn statistics_are_those_of_the_frames() {
        let device = Device::default();
        let x = Tensor::<4>::from_floats([[[[1.0, 2.0, 6.0]], [[0.0, 0.0, 0.0]]]], &device);
        let run = |kind| {
            let pooling = Pooling::new(Init::new(&device, 0), kind, 2);
            pooling.forward(x.clone()).into_data().try_to_vec::<f32>().unwrap()
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
            .forward(Tensor::<4>::ones([1, 2, 1, 1], &device))
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        assert!(y.iter().all(|v| v.is_finite()));
    }
}
