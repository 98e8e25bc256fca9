//! Classification heads and their losses (formulas of WeSpeaker's `projections.py`).
//!
//! A [`Head`] turns embeddings and labels into logits with a margin ([`Head::forward`]), and logits
//! into the loss ([`Head::loss`]). The loss is [`cross_entropy`], or that of SphereFace2.
//!
//! For cross-entropy, a margin changes only the target's logit, and inter-topK those of the hardest
//! other speakers. So only these are computed and scattered into the cosines, and no second table
//! of batch by speakers is needed.

mod aam;
mod am;
mod config;
mod softmax;
mod sphereface2;
mod sub_center;

pub use config::{HeadConfig, LossKind};
pub use softmax::cross_entropy;
pub use sphereface2::Form;
pub use sub_center::InterTopK;

use burn::module::{Module, Param};
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use self::sphereface2::Binary;
use crate::backend::rows::unit_rows;
use crate::backend::{is_gpu, product, with_lasting_gradient};
use crate::nn::Init;

impl HeadConfig {
    /// The head for `speakers` classes. Weights are Xavier-uniform, as in the reference.
    pub fn init(&self, init: Init, embedding_dim: usize, speakers: usize) -> Head {
        let rows = speakers * self.sub_centers;
        let bound = match self.kind {
            LossKind::Softmax => 1.0 / (embedding_dim as f64).sqrt(),
            LossKind::Am | LossKind::Aam | LossKind::SphereFace2 => {
                (6.0 / (rows + embedding_dim) as f64).sqrt()
            }
        };
        let bias = match self.kind {
            LossKind::Softmax => Some(init.uniform("bias", [speakers], bound)),
            LossKind::SphereFace2 => {
                let first = Binary::of(self).first_bias(speakers);
                Some(init.constant("bias", 1, first as f32))
            }
            LossKind::Am | LossKind::Aam => None,
        };
        Head {
            weight: init.uniform("weight", [rows, embedding_dim], bound),
            bias,
            config: self.clone(),
        }
    }
}

/// A head: speaker weights, row = speaker * sub_centers + center.
#[derive(Module, Debug)]
pub struct Head {
    /// `[speakers * sub_centers, embedding_dim]`.
    pub weight: Param<Tensor<2>>,
    /// `[speakers]` for softmax. `[1]` for SphereFace2, which WeSpeaker stores as `[1, 1]`. None
    /// for the others.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: HeadConfig,
}

/// The output of a head.
pub struct HeadOutput {
    /// Logits after margin and scale, `[batch, speakers]`, for [`Head::loss`]. For SphereFace2, the
    /// targets' logits have the opposite sign.
    pub logits: Tensor<2>,
    /// Scores before margin and scale, `[batch, speakers]`, for the accuracy.
    pub scores: Tensor<2>,
}

impl Head {
    /// Scores and logits of embeddings `[batch, embedding_dim]` with labels `[batch]`. The margin
    /// is in radians for AAM and for SphereFace2's form A.
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
            LossKind::SphereFace2 => self.binary(embeddings, labels, margin),
        }
    }

    /// The mean loss `[1]` of this head's logits `[batch, speakers]` with labels `[batch]`.
    pub fn loss(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        match self.config.kind {
            LossKind::Softmax | LossKind::Am | LossKind::Aam => cross_entropy(logits, labels),
            LossKind::SphereFace2 => Binary::of(&self.config).loss(logits, labels),
        }
    }

    /// Whether the head's tensor of a name belongs to all classes together, and has no rows for
    /// each of them.
    pub fn is_shared(&self, name: &str) -> bool {
        self.config.kind == LossKind::SphereFace2 && name == "bias"
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

    fn binary(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, margin: f64) -> HeadOutput {
        let cosine = product(normalize(embeddings), normalize(self.weight()));
        let bias = self.bias.as_ref().expect("a head of this kind has a bias").val().unsqueeze();
        let targets = labels.unsqueeze_dim::<2>(1);
        let logits = Binary::of(&self.config).logits(cosine.clone(), targets, bias, margin);
        HeadOutput { logits, scores: cosine }
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
