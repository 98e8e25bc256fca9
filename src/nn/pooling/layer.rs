//! Pooling as a layer.

use burn::module::Module;

use super::attention::{Asp, Astp, Mqmhastp};
use super::{PoolingKind, Statistics};
use crate::nn::{Exec, Init};

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
