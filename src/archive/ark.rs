//! The entries of an archive: a key, a blank, an array; one behind the other.

use super::array::Array;
use super::binary::{self, BINARY};
use super::bytes::{Bytes, shown};
use super::text;

/// Reads the array at byte `at`, binary or text, and returns the place behind it.
pub(super) fn array(file: &[u8], at: usize) -> Result<(Array, usize), String> {
    if at >= file.len() {
        return Err(format!("byte {at}: the file has only {} bytes", file.len()));
    }
    let mut bytes = Bytes::new(file, at);
    let array = match bytes.rest().starts_with(BINARY) {
        true => {
            bytes.at += BINARY.len();
            binary::read(&mut bytes)?
        }
        false => text::read(&mut bytes)?,
    };
    Ok((array, bytes.at))
}

/// The key at byte `at` or behind the blanks there, and the place of its array. None at the end.
pub(super) fn key(file: &[u8], at: usize) -> Result<Option<(&str, usize)>, String> {
    let mut bytes = Bytes::new(file, at);
    bytes.take_while(|b| b.is_ascii_whitespace());
    let begin = bytes.at;
    let word = bytes.take_while(|b| !b.is_ascii_whitespace() && b != 0);
    let foreign = || {
        let what = shown(word);
        format!("byte {begin}: `{what}` is no key; an archive is a key, a blank, an array, ...")
    };
    match bytes.peek() {
        None if word.is_empty() => Ok(None),
        Some(b' ' | b'\t') => {
            let key = std::str::from_utf8(word).map_err(|_| foreign())?;
            Ok(Some((key, bytes.at + 1)))
        }
        _ => Err(foreign()),
    }
}
