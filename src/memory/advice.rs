//! What to do about a step that a device could not finish.

use super::{Setting, account, human};
use crate::backend::reversible::Execution;
use crate::error::{Error, Result};
use crate::zoo::{Architecture, ReversibleType};

/// The error of a step that ended in a backend's own words: what was asked of the memory, what was
/// free, and what would fit, if it is memory that failed it.
pub fn failure(words: &str, setting: &Setting, free: Option<u64>) -> Error {
    let low = words.to_lowercase();
    let first = words.lines().next().unwrap_or_default();
    let memory = [
        "out of memory",
        "out-of-memory",
        "out_of_memory",
        "out of device memory",
        "outofmemory",
        "allocate buffer of size",
        "buffertoobig",
    ];
    if memory.iter().any(|m| low.contains(m)) {
        let advice = advice(setting, free).unwrap_or_else(|e| e.to_string());
        let asked = asked(&low)
            .map_or_else(|| first.to_owned(), |bytes| format!("{} were asked for", human(bytes)));
        return Error::Backend(format!("the device has no memory left: {asked}; {advice}"));
    }
    let lost = ["poisoned", "device was lost", "device lost", "cuda_error", "device is lost"];
    if lost.iter().any(|m| low.contains(m)) {
        return Error::Backend(format!(
            "the device was lost: {first}; a driver that was reset or an unplugged or overheated GPU does that. `revox doctor --selftest` tells whether it works again"
        ));
    }
    Error::Backend(format!("the backend failed: {words}"))
}

/// The bytes of the allocation that failed, if the words name them.
fn asked(words: &str) -> Option<usize> {
    let number = |after: &str| {
        let digits =
            words.split(after).nth(1)?.chars().take_while(char::is_ascii_digit).collect::<String>();
        digits.parse().ok()
    };
    number("memory allocating ").or_else(|| number("buffer of size: "))
}

/// What a step takes by arithmetic, and which smaller ones there are: parts of the batch,
/// reversible types.
fn advice(setting: &Setting, free: Option<u64>) -> Result<String> {
    let peak = |s: &Setting| account(s).map(|a| a.peak);
    let own = peak(setting)?;
    let fits = |bytes: usize| bytes < own && free.is_none_or(|free| bytes as u64 <= free);
    let described =
        |s: &Setting| format!("{}, {} crops of {} frames", s.label(), s.batch, s.frames);
    let mut text = format!("{} take about {} by arithmetic", described(setting), human(own));
    match free {
        Some(free) => text.push_str(&format!(", {} were free. These fit: ", human(free as usize))),
        None => text.push_str(", and what is free this device does not tell. These take less: "),
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

/// Bytes that its driver says are free on the device that CUDA calls `index`; nothing where it
/// cannot be asked.
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
        let oom = "out of device memory allocating 419430400 bytes\nbacktrace";
        let text = failure(oom, &setting("resnet293", 128), Some(24 << 30)).to_string();
        for part in [
            "no memory left: 400.0 MiB were asked for; ",
            "resnet293, 128 crops of 200 frames take about 110.92 GiB",
            "24.00 GiB were free",
            "train.accumulate = 8 or train.batch_size = 16 (14.",
            "rev1-resnet293 (6.",
            "rev2-resnet293 (2.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text =
            failure("CUDA_ERROR_OUT_OF_MEMORY", &setting("rev2-resnet34", 128), None).to_string();
        assert!(
            text.contains("does not tell")
                && text.contains("accumulate = 2")
                && !text.contains("rev1-resnet34"),
            "{text}"
        );
        assert_eq!(text.matches("rev2-resnet34").count(), 1, "{text}");
        let text = failure(oom, &setting("resnet34", 4), Some(1 << 20)).to_string();
        assert!(text.contains("none: shorter crops"), "{text}");
    }

    #[test]
    fn other_failures_keep_their_words() {
        let of = |words: &str| failure(words, &setting("resnet34", 4), None).to_string();
        assert!(
            of("DevicePoisoned: Unknown: gone").contains("was lost")
                && of("Device lost").contains("--selftest")
        );
        assert_eq!(
            of("index out of bounds (a.rs:3)"),
            "the backend failed: index out of bounds (a.rs:3)"
        );
    }
}
