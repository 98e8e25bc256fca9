//! From a score to a decision: by cost and prior, by a wanted false-accept rate, by a threshold.

mod advice;

use std::path::Path;

use self::advice::{stores, those, unfit};
use super::values::within;
use crate::error::{Error, Result};
use crate::model_file::{NamedThreshold, Scoring};
use crate::scoring::{Calibration, Evidence, Made, bayes_threshold, probability};

/// The name of the model inside the program.
const INSIDE: &str = "the model inside the program";

/// How the user wants decisions made.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Wanted {
    /// How probable one speaker is before anything is heard, for the probability and the decision
    /// by it. Without it that of the model's calibration.
    #[arg(long, value_parser = share)]
    prior: Option<f64>,
    /// Score, -1 to 1, from which on it is the same speaker. Without any such option the model's
    /// calibration decides; if it has none for cosines, its threshold at equal error rate.
    #[arg(long, allow_negative_numbers = true, value_parser = cosine,
        conflicts_with_all = ["at", "far", "cost"])]
    threshold: Option<f64>,
    /// Decide by the model's threshold of this name (`revox calibrate --threshold NAME=RATE`).
    #[arg(long, value_name = "NAME", conflicts_with_all = ["far", "cost"])]
    at: Option<String>,
    /// Decide by the model's threshold for this false-accept rate.
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with = "cost")]
    far: Option<f64>,
    /// Decide at the least expected cost, if a miss and a false accept cost this.
    #[arg(long, value_name = "MISS:FA", value_parser = costs)]
    cost: Option<(f64, f64)>,
}

fn cosine(text: &str) -> Result<f64, String> {
    within(text, -1.0..=1.0, "scores are cosines, -1 to 1")
}

/// A probability that is neither 0 nor 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let wanted = "above 0 and below 1 are possible";
    let value = within(text, 0.0..=1.0, wanted)?;
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err(wanted.into()) }
}

/// A rate.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    within(text, 0.0..=1.0, "rates are 0 to 1")
}

fn costs(text: &str) -> Result<(f64, f64), String> {
    let wanted = "two costs above 0 are wanted, of a miss and of a false accept: `1:10`";
    let (miss, accept) = text.split_once(':').ok_or(wanted)?;
    let cost = |text: &str| within(text, f64::MIN_POSITIVE..=1e100, wanted);
    Ok((cost(miss)?, cost(accept)?))
}

impl Wanted {
    /// What decides with the scores of the `model` in a file, or of the one inside the program. Its
    /// header says `scoring`.
    ///
    /// # Errors
    /// A threshold that the model has not; a prior or costs without a calibration that cosines can
    /// use. Where neither is asked for, thresholds decide in place of a calibration that they
    /// cannot, and the verdict warns of it.
    pub(super) fn decider<'a>(
        &self,
        model: Option<&Path>,
        scoring: &'a Scoring,
    ) -> Result<Decider<'a>> {
        let name = model.unwrap_or(Path::new(INSIDE));
        let bad = |message: String| Error::file(name, message);
        let by_score = self.by_score(model, scoring).map_err(bad)?;
        let stored = scoring.calibration.as_ref();
        let made = Made::cosines(scoring.embedding_mean.as_deref());
        let unfit = stored.and_then(|calibration| unfit(calibration, &made));
        let calibration = stored.filter(|_| unfit.is_none());
        if calibration.is_none() && (self.prior.is_some() || self.cost.is_some()) {
            return Err(bad(match &unfit {
                Some(why) => format!("--prior and --cost need likelihood ratios, but {why}"),
                None => format!(
                    "holds no calibration: --prior and --cost need likelihood ratios; {}",
                    stores(model, "", "one")
                ),
            }));
        }
        let prior = self.prior.or(calibration.map(|c| c.fitted.prior)).unwrap_or(0.5);
        let rule = match (by_score, calibration) {
            (Some(rule), _) => rule,
            (None, Some(_)) => self.by_ratio(prior),
            (None, None) => scoring
                .threshold_eer
                .map_or(Rule::None, |t| Rule::score(t, "equal error rate".into())),
        };
        let instead = match rule {
            Rule::None => "no stored threshold decides in its place",
            _ => "a threshold decides",
        };
        let model = name.display().to_string();
        let unused = unfit.map(|why| format!("{model}: {why}. Until then, {instead}"));
        let doubt = calibration.and_then(|calibration| calibration.fitted.doubt(&made));
        let doubt = doubt.map(|doubt| {
            format!(
                "{model}: an earlier version made its calibration: {doubt}; `revox calibrate` \
                 keeps it now"
            )
        });
        Ok(Decider { model, calibration, doubt: unused.or(doubt), prior, rule })
    }

    /// The threshold on scores that is asked for, if one is.
    fn by_score(&self, model: Option<&Path>, scoring: &Scoring) -> Result<Option<Rule>, String> {
        if let Some(threshold) = self.threshold {
            return Ok(Some(Rule::score(threshold, "as given".into())));
        }
        if let Some(name) = &self.at {
            let all = &scoring.named_thresholds;
            let NamedThreshold { false_accept_rate, threshold } =
                all.get(name).ok_or_else(|| {
                    let names: Vec<String> = all.keys().map(|name| format!("`{name}`")).collect();
                    format!("holds no threshold `{name}`, {}", those(&names, model))
                })?;
            let why = format!("`{name}`, false-accept rate {false_accept_rate}");
            return Ok(Some(Rule::score(*threshold, why)));
        }
        let Some(far) = self.far else { return Ok(None) };
        let found = scoring.threshold_at(far).ok_or_else(|| {
            let rates: Vec<String> = scoring.rates().map(|rate| rate.to_string()).collect();
            format!("holds no threshold for the false-accept rate {far}, {}", those(&rates, model))
        })?;
        Ok(Some(Rule::score(found, format!("false-accept rate {far}"))))
    }

    fn by_ratio(&self, prior: f64) -> Rule {
        let (miss, accept) = self.cost.unwrap_or((1.0, 1.0));
        let basis = match self.cost {
            None => format!("probability above 0.5 at prior {prior}"),
            Some(_) => format!(
                "least cost at prior {prior}, where a miss costs {miss} and a false accept {accept}"
            ),
        };
        Rule::Ratio { threshold: bayes_threshold(prior, miss, accept), basis }
    }
}

/// What decides.
enum Rule {
    /// Scores from a threshold on are accepted.
    Score { threshold: f64, basis: String },
    /// Log-likelihood ratios from a threshold on are accepted.
    Ratio { threshold: f64, basis: String },
    /// Nothing does.
    None,
}

impl Rule {
    fn score(threshold: f64, why: String) -> Self {
        Self::Score { threshold, basis: format!("threshold {threshold:.4} ({why})") }
    }
}

/// Decides about trials of one model.
pub(super) struct Decider<'a> {
    /// The model's name.
    model: String,
    calibration: Option<&'a Calibration>,
    /// Why a calibration that is there is not used, or may mislead.
    doubt: Option<String>,
    prior: f64,
    rule: Rule,
}

/// What a score says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// The score.
    pub score: f64,
    /// The log-likelihood ratio, natural logarithm, if the model is calibrated.
    pub llr: Option<f64>,
    /// The probability of one speaker at the prior, if the model is calibrated.
    pub probability: Option<f64>,
    /// The score from which on it is the same speaker, where one decides.
    pub threshold: Option<f64>,
    /// Whether it is the same speaker, if anything decides.
    pub same: Option<bool>,
    /// What decided.
    pub basis: String,
    /// Why the verdict may mislead.
    pub warnings: Vec<String>,
}

impl Decider<'_> {
    /// The prior behind probabilities. Without a calibration there are none, and it is 0.5.
    pub(super) fn prior(&self) -> f64 {
        self.prior
    }

    /// Whether there are log-likelihood ratios and probabilities.
    pub(super) fn is_calibrated(&self) -> bool {
        self.calibration.is_some()
    }

    /// The verdict on a trial of two sides with their names: the enrolled one first, if there is
    /// one.
    ///
    /// # Errors
    /// A quality of a side that the calibration weighs and that is not known, where the ratio
    /// decides.
    pub(super) fn decide(&self, score: f64, sides: [(&str, &Evidence); 2]) -> Result<Verdict> {
        let [(_, enroll), (_, test)] = sides;
        let mut warnings: Vec<String> = self.doubt.iter().cloned().collect();
        let ratio = self.calibration.map(|c| c.llr(score, enroll, test)).transpose();
        let llr = match (ratio, &self.rule) {
            (Err(e), Rule::Score { .. }) => {
                warnings.push(format!("no likelihood ratio: {e}"));
                None
            }
            (ratio, _) => ratio.map_err(|e| {
                e.retold(|m| {
                    Error::Undefined(format!(
                        "{}: its calibration gives no likelihood ratio: {m}; --threshold, --at or \
                         --far decide without",
                        self.model
                    ))
                })
            })?,
        };
        if let Some([shortest, _]) = self.calibration.and_then(|c| c.fitted.seconds) {
            for (side, evidence) in sides {
                if let Some(seconds) = evidence.seconds.filter(|s| *s < shortest) {
                    warnings.push(format!(
                        "{side} has {seconds:.2} s of speech; the calibration covers \
                         {shortest:.2} s and more"
                    ));
                }
            }
        }
        let (threshold, same, basis) = match &self.rule {
            Rule::Score { threshold, basis } => {
                (Some(*threshold), Some(score >= *threshold), basis.as_str())
            }
            Rule::Ratio { threshold, basis } => {
                (None, llr.map(|l| l >= *threshold), basis.as_str())
            }
            Rule::None => (None, None, "nothing: the model holds no threshold"),
        };
        let (probability, basis) = (llr.map(|l| probability(l, self.prior)), basis.to_owned());
        Ok(Verdict { score, llr, probability, threshold, same, basis, warnings })
    }
}

/// A probability in three decimals, if they tell it from 0 and 1.
pub(super) fn likely(p: f64) -> String {
    match p {
        p if p < 0.001 => "below 0.001".into(),
        p if p > 0.999 => "above 0.999".into(),
        p => format!("{p:.3}"),
    }
}

#[cfg(test)]
mod tests;
