//! The checksum of a tensor file: the entry `sha256` of its metadata holds the SHA-256 of the whole
//! file with these 64 digits as zeros.
#![allow(dead_code, reason = "each test program uses a part")]

use std::ops::Range;

use sha2::{Digest, Sha256};

/// Hexadecimal digits.
const DIGITS: usize = 64;
/// What stands in front of them.
const KEY: &[u8] = b"\"sha256\":\"";

/// Where the digits are, if the header has them.
fn digits(file: &[u8]) -> Option<Range<usize>> {
    let length = u64::from_le_bytes(*file.first_chunk::<8>()?);
    let end = usize::try_from(length).ok()?.saturating_add(8).min(file.len());
    let begin = file[..end].windows(KEY.len()).position(|bytes| bytes == KEY)? + KEY.len();
    (file.get(begin + DIGITS) == Some(&b'"')).then_some(begin..begin + DIGITS)
}

/// The checksum that a file ought to have where its digits are.
fn sum(file: &[u8], digits: Range<usize>) -> String {
    let mut zeroed = file.to_vec();
    zeroed[digits].fill(b'0');
    Sha256::digest(&zeroed).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a file has a checksum, and the right one.
pub fn is_signed(file: &[u8]) -> bool {
    digits(file).is_some_and(|digits| file[digits.clone()] == *sum(file, digits).as_bytes())
}

/// Makes the checksum that of the file, if it has one.
pub fn sign(file: &mut [u8]) {
    if let Some(digits) = digits(file) {
        let sum = sum(file, digits.clone());
        file[digits].copy_from_slice(sum.as_bytes());
    }
}

/// Takes the checksum out. Blanks take its place, so that nothing else moves.
pub fn unsign(file: &mut [u8]) {
    let Some(digits) = digits(file) else { return };
    let (mut begin, mut end) = (digits.start - KEY.len(), digits.end + 1);
    if file.get(end) == Some(&b',') {
        end += 1;
    } else if begin > 0 && file[begin - 1] == b',' {
        begin -= 1;
    }
    file[begin..end].fill(b' ');
}

/// The file with another metadata entry, signed.
pub fn with_metadata(file: &[u8], key: &str, value: &str) -> Vec<u8> {
    let header = 8 + u64::from_le_bytes(*file.first_chunk::<8>().expect("a tensor file")) as usize;
    let mut json: serde_json::Value = serde_json::from_slice(&file[8..header]).expect("a header");
    json["__metadata__"][key] = value.into();
    let mut text = json.to_string().into_bytes();
    // Tensors begin at a multiple of eight bytes.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut changed =
        [&(text.len() as u64).to_le_bytes()[..], text.as_slice(), &file[header..]].concat();
    sign(&mut changed);
    changed
}
