//! The boxes of an MP4 file: a length, four characters, and the content, which may be boxes again.

use std::ops::Range;

use crate::audio::foreign::{big_endian, characters, long, word};
use crate::audio::input::Input;
use crate::error::{Error, Result};

/// The name of the container for errors.
pub(super) const NAME: &str = "MP4";

/// A box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Atom {
    /// Its four characters.
    pub kind: [u8; 4],
    /// The place of its content.
    pub body: Range<u64>,
}

/// The boxes at a place.
///
/// # Errors
/// A box that ends behind the place.
pub(super) fn list(input: &mut Input, place: &Range<u64>) -> Result<Vec<Atom>> {
    let mut atoms = Vec::new();
    let mut at = place.start;
    // Old writers put four zero bytes behind the last box.
    while at + 8 <= place.end {
        let head = input.at(at, 16)?;
        let (Some(short), Some(kind)) = (word(head, 0), big_endian::<4>(head, 4)) else { break };
        let (before, length) = match short {
            0 => (8, place.end - at),
            1 => (16, long(head, 8).unwrap_or(0)),
            short => (8, u64::from(short)),
        };
        let left = place.end - at;
        if length < before || length > left {
            let name = characters(&kind);
            let why = format!(
                "its box `{name}` at byte {at} promises {length} bytes, there are {left}: \
                 truncated or damaged"
            );
            return Err(input.unreadable(NAME, why));
        }
        atoms.push(Atom { kind, body: at + before..at + length });
        at += length;
    }
    Ok(atoms)
}

/// The first box of a kind.
pub(super) fn find<'a>(atoms: &'a [Atom], kind: &[u8; 4]) -> Option<&'a Atom> {
    atoms.iter().find(|atom| atom.kind == *kind)
}

/// The boxes in the first box of a kind; none if there is no such box.
///
/// # Errors
/// Those of [`list`].
pub(super) fn within(input: &mut Input, atoms: &[Atom], kind: &[u8; 4]) -> Result<Vec<Atom>> {
    match find(atoms, kind) {
        Some(atom) => list(input, &atom.body),
        None => Ok(Vec::new()),
    }
}

/// The content of the first box of a kind.
///
/// # Errors
/// There is no such box.
pub(super) fn content(input: &mut Input, atoms: &[Atom], kind: &[u8; 4]) -> Result<Vec<u8>> {
    let Some(atom) = find(atoms, kind) else { return Err(missing(input, kind)) };
    bytes(input, &atom.body)
}

/// The bytes at a place.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn bytes(input: &mut Input, place: &Range<u64>) -> Result<Vec<u8>> {
    let length = (place.end - place.start) as usize;
    let found = input.at(place.start, length)?;
    Ok(found[..length.min(found.len())].to_vec())
}

/// The error for a box that is not there.
pub(super) fn missing(input: &Input, kind: &[u8; 4]) -> Error {
    let why = format!("it has no box `{}`: truncated or damaged", characters(kind));
    input.unreadable(NAME, why)
}

/// The error for a box whose content makes no sense.
pub(super) fn damaged(input: &Input, kind: &[u8; 4]) -> Error {
    let why = format!("its box `{}` is too short or makes no sense", characters(kind));
    input.unreadable(NAME, why)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audio::input::tests::every;

    pub fn atom(kind: &[u8], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes(), kind, content].concat()
    }

    #[test]
    fn boxes_follow_and_hold_each_other() {
        let mut file = atom(b"ftyp", b"M4A ");
        let long = [&1u32.to_be_bytes(), b"mdat", &20u64.to_be_bytes()[..], b"1234"].concat();
        file.extend(&long);
        file.extend(atom(b"moov", &[atom(b"trak", b"x"), atom(b"udta", b"")].concat()));
        file.extend([&0u32.to_be_bytes(), b"free", &b"to the end"[..]].concat());
        for mut input in every("a.m4a", &file) {
            let whole = 0..input.length();
            let all = list(&mut input, &whole).unwrap();
            let kinds: Vec<_> = all.iter().map(|atom| &atom.kind).collect();
            assert_eq!(kinds, [b"ftyp", b"mdat", b"moov", b"free"]);
            assert_eq!(content(&mut input, &all, b"mdat").unwrap(), b"1234");
            assert_eq!(content(&mut input, &all, b"free").unwrap(), b"to the end");
            let inner = within(&mut input, &all, b"moov").unwrap();
            assert_eq!(content(&mut input, &inner, b"trak").unwrap(), b"x");
            assert!(within(&mut input, &inner, b"none").unwrap().is_empty());
            let error = content(&mut input, &inner, b"none").unwrap_err().to_string();
            assert!(error.contains("a.m4a") && error.contains("no box `none`"));
            let cut = 0..(file.len() - 20) as u64;
            let error = list(&mut input, &cut).unwrap_err().to_string();
            assert!(error.contains("box `moov` at byte 32 promises 25 bytes"), "{error}");
        }
        for mut input in every("a.m4a", &atom(b"\0\0\0\x04free", b"")[4..]) {
            assert!(list(&mut input, &(0..12)).is_err());
        }
    }
}
