//! A file's checksum, which is part of the file.

use std::io;

use sha2::{Digest, Sha256};

use super::LENGTH;
use crate::bytes::hex;
use crate::fs::Mapped;

/// The checksum's key among the metadata.
pub(super) const KEY: &str = "sha256";
/// The number of hex digits of a SHA-256.
pub(super) const DIGITS: usize = 64;

/// The digits while the file is hashed.
pub(super) fn zeros() -> String {
    "0".repeat(DIGITS)
}

/// The offset of the digits in a header's text, if they are there once. Quotes within names and
/// values are escaped, so no other text looks like the entry.
pub(super) fn place(header: &str, digits: &str) -> Option<usize> {
    let front = format!("\"{KEY}\":\"");
    let entry = format!("{front}{digits}\"");
    let mut found = header.match_indices(entry.as_str());
    match (found.next(), found.next()) {
        (Some((at, _)), None) if digits.len() == DIGITS => Some(at + front.len()),
        _ => None,
    }
}

/// Whether the digits are the checksum of a file whose header ends at `end`.
///
/// # Errors
/// Those of [`Mapped::blocks`].
pub(super) fn fits(file: &Mapped, end: usize, digits: &str) -> io::Result<bool> {
    let header = std::str::from_utf8(&file[LENGTH..end]).ok();
    let Some(at) = header.and_then(|header| place(header, digits)).map(|at| LENGTH + at) else {
        return Ok(false);
    };
    let mut hash = Sha256::new();
    hash.update(&file[..at]);
    hash.update(zeros());
    file.blocks(at + DIGITS..file.len(), &mut |block| hash.update(block))?;
    Ok(hex(hash) == digits)
}

/// Whether a metadata key is [`KEY`] with one wrong byte. Without this, damage to the key would
/// make a file look like one without a checksum.
pub(super) fn is_spoilt(key: &str) -> bool {
    key.len() == KEY.len() && key.bytes().zip(KEY.bytes()).filter(|(a, b)| a != b).count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_found_where_they_are_once() {
        let digits = "ab".repeat(32);
        let entry = format!("\"sha256\":\"{digits}\"");
        assert_eq!(place(&format!("{{{entry}}}"), &digits), Some(11));
        assert_eq!(place(&format!("{{{entry},{entry}}}"), &digits), None);
        assert_eq!(place(&format!("{{\"sha256\": \"{digits}\"}}"), &digits), None);
        assert_eq!(place("{\"sha256\":\"ab\"}", "ab"), None);
    }

    #[test]
    fn keys_with_one_wrong_byte_are_known() {
        assert!(["rha256", "sha257", "Sha256"].iter().all(|key| is_spoilt(key)));
        assert!(
            !["sha256", "sha512", "sha224", "SHA256", "sha25", "sha2566", "revox"]
                .iter()
                .any(|key| is_spoilt(key))
        );
    }
}
