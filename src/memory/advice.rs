//! What to do about a step for which a device has no memory.

use super::card::Card;
use super::dry::dry;
use super::machine::Machine;
use super::{Setting, account_on, human};
use crate::backend::BackendKind;
use crate::backend::reversible::Execution;
use crate::error::{Error, Result};
use crate::zoo::ReversibleType;

/// The error of a step on a backend. If memory was full, advice about what would fit follows it.
/// `free`: bytes that were free on the device before the step.
#[must_use]
pub fn advised(error: Error, setting: &Setting, kind: BackendKind, free: Option<u64>) -> Error {
    match error.bare() {
        Error::OutOfMemory { .. } => {
            let advice = advice(setting, kind, free).unwrap_or_else(|e| e.to_string());
            error.and(&advice)
        }
        _ => error,
    }
}

/// Refuses a step for which a GPU has too little memory, before it is tried: see [`too_large`].
///
/// # Errors
/// A GPU that is too small, with what would fit. Those of [`too_large`].
pub fn refuse_too_large(setting: &Setting, kind: BackendKind, free: Option<u64>) -> Result<()> {
    match too_large(setting, kind, free)? {
        None => Ok(()),
        Some(text) => Err(Error::Invalid(format!("the device has too little memory: {text}"))),
    }
}

/// What a step in f32 takes and what would fit, if a GPU has too little memory for it. `free` is
/// what the driver says is free, in bytes. Devices without such a driver pass. A step that takes
/// less than half of that by arithmetic passes at once; a dry run decides about the others. Nothing
/// else may use a GPU during a dry run: see [`dry`](super::dry()).
///
/// # Errors
/// An impossible setting. Those of [`dry`](super::dry()).
pub fn too_large(
    setting: &Setting,
    kind: BackendKind,
    free: Option<u64>,
) -> Result<Option<String>> {
    let (Some(free), true) = (free, Machine::of(kind).is_gpu()) else { return Ok(None) };
    if 2 * estimate(setting, kind)? <= free {
        return Ok(None);
    }
    let figure = Figure::of(setting, kind)?;
    match figure.bytes <= free {
        true => Ok(None),
        false => offers(setting, kind, Some(free), figure).map(Some),
    }
}

/// The bytes that a step takes on a backend, and smaller steps: parts of the batch, reversible
/// types. For GPU backends a dry run tells the bytes, else the account does. Nothing else may use a
/// GPU during a dry run: see [`dry`](super::dry()).
///
/// # Errors
/// Those of [`account_on`]: a setting that cannot be. Those of [`dry`](super::dry()).
pub fn advice(setting: &Setting, kind: BackendKind, free: Option<u64>) -> Result<String> {
    let figure = Figure::of(setting, kind)?;
    offers(setting, kind, free, figure)
}

/// What a step takes by arithmetic.
fn estimate(setting: &Setting, kind: BackendKind) -> Result<u64> {
    let account = account_on(setting, kind)?;
    Ok(account.pages.unwrap_or(account.peak) as u64)
}

/// What a step takes.
#[derive(Debug, Clone, Copy)]
struct Figure {
    bytes: u64,
    /// Where the figure comes from.
    source: &'static str,
}

impl Figure {
    /// On GPUs by a dry run.
    fn of(setting: &Setting, kind: BackendKind) -> Result<Self> {
        match Machine::of(kind).is_gpu() {
            true => {
                let bytes = dry(setting, Card { bytes: u64::MAX, backend: kind })?.needed();
                Ok(Self { bytes, source: "in a dry run" })
            }
            false => Ok(Self { bytes: estimate(setting, kind)?, source: "by arithmetic" }),
        }
    }
}

/// The text, for a step whose figure is known.
fn offers(setting: &Setting, kind: BackendKind, free: Option<u64>, own: Figure) -> Result<String> {
    let told = |bytes: u64| human(bytes as usize);
    let described =
        |s: &Setting| format!("{}, {} crops of {} frames", s.label(), s.batch, s.frames);
    let mut text = format!("{} take about {} {}", described(setting), told(own.bytes), own.source);
    match free {
        Some(free) => text.push_str(&format!(", {} were free. These fit: ", told(free))),
        None => text.push_str("; this device does not say how much is free. These take less: "),
    }
    text.push_str(&alternatives(setting, kind, free, own.bytes)?);
    Ok(text)
}

/// Steps that take less than `own` bytes and no more than `free`: parts of the batch, checkpointed
/// execution, reversible types.
///
/// # Errors
/// A setting that cannot be.
pub fn alternatives(
    setting: &Setting,
    kind: BackendKind,
    free: Option<u64>,
    own: u64,
) -> Result<String> {
    // What does not fit by arithmetic needs no dry run.
    let fitting = |s: &Setting| -> Result<Option<u64>> {
        let fits = |bytes: u64| bytes < own && free.is_none_or(|free| bytes <= free);
        match fits(estimate(s, kind)?) {
            true => Ok(Some(Figure::of(s, kind)?.bytes).filter(|&bytes| fits(bytes))),
            false => Ok(None),
        }
    };
    let told = |bytes: u64| human(bytes as usize);
    let mut offers = Vec::new();
    let mut parts = 2;
    while setting.batch / parts >= 2 {
        let smaller = Setting { batch: setting.batch.div_ceil(parts), ..setting.clone() };
        if let Some(bytes) = fitting(&smaller)? {
            // Released gradients cannot be summed over turns.
            let turns = match setting.release_gradients {
                true => String::new(),
                false => format!("train.accumulate = {parts} or "),
            };
            offers.push(format!("{turns}train.batch_size = {} ({})", smaller.batch, told(bytes)));
            break;
        }
        parts *= 2;
    }
    if setting.arch.reversible_type().is_none() && setting.execution.is_none() {
        let other = Setting { execution: Some(Execution::Checkpointed), ..setting.clone() };
        if let Some(bytes) = fitting(&other)? {
            offers.push(format!("train.execution = \"checkpointed\" ({})", told(bytes)));
        }
    }
    for reversible in [ReversibleType::Partial, ReversibleType::Full] {
        let Some(arch) = setting.arch.of_type(Some(reversible)) else { continue };
        let name = arch.name.clone();
        if name == setting.arch.name && setting.execution != Some(Execution::Taped) {
            continue;
        }
        let other = Setting { arch, execution: None, budget: None, ..setting.clone() };
        if let Ok(Some(bytes)) = fitting(&other) {
            offers.push(format!("{name} ({})", told(bytes)));
        }
    }
    if offers.is_empty() {
        offers.push("nothing of it; shorter crops or a smaller network may".into());
    }
    Ok(offers.join("; "))
}

// Steps on GPUs are in tests/memory: a dry run drops the launches of all tests beside it.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Remedy;
    use crate::train::OptimizerConfig;
    use crate::zoo::Architecture;

    const CPU: BackendKind = BackendKind::Flex;

    fn setting(name: &str, batch: usize) -> Setting {
        Setting {
            batch,
            ..Setting::new(Architecture::named(name).unwrap(), OptimizerConfig::default())
        }
    }

    #[test]
    fn what_fits_is_told() {
        let text = advice(&setting("resnet293", 128), CPU, Some(24 << 30)).unwrap();
        for part in [
            "resnet293, 128 crops of 200 frames take about 110.92 GiB",
            "24.00 GiB were free",
            "train.accumulate = 8 or train.batch_size = 16 (14.",
            "train.execution = \"checkpointed\" (",
            "rev1-resnet293 (4.",
            "rev2-resnet293 (1.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = advice(&setting("rev2-resnet34", 128), CPU, None).unwrap();
        assert!(
            text.contains("this device does not say how much is free. These take less: train")
                && text.contains("accumulate = 2")
                && !text.contains("rev1-resnet34"),
            "{text}"
        );
        assert_eq!(text.matches("rev2-resnet34").count(), 1, "{text}");
        let text = advice(&setting("resnet34", 4), CPU, Some(1 << 20)).unwrap();
        assert!(text.contains("nothing of it; shorter crops"), "{text}");
    }

    #[test]
    fn only_a_full_memory_gets_advice() {
        let setting = setting("resnet34", 4);
        let full = Error::OutOfMemory { asked: Some(400 << 20), words: String::new() };
        let text = advised(full, &setting, CPU, None).to_string();
        let wanted =
            "has no memory left: 400.0 MiB were asked for; resnet34, 4 crops of 200 frames";
        assert!(text.contains(wanted), "{text}");
        let lost = Error::DeviceLost { words: "gone".into() };
        assert_eq!(advised(lost, &setting, CPU, None).to_string(), "the device was lost: gone");
    }

    #[test]
    fn steps_that_surely_fit_and_cpus_pass_without_a_dry_run() {
        let setting = setting("resnet34", 4);
        for kind in BackendKind::ALL {
            refuse_too_large(&setting, kind, None).unwrap();
            refuse_too_large(&setting, kind, Some(1 << 40)).unwrap();
        }
        refuse_too_large(&setting, CPU, Some(1)).unwrap();
        // A build without GPU backends has no dry runs.
        if !BackendKind::Wgpu.is_compiled() {
            let error = refuse_too_large(&setting, BackendKind::Cuda, Some(1 << 20)).unwrap_err();
            assert_eq!(error.remedy(), Some(&Remedy::RebuildWith { feature: "wgpu" }), "{error}");
        }
    }
}
