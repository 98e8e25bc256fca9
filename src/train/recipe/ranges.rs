//! The range of every number that a recipe may hold, and of its interval. A value out of its range
//! is refused under its key when the recipe is read, whatever its type. NaN and infinity are in no
//! range. Only the sizes in `model.layers` have none here: the network's family checks them.
//!
//! Some bounds follow from the mathematics (a probability, a momentum below 1). The others are far
//! beyond what anybody trains with, and below what overflows or never ends.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Every, role};

/// A section whose keys are names of parts.
const FACTORS: &str = "schedule.factors";
/// The key of an interval.
const INTERVAL: &str = "train.checkpoint_every";
/// Any finite number that the type holds.
const ANY: f64 = f64::INFINITY;
/// The largest coefficient of a moving average that is still below 1 in f32.
const BELOW_1: f64 = 0.999_999;

/// Keys with the smallest and the largest value. In an array each value has to be in the range.
const RANGES: &[(&str, f64, f64)] = &[
    ("seed", 0.0, ANY),
    ("data.frames", 16.0, 1e5),
    ("data.passes", 1.0, 1e4),
    ("data.speeds", 0.5, 2.0),
    ("data.threads", 1.0, 256.0),
    ("data.cache_mib", 0.0, 16_777_216.0),
    ("data.tolerate", 0.0, 1.0),
    ("data.shard_mix", 1.0, 1e6),
    ("data.synth.speakers", 2.0, 1e5),
    ("data.synth.utterances", 2.0, 1e4),
    ("data.synth.seconds", 0.5, 60.0),
    ("data.synth.dev_speakers", 2.0, 1e5),
    ("data.synth.seed", 0.0, ANY),
    ("frontend.sample_rate", 1_000.0, 768_000.0),
    ("frontend.dither", 0.0, 1_000.0),
    ("augment.probability", 0.0, 1.0),
    ("augment.noise_snr", -60.0, 100.0),
    ("augment.cache_mib", 0.0, 16_777_216.0),
    ("augment.categories.noise.snr", -60.0, 100.0),
    ("augment.categories.noise.mix", 1.0, 64.0),
    ("augment.categories.music.snr", -60.0, 100.0),
    ("augment.categories.music.mix", 1.0, 64.0),
    ("augment.categories.speech.snr", -60.0, 100.0),
    ("augment.categories.speech.mix", 1.0, 64.0),
    ("augment.spec.time_masks", 0.0, 1_000.0),
    ("augment.spec.time_width", 0.0, 1e5),
    ("augment.spec.mel_masks", 0.0, 1_000.0),
    ("augment.spec.mel_width", 0.0, 1_024.0),
    ("model.width", 1.0, 1_024.0),
    ("model.mels", 1.0, 1_024.0),
    ("model.embedding_dim", 1.0, 65_536.0),
    ("model.reversible.blocks", 0.0, 1_000.0),
    ("model.reversible.state", 1.0, 16_384.0),
    ("model.reversible.inner", 0.0, 64.0),
    ("loss.scale", 1e-3, 1e4),
    ("loss.sub_centers", 1.0, 64.0),
    ("loss.t", 1.0, 16.0),
    ("loss.lambda", 1e-3, 0.999),
    ("loss.inter_topk.k", 1.0, 1e6),
    ("loss.inter_topk.penalty", 0.0, 1.5),
    ("margin.initial", 0.0, 1.5),
    ("margin.last", 0.0, 1.5),
    ("margin.increase_start_epoch", 1.0, 1e6),
    ("margin.fix_start_epoch", 1.0, 1e6),
    ("optimizer.momentum", 0.0, BELOW_1),
    ("optimizer.dampening", 0.0, 1.0),
    ("optimizer.weight_decay", 0.0, 1.0),
    ("optimizer.beta1", 0.0, BELOW_1),
    ("optimizer.beta2", 0.0, BELOW_1),
    ("optimizer.epsilon", 1e-20, 1.0),
    ("optimizer.states.block_size", 64.0, 4_096.0),
    ("optimizer.states.min_size", 0.0, 1e15),
    ("schedule.initial_lr", 1e-12, 100.0),
    ("schedule.final_lr", 1e-12, 100.0),
    ("schedule.warm_up_epochs", 0.0, 1e5),
    ("schedule.scale_ratio", 1e-6, 1e4),
    (FACTORS, 0.0, 1e4),
    ("train.epochs", 1.0, 1e5),
    ("train.batch_size", 2.0, 65_536.0),
    ("train.accumulate", 1.0, 32_768.0),
    ("train.patience", 0.0, 1e5),
    ("train.validate_every", 1.0, 1e5),
    ("train.average_last", 1.0, 1e5),
    ("train.keep", 1.0, 1_000.0),
    ("large_margin.epochs", 1.0, 1e5),
    ("large_margin.frames", 16.0, 1e5),
    ("large_margin.margin", 0.0, 1.5),
    ("large_margin.initial_lr", 1e-12, 100.0),
    ("large_margin.final_lr", 1e-12, 100.0),
    ("large_margin.warm_up_epochs", 0.0, 1e5),
    ("large_margin.batch_size", 2.0, 65_536.0),
    ("quantize.bits", 1.0, 8.0),
    ("quantize.target_bytes", 1.0, i64::MAX as f64),
    ("quantize.refresh_every", 1.0, 1e6),
    ("quantize.lloyd_steps", 1.0, 1_000.0),
    ("quantize.clip", 1e-6, 1e6),
    ("quantize.candidates", 1.0, 8.0),
    ("quantize.stages", 1.0, 1e5),
    ("quantize.sensitivity.probes", 2.0, 1e5),
    ("quantize.sensitivity.tolerance", 0.0, 1_000.0),
    ("quantize.sensitivity.batches", 1.0, 1e4),
    ("quantize.sensitivity.epsilon", 1e-9, 10.0),
];

/// A number out of its range.
#[derive(Debug)]
pub(super) struct Outside {
    /// Where the text has it.
    pub span: Range<usize>,
    /// Key, value and range.
    pub message: String,
}

/// Compares every number, and the interval, with the range of its key. A key without a range is one
/// of `model.layers`, or is unknown to the recipe's types too: they refuse it.
pub(super) fn check(table: &DeTable<'_>) -> Result<(), Outside> {
    check_section("", table)
}

fn check_section(section: &str, table: &DeTable<'_>) -> Result<(), Outside> {
    table.iter().try_for_each(|(name, value)| {
        let dot = if section.is_empty() { "" } else { "." };
        check_value(&format!("{section}{dot}{name}"), value)
    })
}

fn check_value(key: &str, value: &Spanned<DeValue<'_>>) -> Result<(), Outside> {
    let (x, shown) = match value.get_ref() {
        DeValue::Table(table) => return check_section(key, table),
        // Serde would read a section from a list of its values too, without their names.
        DeValue::Array(_) if is_section(key) => {
            return Err(Outside {
                span: value.span(),
                message: format!("{key} is a section, not a list"),
            });
        }
        DeValue::Array(items) => return items.iter().try_for_each(|item| check_value(key, item)),
        // An integer of more than 128 bits counts as infinite.
        DeValue::Integer(n) => (
            i128::from_str_radix(n.as_str(), n.radix()).map_or(f64::INFINITY, |n| n as f64),
            n.to_string(),
        ),
        DeValue::Float(x) => (x.as_str().parse().unwrap_or(f64::NAN), x.to_string()),
        DeValue::String(text) if key == INTERVAL => {
            let outside = |wanted: String| Outside {
                span: value.span(),
                message: format!("{key} = {text:?}: {wanted}"),
            };
            return text.parse::<Every>().map(|_| ()).map_err(outside);
        }
        _ => return Ok(()),
    };
    match range(key) {
        Some((low, high)) if !is_within(x, low, high) => Err(Outside {
            span: value.span(),
            message: format!("{key} = {shown}: must be {}", described(low, high)),
        }),
        _ => Ok(()),
    }
}

/// Whether a key has options below it.
fn is_section(key: &str) -> bool {
    RANGES.iter().any(|(name, ..)| name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn range(key: &str) -> Option<(f64, f64)> {
    let key = if role::is_within(key, FACTORS) { FACTORS } else { key };
    RANGES.iter().find(|(name, ..)| *name == key).map(|&(_, low, high)| (low, high))
}

fn is_within(number: f64, low: f64, high: f64) -> bool {
    number.is_finite() && (low..=high).contains(&number)
}

fn described(low: f64, high: f64) -> String {
    match high == ANY {
        true => format!("{} or more", number(low)),
        false => format!("{} to {}", number(low), number(high)),
    }
}

/// A number as people write it: with an exponent only where it is very small or large.
fn number(x: f64) -> String {
    match x == 0.0 || (1e-3..1e9).contains(&x.abs()) {
        true => x.to_string(),
        false => format!("{x:e}"),
    }
}

#[cfg(test)]
mod tests;
