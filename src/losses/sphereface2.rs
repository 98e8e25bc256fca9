//! SphereFace2: one binary decision for each speaker instead of one choice among all (arXiv
//! 2108.01513; for speakers: Han et al., ICASSP 2023; WeSpeaker's `projections.py`).
//!
//! With g(z) = 2 ((z + 1) / 2)^t - 1, scale s, margin m and a learned bias b, a speaker's logit is
//!
//! | form | the own speaker | every other speaker |
//! |---|---|---|
//! | C | s (g(cos) - m) + b | s (g(cos) + m) + b |
//! | A | s g(cos(angle + m)) + b | s g(cos(angle - m)) + b |
//!
//! The loss of an utterance is lambda * softplus(-own) + (1 - lambda) * (sum of softplus(other)).

use burn::tensor::activation::relu;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{HeadConfig, aam};
use crate::backend::columns::{add_at, pick};

/// What the margin of SphereFace2 changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The spread cosine, as in CosFace.
    C,
    /// The angle, as in ArcFace.
    A,
}

/// SphereFace2 with its settings.
pub(super) struct Binary {
    form: Form,
    t: usize,
    lambda: f64,
    scale: f64,
}

impl Binary {
    pub fn of(config: &HeadConfig) -> Self {
        Self { form: config.form(), t: config.t(), lambda: config.lambda(), scale: config.scale }
    }

    /// The bias to begin with. Where all cosines are 0 and the margin is 0, the own speaker and all
    /// others together pull on it equally. (WeSpeaker begins with 0, far from this.)
    pub fn first_bias(&self, speakers: usize) -> f64 {
        let others = speakers.saturating_sub(1).max(1) as f64;
        let odds = self.lambda / ((1.0 - self.lambda) * others);
        odds.ln() - self.scale * (2.0 * 0.5f64.powf(self.t as f64) - 1.0)
    }

    /// Logits of cosines `[batch, speakers]`, with targets `[batch, 1]` and bias `[1, 1]`. Those of
    /// the targets have the opposite sign: each logit says how wrong a decision is.
    pub fn logits(
        &self,
        cosine: Tensor<2>,
        targets: Tensor<2, Int>,
        bias: Tensor<2>,
        margin: f64,
    ) -> Tensor<2> {
        let target = pick(cosine.clone(), targets.clone());
        let (own, others) = match self.form {
            Form::C => {
                (self.spread(target).sub_scalar(margin), self.spread(cosine).add_scalar(margin))
            }
            Form::A => (
                self.spread(aam::margin(target, margin, false)),
                self.spread(aam::nearer(cosine, margin)),
            ),
        };
        let own = (own * self.scale + bias.clone()).neg();
        let others = others * self.scale + bias;
        let change = own - pick(others.clone(), targets.clone());
        add_at(others, targets, change)
    }

    /// The mean loss `[1]` of [`Binary::logits`] with labels `[batch]`.
    pub fn loss(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let each = softplus(logits);
        let target = pick(each.clone(), labels.unsqueeze_dim::<2>(1));
        let all = each.sum_dim(1) * (1.0 - self.lambda);
        (all + target * (2.0 * self.lambda - 1.0)).mean()
    }

    /// g, any shape. A product, because a cosine with a margin may be a little below -1, where the
    /// power of a negative number would be NaN on some devices.
    fn spread(&self, cosine: Tensor<2>) -> Tensor<2> {
        let half = cosine.add_scalar(1.0).mul_scalar(0.5);
        let mut power = half.clone();
        for _ in 1..self.t {
            power = power * half.clone();
        }
        power.mul_scalar(2.0).sub_scalar(1.0)
    }
}

/// log(1 + exp(x)), any shape, without overflow and with a gradient that is right at 0 too: with r
/// = max(x, 0), x - 2 r is -|x|.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    let r = relu(x.clone());
    let away = x - r.clone() * 2.0;
    r + away.exp().log1p()
}

#[cfg(test)]
mod tests;
