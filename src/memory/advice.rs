//! What to do about a step for which a device has no memory.

use super::{Setting, account, human};
use crate::backend::reversible::Execution;
use crate::error::{Error, Result};
use crate::zoo::{Architecture, ReversibleType};

/// The error of a step. If memory was full, advice about what would fit follows it. `free`: bytes
/// that were free on the device before the step.
#[must_use]
pub fn advised(error: Error, setting: &Setting, free: Option<u64>) -> Error {
    match error.bare() {
        Error::OutOfMemory { .. } => {
            let advice = advice(setting, free).unwrap_or_else(|e| e.to_string());
            error.and(&advice)
        }
        _ => error,
    }
}

/// The bytes that a step takes by arithmetic, and smaller steps: parts of the batch, reversible
/// types.
///
/// # Errors
/// Those of [`account`]: a setting that cannot be.
pub fn advice(setting: &Setting, free: Option<u64>) -> Result<String> {
    let peak = |s: &Setting| account(s).map(|a| a.peak);
    let own = peak(setting)?;
    let fits = |bytes: usize| bytes < own && free.is_none_or(|free| bytes as u64 <= free);
    let described =
        |s: &Setting| format!("{}, {} crops of {} frames", s.label(), s.batch, s.frames);
    let mut text = format!("{} take about {} by arithmetic", described(setting), human(own));
    match free {
        Some(free) => text.push_str(&format!(", {} were free. These fit: ", human(free as usize))),
        None => text.push_str("; this device does not say how much is free. These take less: "),
    }
    let mut offers = Vec::new();
    let mut parts = 2;
    while setting.batch / parts >= 2 {
        let smaller = Setting { batch: setting.batch.div_ceil(parts), ..setting.clone() };
        let bytes = peak(&smaller)?;
        if fits(bytes) {
            offers.push(format!(
                "train.accumulate = {parts} or train.batch_size = {} ({})",
                smaller.batch,
                human(bytes)
            ));
            break;
        }
        parts *= 2;
    }
    let base = setting.arch.base_name();
    for kind in [ReversibleType::Partial, ReversibleType::Full] {
        let name = format!("{}{base}", kind.prefix());
        if name == setting.arch.name && setting.execution != Some(Execution::Taped) {
            continue;
        }
        let Ok(named) = Architecture::named(&name) else { continue };
        let arch =
            Architecture { name: named.name, reversible: named.reversible, ..setting.arch.clone() };
        let other = Setting { arch, execution: None, ..setting.clone() };
        if let Ok(bytes) = peak(&other)
            && fits(bytes)
        {
            offers.push(format!("{name} ({})", human(bytes)));
        }
    }
    if offers.is_empty() {
        offers.push("none: shorter crops (data.frames) or a smaller network".into());
    }
    text.push_str(&offers.join("; "));
    Ok(text)
}

/// How NVIDIA's tools name the device that CUDA calls `index`.
pub fn nvidia(index: usize) -> String {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let name =
        visible.as_ref().and_then(|v| v.split(',').nth(index)).filter(|name| !name.is_empty());
    name.map_or_else(|| index.to_string(), str::to_owned)
}

/// Bytes free on the device that CUDA calls `index`, if its driver can be asked.
pub fn free_by_driver(index: usize) -> Option<u64> {
    query("memory.free", &nvidia(index))
}

/// One figure of `nvidia-smi`, in bytes.
pub(crate) fn query(what: &str, device: &str) -> Option<u64> {
    let output = std::process::Command::new("nvidia-smi")
        .args([&format!("--query-gpu={what}"), "--format=csv,noheader,nounits", "-i", device])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.trim().parse::<u64>().ok()? << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::OptimizerConfig;

    fn setting(name: &str, batch: usize) -> Setting {
        Setting {
            arch: Architecture::named(name).unwrap(),
            execution: None,
            batch,
            frames: 200,
            speakers: 5994,
            optimizer: OptimizerConfig::default(),
        }
    }

    #[test]
    fn what_fits_is_told() {
        let text = advice(&setting("resnet293", 128), Some(24 << 30)).unwrap();
        for part in [
            "resnet293, 128 crops of 200 frames take about 110.92 GiB",
            "24.00 GiB were free",
            "train.accumulate = 8 or train.batch_size = 16 (14.",
            "rev1-resnet293 (6.",
            "rev2-resnet293 (2.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = advice(&setting("rev2-resnet34", 128), None).unwrap();
        assert!(
            text.contains("this device does not say how much is free. These take less: train")
                && text.contains("accumulate = 2")
                && !text.contains("rev1-resnet34"),
            "{text}"
        );
        assert_eq!(text.matches("rev2-resnet34").count(), 1, "{text}");
        let text = advice(&setting("resnet34", 4), Some(1 << 20)).unwrap();
        assert!(text.contains("none: shorter crops"), "{text}");
    }

    #[test]
    fn only_a_full_memory_gets_advice() {
        let setting = setting("resnet34", 4);
        let full = Error::OutOfMemory { asked: Some(400 << 20), words: String::new() };
        let text = advised(full, &setting, None).to_string();
        let wanted =
            "has no memory left: 400.0 MiB were asked for; resnet34, 4 crops of 200 frames";
        assert!(text.contains(wanted), "{text}");
        let lost = Error::DeviceLost { words: "gone".into() };
        assert_eq!(advised(lost, &setting, None).to_string(), "the device was lost: gone");
    }
}
