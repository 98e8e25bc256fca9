//! The settings of a head, and which of them go together.

use serde::{Deserialize, Serialize};

use super::{Form, InterTopK};
use crate::error::{Error, Result};

/// Largest exponent of SphereFace2.
const LARGEST_T: usize = 16;

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
    /// One binary decision for each speaker (SphereFace2, arXiv 2108.01513).
    SphereFace2,
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
    /// SphereFace2 only: what the margin changes; `c` unless said.
    pub form: Option<Form>,
    /// SphereFace2 only: the exponent that spreads the cosines, 1 to 16; 3 unless said.
    pub t: Option<usize>,
    /// SphereFace2 only: the weight of the own speaker against all others; 0.7 unless said.
    pub lambda: Option<f64>,
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
            form: None,
            t: None,
            lambda: None,
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
        let is_plain = self.sub_centers == 1 && self.inter_topk.is_none() && !self.easy_margin;
        match self.kind {
            LossKind::Softmax if !is_plain => {
                return bad("softmax has no sub_centers, inter_topk or easy_margin".into());
            }
            LossKind::SphereFace2 if !is_plain => {
                return bad("sphereface2 has no sub_centers, inter_topk or easy_margin".into());
            }
            LossKind::Am if self.easy_margin || self.inter_topk.is_some() => {
                return bad("easy_margin and inter_topk belong to aam".into());
            }
            LossKind::Softmax | LossKind::Am | LossKind::Aam | LossKind::SphereFace2 => {}
        }
        let is_binary = self.form.is_some() || self.t.is_some() || self.lambda.is_some();
        if is_binary && self.kind != LossKind::SphereFace2 {
            return bad("form, t and lambda belong to sphereface2".into());
        }
        if let Some(t) = self.t.filter(|t| !(1..=LARGEST_T).contains(t)) {
            return bad(format!("t = {t}: must be 1 to {LARGEST_T}"));
        }
        if let Some(lambda) = self.lambda.filter(|x| !(1e-3..=0.999).contains(x)) {
            return bad(format!("lambda = {lambda}: must be 0.001 to 0.999"));
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

    /// The same with the defaults of its kind filled in, so that a written recipe shows them.
    #[must_use]
    pub fn completed(self) -> Self {
        match self.kind {
            LossKind::SphereFace2 => Self {
                form: Some(self.form()),
                t: Some(self.t()),
                lambda: Some(self.lambda()),
                ..self
            },
            LossKind::Softmax | LossKind::Am | LossKind::Aam => self,
        }
    }

    /// SphereFace2's form.
    pub(super) fn form(&self) -> Form {
        self.form.unwrap_or(Form::C)
    }

    /// SphereFace2's exponent.
    pub(super) fn t(&self) -> usize {
        self.t.unwrap_or(3)
    }

    /// SphereFace2's weight of the own speaker.
    pub(super) fn lambda(&self) -> f64 {
        self.lambda.unwrap_or(0.7)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: &HeadConfig) -> String {
        config.check(10).unwrap_err().to_string()
    }

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
        let binary = HeadConfig { kind: LossKind::SphereFace2, ..HeadConfig::default() };
        for t in [0, 17, usize::MAX] {
            let error = refused(&HeadConfig { t: Some(t), ..binary.clone() });
            assert_eq!(error, format!("loss: t = {t}: must be 1 to 16"));
        }
        for lambda in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
            let error = refused(&HeadConfig { lambda: Some(lambda), ..binary.clone() });
            assert!(error.contains("lambda = "), "{error}");
        }
        for (t, lambda) in [(1, 0.001), (16, 0.999)] {
            HeadConfig { t: Some(t), lambda: Some(lambda), ..binary.clone() }.check(2).unwrap();
        }
    }

    #[test]
    fn options_of_other_kinds_are_refused() {
        let plain = HeadConfig { kind: LossKind::SphereFace2, ..HeadConfig::default() };
        plain.check(10).unwrap();
        for config in [
            HeadConfig { sub_centers: 3, ..plain.clone() },
            HeadConfig { easy_margin: true, ..plain.clone() },
            HeadConfig { inter_topk: Some(InterTopK::default()), ..plain.clone() },
        ] {
            assert!(refused(&config).contains("sphereface2 has no"), "{config:?}");
        }
        for kind in [LossKind::Softmax, LossKind::Am, LossKind::Aam] {
            let base = HeadConfig { kind, ..HeadConfig::default() };
            for config in [
                HeadConfig { form: Some(Form::C), ..base.clone() },
                HeadConfig { t: Some(3), ..base.clone() },
                HeadConfig { lambda: Some(0.7), ..base.clone() },
            ] {
                assert!(refused(&config).contains("belong to sphereface2"), "{config:?}");
            }
            assert_eq!(base.clone().completed(), base);
        }
        let whole = plain.completed();
        assert_eq!((whole.form, whole.t, whole.lambda), (Some(Form::C), Some(3), Some(0.7)));
    }
}
