//! CAM++ (arXiv 2303.00332; WeSpeaker `wespeaker/models/campplus.py`): densely connected layers
//! over frames, each of which weighs its outputs by what it sees around a frame.
//!
//! | part | layers | channels | frames |
//! |---|---|---|---|
//! | head | residual blocks over mels and frames | 32 x mels / 8 | 1 |
//! | `tdnn` | convolution over 5 frames | width | 1/2 |
//! | stage 1 | 12 | (width + 12 growth) / 2 | 1/2 |
//! | stage 2 | 24, dilation 2 | (stage 1 + 24 growth) / 2 | 1/2 |
//! | stage 3 | 16, dilation 2 | (stage 2 + 16 growth) / 2 | 1/2 |
//!
//! A 1x1 convolution halves the channels at the end of each stage. Pooling over time, a linear
//! layer and BatchNorm without affine part follow.
//!
//! There is no reversible type. A dense layer does not add to its input but stands beside it, so a
//! stage's output holds the inputs of all its layers, and nothing needs to be recovered: what lies
//! inside the layers can be computed again from there without coupling.

mod dense;
mod head;

use burn::module::Module;

use self::dense::{DenseBlock, Nonlinear, Transit};
use self::head::Head;
use super::network::Backbone;
use super::registry::Member;
use super::{Architecture, CamPlusPlus, Layers, without_asp, without_second_layer};
use crate::error::{Error, Result};
use crate::nn::{BatchNorm, Conv1d, Conv1dConfig, Exec, Init, Pooling, Stage};

/// Layers of each stage, and the dilation of their convolutions.
const STAGES: [(usize, usize); 3] = [(12, 1), (24, 2), (16, 2)];
/// The most that a recipe may ask for, of growth and of bottleneck.
const MOST: usize = 1024;

/// The published network.
pub(super) const CAMPPLUS: CamPlusPlus = CamPlusPlus { growth: 32, bottleneck: 4 };

impl CamPlusPlus {
    /// Channels behind so many stages.
    fn channels(&self, width: usize, stages: usize) -> usize {
        let layers = STAGES[..stages].iter().map(|(layers, _)| layers);
        layers.fold(width, |channels, layers| (channels + layers * self.growth) / 2)
    }
}

impl Member for CamPlusPlus {
    fn init(&self, init: &Init, arch: &Architecture) -> Backbone {
        let (network, width) = (init, arch.width);
        let init = network.at("xvector");
        let stage = |s: usize| {
            let ((layers, dilation), input) = (STAGES[s], self.channels(width, s));
            let place = init.at(format!("block{}", s + 1));
            let block = DenseBlock::new(&place, self, layers, dilation, input);
            let place = init.at(format!("transit{}", s + 1));
            (block, Transit::new(&place, input + layers * self.growth, self.channels(width, s + 1)))
        };
        let [(block1, transit1), (block2, transit2), (block3, transit3)] = [0, 1, 2].map(stage);
        let pooled = self.channels(width, STAGES.len());
        let tdnn = Conv1dConfig::new(head::outputs(arch.mels), width, 5).stride([2]);
        let tdnn = ConvNorm {
            linear: tdnn.init(init.at("tdnn").at("linear")),
            nonlinear: Nonlinear::new(&init.at("tdnn").at("nonlinear"), width),
        };
        let out_nonlinear = Nonlinear::new(&init.at("out_nonlinear"), pooled);
        let (statistics, dim) = (arch.pooling.outputs(pooled), arch.embedding_dim);
        let place = init.at("dense");
        let norm = BatchNorm::without_affine(place.at("nonlinear").at("batchnorm"), dim);
        let dense = ConvNorm {
            linear: Conv1dConfig::new(statistics, dim, 1).init(place.at("linear")),
            nonlinear: Nonlinear { batchnorm: norm },
        };
        Backbone::CamPlusPlus(CamPlusPlusNet {
            head: Head::new(&network.at("head")),
            xvector: Xvector {
                tdnn,
                block1,
                transit1,
                block2,
                transit2,
                block3,
                transit3,
                out_nonlinear,
                dense,
            },
            pool: Pooling::new(network.at("pool"), arch.pooling, pooled),
        })
    }

    fn check(&self, arch: &Architecture) -> Result<()> {
        let (name, mels) = (&arch.name, arch.mels);
        for (what, value, least) in [("growth", self.growth, 2), ("bottleneck", self.bottleneck, 1)]
        {
            if !(least..=MOST).contains(&value) {
                let message = format!("{what} = {value}: must be {least} to {MOST}");
                return Err(Error::invalid(message));
            }
        }
        without_second_layer(arch)?;
        if !mels.is_multiple_of(head::MELS) {
            let message =
                format!("form for {mels} mels; they must be a multiple of {}", head::MELS);
            return Err(Error::invalid(format!("`{name}` has no {message}")));
        }
        without_asp(arch)?;
        let (pooled, divisor) = (self.channels(arch.width, STAGES.len()), arch.pooling.divisor());
        if !pooled.is_multiple_of(divisor) {
            let kind = arch.pooling.name();
            let message =
                format!("{kind} pooling of {pooled} channels, which {divisor} must divide");
            return Err(Error::invalid(format!("`{name}` has no {message}; try another width")));
        }
        Ok(())
    }

    fn width_tensor(&self) -> Option<&'static str> {
        Some("xvector.tdnn.linear.weight")
    }

    fn layers(&self) -> Option<Layers> {
        Some(Layers::CamPlusPlus(self.clone()))
    }
}

/// The network; field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(super) struct CamPlusPlusNet {
    head: Head,
    xvector: Xvector,
    pool: Pooling,
}

/// Everything behind the head but the pooling.
#[derive(Module, Debug)]
struct Xvector {
    tdnn: ConvNorm,
    block1: DenseBlock,
    transit1: Transit,
    block2: DenseBlock,
    transit2: Transit,
    block3: DenseBlock,
    transit3: Transit,
    out_nonlinear: Nonlinear,
    dense: ConvNorm,
}

/// A convolution and the BatchNorm behind it.
#[derive(Module, Debug)]
struct ConvNorm {
    linear: Conv1d,
    nonlinear: Nonlinear,
}

impl CamPlusPlusNet {
    /// `[batch, 1, mels, frames]` -> `[batch, embedding_dim]`.
    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let x = self.head.forward(e, image);
        let x = self.xvector.frames(e, x);
        e.stage(Stage::POOLING);
        let pooled = self.pool.forward_flat(e, x);
        e.stage(Stage::EMBEDDING);
        self.xvector.embedding(e, pooled)
    }
}

impl Xvector {
    /// `[batch, 32, mels / 8, frames]` -> `[batch, channels, frames / 2]`.
    fn frames<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<3> {
        let channels = self.tdnn.linear.config().input as i32;
        let x = e.reshape::<4, 3>(x, [0, channels, -1]);
        let x = e.conv1d(&self.tdnn.linear, x);
        let mut x = self.tdnn.nonlinear.forward(e, x);
        let stages = [
            (&self.block1, &self.transit1),
            (&self.block2, &self.transit2),
            (&self.block3, &self.transit3),
        ];
        for (s, (block, transit)) in stages.into_iter().enumerate() {
            e.stage(Stage::numbered("stage", s + 1));
            x = block.forward(e, x);
            x = transit.forward(e, x);
        }
        self.out_nonlinear.forward(e, x)
    }

    /// `[batch, statistics]` -> `[batch, embedding_dim]`. The linear layer is a 1x1 convolution in
    /// checkpoints.
    fn embedding<E: Exec>(&self, e: &mut E, pooled: E::Value<2>) -> E::Value<2> {
        let config = self.dense.linear.config();
        let x = e.reshape::<2, 3>(pooled, [0, config.input as i32, 1]);
        let x = e.conv1d(&self.dense.linear, x);
        let x = e.reshape::<3, 2>(x, [0, config.output as i32]);
        e.norm(&self.dense.nonlinear.batchnorm, x, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::PoolingKind;

    fn published() -> Architecture {
        Architecture { width: 128, mels: 80, ..Architecture::named("campplus").unwrap() }
    }

    /// WeSpeaker's own counts.
    #[test]
    fn parameters_are_wespeakers() {
        for (embedding_dim, wanted) in [(256, 6_914_080), (512, 7_176_224)] {
            let arch = Architecture { embedding_dim, ..published() };
            assert_eq!(arch.layout().unwrap().parameters(), wanted);
        }
    }

    #[test]
    fn what_the_family_lacks_is_refused() {
        let refused = |arch: Architecture, word: &str| {
            let error = arch.check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused(Architecture { mels: 84, ..published() }, "multiple of 8");
        refused(Architecture { two_embedding_layers: true, ..published() }, "second embedding");
        refused(Architecture { pooling: PoolingKind::Asp, ..published() }, "TSTP");
        assert!(CamPlusPlus { growth: 1, bottleneck: 4 }.check(&published()).is_err());
        assert!(CamPlusPlus { growth: 32, bottleneck: 0 }.check(&published()).is_err());
    }
}
