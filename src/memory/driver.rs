//! What NVIDIA's driver says of a device's memory.

#![cfg_attr(feature = "cuda-bare", allow(unsafe_code, reason = "the driver is C"))]

/// How NVIDIA's tools name the device that CUDA calls `index`.
pub fn nvidia(index: usize) -> String {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let name =
        visible.as_ref().and_then(|v| v.split(',').nth(index)).filter(|name| !name.is_empty());
    name.map_or_else(|| index.to_string(), str::to_owned)
}

/// Bytes free on the device that CUDA calls `index`, if its driver can be asked. In builds with the
/// backend cuda, what the driver keeps for this program is in use by then.
pub fn free_by_driver(index: usize) -> Option<u64> {
    #[cfg(feature = "cuda-bare")]
    if let Some(bytes) = free_by_cuda(index) {
        return Some(bytes);
    }
    query("memory.free", &nvidia(index))
}

/// The same by CUDA itself, which needs no program beside it.
#[cfg(feature = "cuda-bare")]
fn free_by_cuda(index: usize) -> Option<u64> {
    use cudarc::driver::{result, sys};
    // SAFETY: only loads a library by NVIDIA's names for it.
    if !unsafe { sys::is_culib_present() } {
        return None;
    }
    result::init().ok()?;
    let gpu = result::device::get(i32::try_from(index).ok()?).ok()?;
    // SAFETY: the driver has given out device and context. The context is the one that CubeCL's
    // runtime works in, so it is kept.
    unsafe { result::ctx::set_current(result::primary_ctx::retain(gpu).ok()?) }.ok()?;
    let (free, _) = result::mem_get_info().ok()?;
    Some(free as u64)
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
