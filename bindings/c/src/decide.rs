//! Scores, and what they say.

use engine::portable::Utterance;

use crate::memory::{Place, value, values};
use crate::models::{Entry, RevoxModel, get};
use crate::quality::RevoxQuality;
use crate::status::{Failure, Result, RevoxStatus, guarded, of};

const BAD: RevoxStatus = RevoxStatus::Argument;
const ABSENT: RevoxStatus = RevoxStatus::Absent;

/// In the place of a false-accept rate: where it equals the rate of false rejections.
pub const REVOX_EQUAL_ERROR: f64 = -1.0;

/// In the place of a prior: the one that the model was calibrated for, or 0.5.
pub const REVOX_OWN_PRIOR: f64 = -1.0;

/// What a model says of two recordings. A value that it does not have is NaN.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RevoxVerdict {
    /// The cosine of the embeddings, less the model's mean if it has one.
    pub score: f64,
    /// The log-likelihood ratio, natural logarithm, if the model is calibrated.
    pub llr: f64,
    /// The probability of one speaker at the calibration's prior, if the model is calibrated.
    pub probability: f64,
    /// The score from which on it is the same speaker, if the model is not calibrated and has a
    /// threshold at its equal error rate.
    pub threshold: f64,
    /// 1 if it is the same speaker, 0 if not, -1 if the model has nothing to decide by.
    pub same: i32,
}

/// One of two recordings.
///
/// # Safety
/// `embedding` is null or has as many values as the model's embeddings; `quality` is null or one.
unsafe fn side(
    entry: &Entry,
    which: &str,
    embedding: *const f32,
    quality: *const RevoxQuality,
) -> Result<Utterance> {
    // SAFETY: the caller's pointers.
    unsafe {
        let embedding = row(entry, which, embedding)?.to_vec();
        let quality = value(&format!("the quality of the {which} recording"), quality)?;
        Ok(Utterance { embedding, facts: quality.facts() })
    }
}

/// # Safety
/// `embedding` is null or has as many values as the model's embeddings.
unsafe fn row<'a>(entry: &Entry, which: &str, embedding: *const f32) -> Result<&'a [f32]> {
    // SAFETY: the caller's pointer.
    unsafe { values(&format!("the {which} embedding"), embedding, entry.model.dim()) }
}

/// Refuses embeddings of another length than the model's.
fn check(entry: &Entry, length: usize) -> Result<()> {
    let wanted = entry.model.dim();
    match length == wanted {
        true => Ok(()),
        false => Err(Failure::argument(format!(
            "embeddings of {length} values; those of the model have {wanted}"
        ))),
    }
}

/// The cosine of two embeddings, -1 to 1, less the model's mean if it has one. `length` must be
/// `revox_dim`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_score(
    model: *const RevoxModel,
    first: *const f32,
    second: *const f32,
    length: usize,
    score: *mut f64,
) -> RevoxStatus {
    // SAFETY: the caller's pointers.
    guarded(|| unsafe {
        let entry = get(model)?;
        let place = Place::one("the place for the score", score)?;
        check(&entry, length)?;
        let (first, second) = (row(&entry, "first", first)?, row(&entry, "second", second)?);
        place.put(entry.model.score(first, second).map_err(of(BAD))?);
        Ok(())
    })
}

/// The score from which on it is the same speaker, at a false-accept rate that the model stores, or
/// at `REVOX_EQUAL_ERROR`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_threshold(
    model: *const RevoxModel,
    false_accept_rate: f64,
    threshold: *mut f64,
) -> RevoxStatus {
    // SAFETY: the caller's pointer.
    guarded(|| unsafe {
        let entry = get(model)?;
        let place = Place::one("the place for the threshold", threshold)?;
        place.put(threshold_at(&entry, false_accept_rate)?);
        Ok(())
    })
}

/// Whether a score says that it is the same speaker, at a false-accept rate as in
/// `revox_threshold`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_decide(
    model: *const RevoxModel,
    score: f64,
    false_accept_rate: f64,
    same: *mut bool,
) -> RevoxStatus {
    // SAFETY: the caller's pointer.
    guarded(|| unsafe {
        let entry = get(model)?;
        let place = Place::one("the place for the decision", same)?;
        if !score.is_finite() {
            return Err(Failure::argument(format!("the score is {score}")));
        }
        place.put(score >= threshold_at(&entry, false_accept_rate)?);
        Ok(())
    })
}

fn threshold_at(entry: &Entry, rate: f64) -> Result<f64> {
    let rate = match rate {
        REVOX_EQUAL_ERROR => None,
        0.0..=1.0 => Some(rate),
        _ => {
            return Err(Failure::argument(format!("a false-accept rate of {rate}; 0 to 1 is one")));
        }
    };
    entry.model.threshold(rate).map_err(of(ABSENT))
}

/// The log-likelihood ratio of two recordings, natural logarithm: by how much more probable their
/// score is if one speaker speaks in both. Above 0 it speaks for one speaker. A model without
/// calibration has none: `REVOX_STATUS_ABSENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_llr(
    model: *const RevoxModel,
    first: *const f32,
    first_quality: *const RevoxQuality,
    second: *const f32,
    second_quality: *const RevoxQuality,
    length: usize,
    llr: *mut f64,
) -> RevoxStatus {
    // SAFETY: the caller's pointers.
    guarded(|| unsafe {
        let entry = get(model)?;
        let place = Place::one("the place for the ratio", llr)?;
        check(&entry, length)?;
        let first = side(&entry, "first", first, first_quality)?;
        let second = side(&entry, "second", second, second_quality)?;
        let score = entry.model.score(&first.embedding, &second.embedding).map_err(of(BAD))?;
        let ratio = entry.model.llr(score, &first, &second).map_err(of(BAD))?;
        place.put(ratio.ok_or_else(|| {
            Failure::new(ABSENT, "the model has no calibration, so no log-likelihood ratios")
        })?);
        Ok(())
    })
}

/// The probability of one speaker that a log-likelihood ratio means, where one speaker is as
/// probable as `prior`, between 0 and 1, before anything is heard, or `REVOX_OWN_PRIOR`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_probability(
    model: *const RevoxModel,
    llr: f64,
    prior: f64,
    probability: *mut f64,
) -> RevoxStatus {
    // SAFETY: the caller's pointer.
    guarded(|| unsafe {
        let entry = get(model)?;
        let place = Place::one("the place for the probability", probability)?;
        if llr.is_nan() {
            return Err(Failure::argument("the log-likelihood ratio is NaN"));
        }
        let prior = match prior {
            REVOX_OWN_PRIOR => None,
            _ if prior > 0.0 && prior < 1.0 => Some(prior),
            _ => {
                return Err(Failure::argument(format!(
                    "a prior of {prior}; it is between 0 and 1"
                )));
            }
        };
        place.put(entry.model.probability(llr, prior));
        Ok(())
    })
}

/// Whether two recordings have the same speaker, as `revox compare` says it: by the model's
/// calibration, or else by its threshold at equal error rate. A recording in which nobody speaks is
/// `REVOX_STATUS_UNDEFINED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_compare(
    model: *const RevoxModel,
    first: *const f32,
    first_quality: *const RevoxQuality,
    second: *const f32,
    second_quality: *const RevoxQuality,
    length: usize,
    verdict: *mut RevoxVerdict,
) -> RevoxStatus {
    // SAFETY: the caller's pointers.
    guarded(|| unsafe {
        let entry = get(model)?;
        let place = Place::one("the place for the verdict", verdict)?;
        check(&entry, length)?;
        let first = side(&entry, "first", first, first_quality)?;
        let second = side(&entry, "second", second, second_quality)?;
        let made = entry.model.compare(&first, &second).map_err(of(BAD))?;
        place.put(RevoxVerdict {
            score: made.score,
            llr: made.llr.unwrap_or(f64::NAN),
            probability: made.probability.unwrap_or(f64::NAN),
            threshold: made.threshold.unwrap_or(f64::NAN),
            same: made.same.map_or(-1, i32::from),
        });
        Ok(())
    })
}
