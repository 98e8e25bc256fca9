//! What every network has in common: a family's layers up to pooled statistics, and the layers that
//! make embeddings of them.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Architecture;
use super::df_resnet::DfResNet;
use super::resnet::ResNet;
use super::reversible::RevNet;
use crate::backend::reversible::Execution;
use crate::error::{Error, Result};
use crate::nn::{BatchNorm, Exec, Init, Linear, Map, Mode, Net, Run, Stage};

/// Any network of the registry; field names are WeSpeaker's. `unnamed` adds no prefix to names.
#[derive(Module, Debug)]
pub struct Network {
    unnamed: Backbone,
    seg_1: Linear,
    seg_bn_1: Option<BatchNorm>,
    seg_2: Option<Linear>,
}

/// The families: features to pooled statistics.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one in a program, not an array of them")]
pub(super) enum Backbone {
    ResNet(ResNet),
    DfResNet(DfResNet),
    Reversible(RevNet),
}

impl Network {
    /// A network of this backbone, which pools so many channels times mels.
    pub(super) fn new(init: &Init, arch: &Architecture, backbone: (Backbone, usize)) -> Self {
        let (unnamed, pooled) = backbone;
        let (dim, two) = (arch.embedding_dim, arch.two_embedding_layers);
        Self {
            unnamed,
            seg_1: Linear::new(init.at("seg_1"), pooled * arch.pooling.statistics(), dim),
            seg_bn_1: two.then(|| BatchNorm::without_affine(init.at("seg_bn_1"), dim)),
            seg_2: two.then(|| Linear::new(init.at("seg_2"), dim, dim)),
        }
    }

    /// Chooses how a reversible network trains.
    ///
    /// # Errors
    /// An ordinary network has no choice and is refused.
    pub fn with_execution(mut self, execution: Execution) -> Result<Self> {
        let Backbone::Reversible(network) = &mut self.unnamed else {
            let message = "only rev1- and rev2- architectures have a choice of execution";
            return Err(Error::invalid(message));
        };
        network.execution = execution;
        Ok(self)
    }

    /// Mean-subtracted features `[batch, frames, mels]` -> embeddings `[batch, embedding_dim]`.
    pub fn forward(&self, features: Tensor<3>, mode: Mode) -> Tensor<2> {
        // The networks see an image of height mels and width frames.
        let image = features.swap_dims(1, 2).unsqueeze_dim::<4>(1);
        Net::forward(self, &mut Run::new(mode), image)
    }
}

impl Net for Network {
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        e.stage(Stage::STEM);
        let pooled = match &self.unnamed {
            Backbone::ResNet(network) => network.forward(e, image),
            Backbone::DfResNet(network) => network.forward(e, image),
            Backbone::Reversible(network) => network.forward(e, image),
        };
        e.stage(Stage::EMBEDDING);
        let x = e.linear(&self.seg_1, pooled);
        let Some((norm, second)) = self.seg_bn_1.as_ref().zip(self.seg_2.as_ref()) else {
            return x;
        };
        let x = e.map(Map::Relu, x);
        let x = e.norm(norm, x, false);
        e.linear(second, x)
    }
}
