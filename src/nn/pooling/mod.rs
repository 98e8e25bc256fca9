//! Pooling over time (formulas of WeSpeaker's `pooling_layers.py`).

mod attention;
mod moments;
mod statistics;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::{Exec, Init};
use attention::{Asp, Astp, Mqmhastp};
pub(crate) use moments::DEVIATION_EPSILON;
pub use moments::{Floor, Statistics};
pub(super) use statistics::{statistics, statistics_of_each};

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
    /// ASTP whose attention also sees mean and standard deviation of all frames
    /// (arXiv 2005.07143).
    #[serde(rename = "ASTP-GLOBAL")]
    AstpGlobal,
    /// ASTP by two queries of eight heads each (arXiv 2110.05042).
    Mqmhastp,
    /// ASTP with ReLU and BatchNorm in its attention (WeSpeaker's `ASP`, of SimAM-ResNet).
    Asp,
}

impl PoolingKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Tstp,
        Self::Tap,
        Self::Tsdp,
        Self::Astp,
        Self::AstpGlobal,
        Self::Mqmhastp,
        Self::Asp,
    ];

    /// The name, as recipes and model files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tstp => "TSTP",
            Self::Tap => "TAP",
            Self::Tsdp => "TSDP",
            Self::Astp => "ASTP",
            Self::AstpGlobal => "ASTP-GLOBAL",
            Self::Mqmhastp => "MQMHASTP",
            Self::Asp => "ASP",
        }
    }

    /// Statistics of so many channels.
    pub fn outputs(self, channels: usize) -> usize {
        channels
            * match self {
                Self::Tap | Self::Tsdp => 1,
                Self::Tstp | Self::Astp | Self::AstpGlobal | Self::Asp => 2,
                Self::Mqmhastp => 2 * attention::QUERIES,
            }
    }

    /// A number that must divide the channels.
    pub fn divisor(self) -> usize {
        match self {
            Self::Mqmhastp => attention::HEADS,
            Self::Tstp | Self::Tap | Self::Tsdp | Self::Astp | Self::AstpGlobal | Self::Asp => 1,
        }
    }
}

/// See [`PoolingKind`].
#[derive(Module, Debug)]
pub struct Pooling {
    unnamed: Option<Weighing>,
    #[module(skip)]
    kind: PoolingKind,
    /// Times mels.
    #[module(skip)]
    channels: usize,
}

/// What weighs the frames.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one in a network")]
enum Weighing {
    Astp(Astp),
    Mqmhastp(Mqmhastp),
    Asp(Asp),
}

impl Pooling {
    /// Pooling of `channels` (channels times mels) values a frame.
    pub fn new(init: Init, kind: PoolingKind, channels: usize) -> Self {
        let weighing = match kind {
            PoolingKind::Tstp | PoolingKind::Tap | PoolingKind::Tsdp => None,
            PoolingKind::Astp => Some(Weighing::Astp(Astp::new(&init, channels, false))),
            PoolingKind::AstpGlobal => Some(Weighing::Astp(Astp::new(&init, channels, true))),
            PoolingKind::Mqmhastp => Some(Weighing::Mqmhastp(Mqmhastp::new(&init, channels))),
            PoolingKind::Asp => Some(Weighing::Asp(Asp::new(&init, channels))),
        };
        Self { unnamed: weighing, kind, channels }
    }

    /// `[batch, channels, mels, frames]` -> `[batch, outputs]`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<2> {
        let x: E::Value<3> = e.reshape(x, [0, self.channels as i32, -1]);
        self.forward_flat(e, x)
    }

    /// `[batch, channels, frames]` -> `[batch, outputs]`.
    pub fn forward_flat<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<2> {
        match (&self.unnamed, self.kind) {
            (Some(Weighing::Astp(weights)), _) => weights.forward(e, x),
            (Some(Weighing::Mqmhastp(weights)), _) => weights.forward(e, x),
            (Some(Weighing::Asp(weights)), _) => weights.forward(e, x),
            (None, PoolingKind::Tap) => e.pool(Statistics::Mean, x, None),
            (None, PoolingKind::Tsdp) => e.pool(Statistics::Deviation, x, None),
            (None, _) => e.pool(Statistics::Both, x, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::nn::wespeaker::compare;
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
    fn attention_is_wespeakers() {
        for (name, kind) in
            [("pool_astp_global", PoolingKind::AstpGlobal), ("pool_asp", PoolingKind::Asp)]
        {
            let pooling = |init: &Init| Pooling::new(init.clone(), kind, 10);
            compare(name, "", pooling, |pooling, e, x| pooling.forward_flat(e, x[0].clone()));
        }
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
