//! Classification heads and their losses (formulas of WeSpeaker's `projections.py`).
//!
//! A [`Head`] turns embeddings and labels into logits with a margin ([`Head::forward`]), and logits
//! into the loss ([`Head::loss`]). The loss is [`cross_entropy`], or that of SphereFace2.
//!
//! For cross-entropy, a margin changes only the target's logit, and inter-topK those of the hardest
//! other speakers. So only these are computed and scattered into the cosines, and no second table
//! of batch by speakers is needed.
//!
//! Training takes loss and right answers at once ([`Head::judge`]). Where batch times speakers is
//! large, it computes the logits of some speakers at a time, forwards and backwards, and stores no
//! table at all (`parts`).

mod aam;
mod am;
mod config;
mod parts;
mod softmax;
mod sphereface2;
mod sub_center;

pub use config::{HeadConfig, LossKind};
pub use parts::speakers_at_once;
pub use softmax::cross_entropy;
pub use sphereface2::Form;
pub use sub_center::InterTopK;

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use self::sphereface2::Binary;
use crate::backend::columns::{add_at, pick};
use crate::backend::rows::unit_rows;
use crate::backend::{is_gpu, product, with_lasting_gradient};
use crate::nn::Init;

impl HeadConfig {
    /// Cosines of targets, any shape, under the margin of a head of cosines.
    fn margined(&self, target: Tensor<2>, margin: f64) -> Tensor<2> {
        match self.kind {
            LossKind::Aam => aam::margin(target, margin, self.easy_margin),
            LossKind::Softmax | LossKind::Am | LossKind::SphereFace2 => am::margin(target, margin),
        }
    }

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

/// What a training step wants of a head.
pub struct Judged {
    /// The mean loss, `[1]`.
    pub loss: Tensor<1>,
    /// In how many examples the own class has the highest score without margin, `[1]`.
    pub right: Tensor<1>,
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
        match self.config.kind {
            LossKind::Softmax => self.linear(embeddings),
            LossKind::Am | LossKind::Aam => self.cosines(embeddings, labels, margin),
            LossKind::SphereFace2 => self.binary(embeddings, labels, margin),
        }
    }

    /// Loss and right answers of embeddings `[batch, embedding_dim]` with labels `[batch]`: those
    /// of [`Head::forward`] and [`Head::loss`]. Many speakers come in parts, with other rounding
    /// errors (see [`speakers_at_once`]).
    pub fn judge(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, margin: f64) -> Judged {
        let [batch, _] = embeddings.dims();
        let [rows, dim] = self.weight.lazy_shape().dims();
        let speakers = rows / self.config.sub_centers;
        match speakers_at_once(&self.config, batch, dim, speakers) {
            Some(part) => self.in_parts(embeddings, labels, margin, part),
            None => {
                let HeadOutput { logits, scores } =
                    self.forward(embeddings, labels.clone(), margin);
                // In this order a GPU launches the fewest kernels.
                let loss = self.loss(logits, labels.clone());
                Judged { loss, right: right(scores, labels) }
            }
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

    /// Cosines, with a margin on those of the targets.
    fn cosines(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, margin: f64) -> HeadOutput {
        let cosine = product(normalize(embeddings), normalize(self.weight()));
        let cosine = sub_center::nearest(cosine, self.config.sub_centers);
        let targets = labels.unsqueeze_dim::<2>(1);
        let target = pick(cosine.clone(), targets.clone());
        let change = self.config.margined(target.clone(), margin) - target;
        let mut logits = add_at(cosine.clone(), targets.clone(), change);
        if let Some(penalty) = &self.config.inter_topk {
            let (others, change) = penalty.apply(&cosine, targets, margin);
            logits = add_at(logits, others, change);
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

/// In how many examples the own class has the highest of the scores `[batch, speakers]`, `[1]`.
fn right(scores: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [size, _] = scores.dims();
    scores.detach().argmax(1).reshape([size]).equal(labels).float().sum()
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
