//! f32 values as the little-endian bytes of safetensors and PyTorch files, hashes as digits, and
//! numbers of bytes for people.

use sha2::{Digest, Sha256};

/// The bytes of values, four each.
pub fn from_f32(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The values of bytes. An incomplete last value is ignored.
pub fn to_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// The lower-case hex digits of a hash.
pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// A number of bytes with a binary unit: `400.0 MiB`, `1.50 GiB`.
pub fn human(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.2} GiB", mib / 1024.0) }
}

/// As [`human`], but rounded up: no fewer bytes than these. For the least that something takes,
/// which people give back as a budget.
#[cfg(feature = "train")]
pub(crate) fn human_at_least(bytes: u64) -> String {
    let up =
        |unit: u64, parts: u64| bytes.saturating_mul(parts).div_ceil(unit) as f64 / parts as f64;
    let mib = up(1 << 20, 10);
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.2} GiB", up(1 << 30, 100)) }
}

/// A number of things in words: `1 bit`, `3 bits`.
pub(crate) fn counted(number: usize, thing: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{s}")
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_rounded_up() {
        let both = |bytes| (human(bytes), human_at_least(bytes));
        assert_eq!(both(400 << 20), ("400.0 MiB".into(), "400.0 MiB".into()));
        assert_eq!(both((400 << 20) + 1), ("400.0 MiB".into(), "400.1 MiB".into()));
        assert_eq!(both((1 << 30) - 1), ("1024.0 MiB".into(), "1.00 GiB".into()));
        assert_eq!(both((3 << 29) + 1), ("1.50 GiB".into(), "1.51 GiB".into()));
    }
}
