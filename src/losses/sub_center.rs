//! Several centers for each speaker, and a penalty on the hardest other speakers (arXiv
//! 2110.05042; WeSpeaker's `ArcMarginProduct_intertopk_subcenter`).

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::aam::sine;
use crate::backend::columns::{add_at, pick};

/// Cosines to the nearest center of each speaker: `[batch, speakers * centers]` gives
/// `[batch, speakers]`.
pub(super) fn nearest(cosine: Tensor<2>, centers: usize) -> Tensor<2> {
    if centers == 1 {
        return cosine;
    }
    let [batch, rows] = cosine.dims();
    cosine.reshape([batch, rows / centers, centers]).max_dim(2).reshape([batch, rows / centers])
}

/// Inter-topK penalty: the `k` hardest other speakers' angles shrink by `penalty * margin / 0.2`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InterTopK {
    /// How many speakers.
    pub k: usize,
    /// Radians at margin 0.2.
    pub penalty: f64,
}

impl Default for InterTopK {
    fn default() -> Self {
        Self { k: 5, penalty: 0.06 }
    }
}

impl InterTopK {
    /// The speakers with a penalty, `[batch, k]`, and the change of their cosines, `[batch, k]`.
    pub(super) fn apply(
        &self,
        cosine: &Tensor<2>,
        targets: Tensor<2, Int>,
        margin: f64,
    ) -> (Tensor<2, Int>, Tensor<2>) {
        let angle = if margin > 0.001 { self.penalty * margin / 0.2 } else { 0.0 };
        let ranked = cosine.clone().detach();
        // A target's cosine minus 2 is below all others, so it is never among the hardest.
        let away = Tensor::full(targets.shape(), -2.0, &ranked.device());
        let ranked = add_at(ranked, targets, away);
        let (_, others) = ranked.topk_with_indices(self.k, 1);
        let hard = pick(cosine.clone(), others.clone());
        let harder = hard.clone() * angle.cos() + sine(hard.clone()) * angle.sin();
        (others, harder - hard)
    }
}
