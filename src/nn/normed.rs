//! From pooled statistics to the embedding, as WeSpeaker's ECAPA-TDNN and ReDimNet2 do it.

use burn::module::Module;

use super::{BatchNorm, Exec, Init, Linear, Stage};

/// BatchNorm, a linear layer, and maybe BatchNorm behind it. Field names are WeSpeaker's.
#[derive(Module, Debug)]
pub struct Normed {
    bn: BatchNorm,
    linear: Linear,
    bn2: Option<BatchNorm>,
}

impl Normed {
    /// The layers from so many statistics to an embedding of so many values, with BatchNorm behind
    /// it if `last`.
    pub fn new(init: &Init, statistics: usize, dim: usize, last: bool) -> Self {
        Self {
            bn: BatchNorm::new(init.at("bn"), statistics),
            linear: Linear::new(init.at("linear"), statistics, dim),
            bn2: last.then(|| BatchNorm::new(init.at("bn2"), dim)),
        }
    }

    /// `[batch, statistics]` -> `[batch, dim]`.
    pub fn forward<E: Exec>(&self, e: &mut E, pooled: E::Value<2>) -> E::Value<2> {
        e.stage(Stage::EMBEDDING);
        let x = e.norm(&self.bn, pooled, false);
        let x = e.linear(&self.linear, x);
        match &self.bn2 {
            Some(norm) => e.norm(norm, x, false),
            None => x,
        }
    }
}
