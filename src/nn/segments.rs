//! From pooled statistics to the embedding, as WeSpeaker's ResNets do it.

use burn::module::Module;

use super::{BatchNorm, Exec, Init, Linear, Map, Stage};

/// A linear layer, and behind it, if there are two, ReLU, BatchNorm without affine part and another
/// one. Field names are WeSpeaker's.
#[derive(Module, Debug)]
pub struct Segments {
    seg_1: Linear,
    seg_bn_1: Option<BatchNorm>,
    seg_2: Option<Linear>,
}

impl Segments {
    /// The layers from so many statistics to an embedding of so many values.
    pub fn new(init: &Init, statistics: usize, dim: usize, two: bool) -> Self {
        Self {
            seg_1: Linear::new(init.at("seg_1"), statistics, dim),
            seg_bn_1: two.then(|| BatchNorm::without_affine(init.at("seg_bn_1"), dim)),
            seg_2: two.then(|| Linear::new(init.at("seg_2"), dim, dim)),
        }
    }

    /// `[batch, statistics]` -> `[batch, dim]`.
    pub fn forward<E: Exec>(&self, e: &mut E, pooled: E::Value<2>) -> E::Value<2> {
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
