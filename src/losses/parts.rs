//! Heads of many speakers, some speakers at a time.

use burn::tensor::{Int, Tensor};

use super::{Head, HeadConfig, Judged, LossKind, normalize, sub_center};
use crate::backend::classes::{Classes, Logits, Own, Scored, class_loss};
use crate::backend::columns::{add_at, pick};
use crate::backend::product;

/// With at most so many cosines of a batch all speakers come at once: 8 MiB for a matrix of them,
/// of which a step has ten at a time.
const FEW: usize = 1 << 21;

/// Values of a part: its cosines and weights, 2 MiB for one matrix of each.
const PART: usize = 1 << 19;

/// How many of the speakers a step takes at a time; none where it takes all at once. That is so
/// with at most 2^21 cosines (batch times speakers times centers), and for
///
/// * `softmax` and `sphereface2`, which have a bias and no cross-entropy of cosines;
/// * `inter_topk`: which speakers are the hardest is known only when all cosines are.
pub fn speakers_at_once(
    config: &HeadConfig,
    batch: usize,
    dim: usize,
    speakers: usize,
) -> Option<usize> {
    let has_parts = match config.kind {
        LossKind::Am | LossKind::Aam => config.inter_topk.is_none(),
        LossKind::Softmax | LossKind::SphereFace2 => false,
    };
    let centers = config.sub_centers;
    let part = (PART / (centers * (batch + dim)).max(1)).clamp(1, speakers.max(1));
    (has_parts && batch * speakers * centers > FEW).then_some(part)
}

/// Makes the logits of a part of the speakers from unit embeddings and weights of any length.
#[derive(Debug, Clone)]
struct Cosines {
    config: HeadConfig,
    margin: f64,
}

impl Logits for Cosines {
    fn logits(&self, x: Tensor<2>, weight: Tensor<2>, own: &Own) -> Scored {
        let cosine = product(x, normalize(weight));
        let cosine = sub_center::nearest(cosine, self.config.sub_centers);
        let target = pick(cosine.clone(), own.at.clone());
        let change = self.config.margined(target.clone(), self.margin) - target;
        let change = change * own.here.clone();
        let logits = add_at(cosine.clone(), own.at.clone(), change);
        Scored { logits: logits * self.config.scale, scores: cosine }
    }
}

impl Head {
    /// [`Head::judge`] with so many speakers at a time.
    pub(super) fn in_parts(
        &self,
        embeddings: Tensor<2>,
        labels: Tensor<1, Int>,
        margin: f64,
        part: usize,
    ) -> Judged {
        let of = Classes {
            logits: Cosines { config: self.config.clone(), margin },
            labels: labels.inner(),
            rows: self.config.sub_centers,
            part,
        };
        let [loss, right] = class_loss(normalize(embeddings), self.weight(), of);
        Judged { loss, right }
    }
}

#[cfg(test)]
mod tests;
