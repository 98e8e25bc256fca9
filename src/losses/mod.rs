//! Classification heads and their losses (formulas of WeSpeaker's `projections.py`).
//!
//! A [`Head`] turns embeddings and labels into logits with a margin; [`cross_entropy`] turns logits
//! into the loss. A margin changes only the target's logit, and inter-topK those of the hardest
//! other speakers. So only these are computed and scattered into the cosines, and no second table
//! of batch by speakers is needed.

mod aam;
mod am;
mod softmax;
mod sub_center;

pub use softmax::cross_entropy;
pub use sub_center::InterTopK;

use burn::module::{Module, Param};
use burn::tensor::{IndexingUpdateOp, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::backend::rows::unit_rows;
use crate::backend::{is_gpu, product, with_lasting_gradient};
use crate::error::{Error, Result};
use crate::nn::Init;

/// Which head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossKind {
    /// A linear layer and cross-entropy; no margin, no scale.
    Softmax,
    /// Additive margin on the cosine (CosFace, arXiv 1801.09414).
    Am,
    /// Additive margin on the angle (ArcFace, arXiv 1801.07698).
    Aam,
}

/// Settings of a head. The margin itself comes from the schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadConfig {
    /// Kind of loss.
    pub kind: LossKind,
    /// Factor on the cosines.
    pub scale: f64,
    /// AAM only: apply the margin only where the target's cosine is positive.
    pub easy_margin: bool,
    /// Centers for each speaker; the nearest counts (arXiv ECCV 2020, Deng et al.).
    pub sub_centers: usize,
    /// Penalty on the hardest other speakers.
    pub inter_topk: Option<InterTopK>,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::Aam,
            scale: 32.0,
            easy_margin: false,
            sub_centers: 1,
            inter_topk: None,
        }
    }
}

impl HeadConfig {
    /// Refuses settings that would do nothing or cannot work.
    ///
    /// # Errors
    /// The setting, with its value.
    pub fn check(&self, speakers: usize) -> Result<()> {
        let bad = |m: String| Err(Error::Invalid(format!("loss: {m}")));
        // With a smaller scale nothing is learned. With a larger one the softmax is 0 or 1 in f32.
        if !(1e-3..=1e4).contains(&self.scale) {
            return bad(format!("scale = {}: must be 0.001 to 10000", self.scale));
        }
        if !(1..=64).contains(&self.sub_centers) {
            return bad(format!("sub_centers = {}: must be 1 to 64", self.sub_centers));
        }
        let plain = self.kind == LossKind::Softmax;
        if plain && (self.sub_centers != 1 || self.inter_topk.is_some() || self.easy_margin) {
            return bad("softmax has no sub_centers, inter_topk or easy_margin".into());
        }
        if self.kind == LossKind::Am && (self.easy_margin || self.inter_topk.is_some()) {
            return bad("easy_margin and inter_topk belong to aam".into());
        }
        if let Some(InterTopK { k, penalty }) = self.inter_topk
            && !(k > 0 && k < speakers && (0.0..=1.5).contains(&penalty))
        {
            return bad(format!(
                "inter_topk: k = {k}, penalty = {penalty}: k from 1 and below the {speakers} \
                 speakers, penalty 0 to 1.5"
            ));
        }
        Ok(())
    }

    /// The head for `speakers` classes. Weights are Xavier-uniform, as in the reference.
    pub fn init(&self, init: Init, embedding_dim: usize, speakers: usize) -> Head {
        let rows = speakers * self.sub_centers;
        let bound = match self.kind {
            LossKind::Softmax => 1.0 / (embedding_dim as f64).sqrt(),
            LossKind::Am | LossKind::Aam => (6.0 / (rows + embedding_dim) as f64).sqrt(),
        };
        Head {
            weight: init.uniform("weight", [rows, embedding_dim], bound),
            bias: (self.kind == LossKind::Softmax).then(|| init.uniform("bias", [speakers], bound)),
            config: self.clone(),
        }
    }
}

/// A head: speaker weights, row = speaker * sub_centers + center.
#[derive(Module, Debug)]
pub struct Head {
    /// `[speakers * sub_centers, embedding_dim]`.
    pub weight: Param<Tensor<2>>,
    /// `[speakers]`, softmax only.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: HeadConfig,
}

/// The output of a head.
pub struct HeadOutput {
    /// Logits after margin and scale, `[batch, speakers]`, for cross-entropy.
    pub logits: Tensor<2>,
    /// Scores before margin and scale, `[batch, speakers]`, for the accuracy.
    pub scores: Tensor<2>,
}

impl Head {
    /// Scores and logits of embeddings `[batch, embedding_dim]` with labels `[batch]`. The margin
    /// is in radians for AAM.
    pub fn forward(
        &self,
        embeddings: Tensor<2>,
        labels: Tensor<1, Int>,
        margin: f64,
    ) -> HeadOutput {
        let easy = self.config.easy_margin;
        match self.config.kind {
            LossKind::Softmax => self.linear(embeddings),
            LossKind::Am => {
                self.cosines(embeddings, labels, margin, |target| am::margin(target, margin))
            }
            LossKind::Aam => {
                self.cosines(embeddings, labels, margin, |target| aam::margin(target, margin, easy))
            }
        }
    }

    /// The weights, with a gradient that does not share pages with activations.
    fn weight(&self) -> Tensor<2> {
        with_lasting_gradient(self.weight.val())
    }

    fn linear(&self, embeddings: Tensor<2>) -> HeadOutput {
        let mut logits = product(embeddings, self.weight());
        if let Some(bias) = &self.bias {
            logits = logits + bias.val().unsqueeze();
        }
        HeadOutput { scores: logits.clone(), logits }
    }

    /// Cosines, with `change` applied to those of the targets, `[batch, 1]`.
    fn cosines(
        &self,
        embeddings: Tensor<2>,
        labels: Tensor<1, Int>,
        margin: f64,
        change: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> HeadOutput {
        let cosine = product(normalize(embeddings), normalize(self.weight()));
        let cosine = sub_center::nearest(cosine, self.config.sub_centers);
        let targets = labels.unsqueeze_dim::<2>(1);
        let target = cosine.clone().gather(1, targets.clone());
        let change = change(target.clone()) - target;
        let mut logits = cosine.clone().scatter(1, targets.clone(), change, IndexingUpdateOp::Add);
        if let Some(penalty) = &self.config.inter_topk {
            let (others, change) = penalty.apply(&cosine, targets, margin);
            logits = logits.scatter(1, others, change, IndexingUpdateOp::Add);
        }
        HeadOutput { logits: logits * self.config.scale, scores: cosine }
    }
}

/// Rows of `[rows, dim]` scaled to unit length. A row shorter than 1e-6 stays short, because its
/// gradient would have no bounds.
pub fn normalize(x: Tensor<2>) -> Tensor<2> {
    match is_gpu(&x.device()) {
        true => unit_rows(x),
        false => composed_unit_rows(x),
    }
}

/// [`normalize`] in separate operations.
pub(crate) fn composed_unit_rows(x: Tensor<2>) -> Tensor<2> {
    let length = (x.clone() * x.clone()).sum_dim(1).clamp_min(1e-12).sqrt();
    x / length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_ranges() {
        let check = |scale, k, penalty| {
            let inter_topk = Some(InterTopK { k, penalty });
            HeadConfig { scale, inter_topk, ..HeadConfig::default() }.check(10)
        };
        check(32.0, 9, 0.06).unwrap();
        for scale in [0.0, -1.0, 1e30, f64::NAN, f64::INFINITY] {
            assert!(
                check(scale, 5, 0.06).unwrap_err().to_string().contains("loss: scale"),
                "{scale}"
            );
        }
        for (k, penalty) in
            [(0, 0.0), (10, 0.0), (5, -0.1), (5, f64::NAN), (5, f64::INFINITY), (5, 1e30)]
        {
            assert!(
                check(32.0, k, penalty).unwrap_err().to_string().contains("inter_topk"),
                "{k} {penalty}"
            );
        }
    }
}
