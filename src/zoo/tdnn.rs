//! The x-vector's TDNN (Snyder et al., ICASSP 2018, doi 10.1109/ICASSP.2018.8461375; WeSpeaker
//! `wespeaker/models/tdnn.py`).
//!
//! Five convolutions over frames, each followed by ReLU and BatchNorm without affine part; pooling;
//! two linear layers. WeSpeaker's embedding is the second one's output, and so is ours. Kaldi's
//! x-vector is the first one's: the network with one embedding layer.
//!
//! The convolutions do not pad, and 14 frames are lost. Of 15 frames one is left, whose standard
//! deviation is sqrt(1e-7) here, as in every network of ours; WeSpeaker's is not a number.
//!
//! There is no reversible type: no layer adds to its input, so there is nothing to couple.

use burn::module::Module;

use super::network::Backbone;
use super::registry::Member;
use super::{Architecture, Layers, Tdnn, segments, without_asp};
use crate::error::{Error, Result};
use crate::nn::{BatchNorm, Conv1d, Conv1dConfig, Exec, Init, Map, Pooling, Segments, Stage};

/// Kernel and dilation of each layer.
const LAYERS: [(usize, usize); 5] = [(5, 1), (3, 2), (3, 3), (1, 1), (1, 1)];
/// Most channels in front of the pooling.
const MOST: usize = 1 << 14;

/// The published network.
pub(super) const TDNN: Tdnn = Tdnn { statistics: 1500 };

impl Member for Tdnn {
    fn init(&self, init: &Init, arch: &Architecture) -> Backbone {
        let channels = |i: usize| match i {
            0 => arch.mels,
            5 => self.statistics,
            _ => arch.width,
        };
        let frame = |i: usize| {
            let (kernel, dilation) = LAYERS[i];
            let conv = Conv1dConfig::new(channels(i), channels(i + 1), kernel).dilated(dilation);
            Frame::new(&init.at(format!("frame_{}", i + 1)), conv)
        };
        Backbone::Tdnn(TdnnNet {
            frame_1: frame(0),
            frame_2: frame(1),
            frame_3: frame(2),
            frame_4: frame(3),
            frame_5: frame(4),
            pool: Pooling::new(init.at("pool"), arch.pooling, self.statistics),
            unnamed: segments(init, arch, self.statistics),
        })
    }

    fn check(&self, arch: &Architecture) -> Result<()> {
        let (name, statistics) = (&arch.name, self.statistics);
        if statistics == 0 || statistics > MOST {
            return Err(Error::invalid(format!("statistics = {statistics}: must be 1 to {MOST}")));
        }
        let divisor = arch.pooling.divisor();
        if !statistics.is_multiple_of(divisor) {
            let (kind, near) = (arch.pooling.name(), statistics.next_multiple_of(divisor));
            return Err(Error::invalid(format!(
                "`{name}` has no pooling {kind} of {statistics} channels (statistics): they must \
                 be a multiple of {divisor}, such as {near}"
            )));
        }
        without_asp(arch)
    }

    fn least_frames(&self) -> usize {
        1 + LAYERS.iter().map(|(kernel, dilation)| dilation * (kernel - 1)).sum::<usize>()
    }

    fn layers(&self) -> Option<Layers> {
        Some(Layers::Tdnn(self.clone()))
    }
}

/// The network; field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(super) struct TdnnNet {
    frame_1: Frame,
    frame_2: Frame,
    frame_3: Frame,
    frame_4: Frame,
    frame_5: Frame,
    pool: Pooling,
    unnamed: Segments,
}

impl TdnnNet {
    /// `[batch, 1, mels, frames]` -> `[batch, embedding_dim]`.
    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let mels = self.frame_1.conv_1d.config().input as i32;
        let x: E::Value<3> = e.reshape(image, [0, mels, -1]);
        let mut x = self.frame_1.forward(e, x);
        let rest = [&self.frame_2, &self.frame_3, &self.frame_4, &self.frame_5];
        for (i, frame) in rest.into_iter().enumerate() {
            e.stage(Stage::numbered("stage", i + 1));
            x = frame.forward(e, x);
        }
        e.stage(Stage::POOLING);
        let pooled = self.pool.forward_flat(e, x);
        self.unnamed.forward(e, pooled)
    }
}

/// Convolution without padding, ReLU, BatchNorm.
#[derive(Module, Debug)]
struct Frame {
    conv_1d: Conv1d,
    bn: BatchNorm,
}

impl Frame {
    fn new(init: &Init, conv: Conv1dConfig) -> Self {
        Self {
            conv_1d: conv.biased().unpadded().init(init.at("conv_1d")),
            bn: BatchNorm::without_affine(init.at("bn"), conv.output),
        }
    }

    /// `[batch, input, frames]` -> `[batch, output, frames']`.
    fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let y = e.conv1d(&self.conv_1d, x);
        let y = e.map(Map::Relu, y);
        e.norm(&self.bn, y, false)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::nn::Mode;
    use crate::nn::PoolingKind;
    use crate::zoo::Layers;

    fn small(pooling: PoolingKind, statistics: usize, embedding_dim: usize) -> Architecture {
        Architecture {
            width: 48,
            embedding_dim,
            pooling,
            layers: Some(Layers::Tdnn(Tdnn { statistics })),
            ..Architecture::named("tdnn").unwrap()
        }
    }

    /// WeSpeaker's counts (PyTorch's `numel` over its parameters) for 80 mels.
    #[test]
    fn parameters_are_wespeakers() {
        for (arch, parameters) in [
            (Architecture::named("tdnn").unwrap(), 4_610_524),
            (small(PoolingKind::Tstp, 128, 48), 56_480),
            (small(PoolingKind::Astp, 96, 32), 72_256),
            (small(PoolingKind::Mqmhastp, 96, 32), 79_392),
        ] {
            let ours = arch.account(200).unwrap().parameters();
            assert_eq!(ours, parameters, "{:?} {:?}", arch.pooling, arch.layers);
        }
    }

    #[test]
    fn fifteen_frames_have_a_finite_embedding() {
        assert_eq!(TDNN.least_frames(), 15);
        let device = Device::default();
        let network = small(PoolingKind::Tstp, 32, 8).init(&device, 0).unwrap();
        let embedding = network.forward(Tensor::<3>::ones([2, 15, 80], &device), Mode::Eval);
        let values = embedding.into_data().try_to_vec::<f32>().unwrap();
        assert!(values.len() == 16 && values.iter().all(|v| v.is_finite()), "{values:?}");
    }

    #[test]
    fn what_it_lacks_is_refused() {
        for (pooling, statistics, word) in [
            (PoolingKind::Tstp, 0, "1 to 16384"),
            (PoolingKind::Mqmhastp, 1500, "such as 1504"),
            (PoolingKind::Asp, 1500, "ASTP-GLOBAL"),
        ] {
            let error = small(pooling, statistics, 32).check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
