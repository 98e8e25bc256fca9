//! What NVIDIA's driver says of a device's memory.

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

/// Bytes in use on the device that CUDA calls `index`, by all programs, if its driver can be asked.
pub fn used_by_driver(index: usize) -> Option<u64> {
    query("memory.used", &nvidia(index))
}

/// The memory of the device that CUDA calls `index`, if its driver can be asked.
pub fn total_by_driver(index: usize) -> Option<u64> {
    query("memory.total", &nvidia(index))
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
