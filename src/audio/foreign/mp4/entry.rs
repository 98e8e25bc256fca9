//! The encoding of a track: the entry of its box `stsd`, and in it the configuration of the
//! decoder.

use super::alac;
use super::boxes::{self, Atom, bytes, damaged, find, within};
use crate::audio::foreign::codec::{Coding, aac};
use crate::audio::foreign::{characters, half, word};
use crate::audio::input::Input;
use crate::audio::kind::unsupported;
use crate::error::Result;

/// How to decode a track.
pub(super) struct Entry {
    pub coding: Coding,
    /// Samples per second.
    pub rate: u32,
    pub channels: usize,
    /// Samples of a packet; the last one of ALAC may have fewer.
    pub samples: u64,
    /// Whether every packet can be decoded without those in front of it.
    pub independent: bool,
}

/// Reads the box `stsd` of a track.
///
/// # Errors
/// A codec that is not read, by its name; a damaged box.
pub(super) fn entry(input: &mut Input, stsd: &Atom) -> Result<Entry> {
    let mut inside = stsd.body.clone();
    inside.start = (inside.start + 8).min(inside.end);
    let entries = boxes::list(input, &inside)?;
    let [entry] = entries.as_slice() else {
        let what = format!("an MP4 file with {} encodings in a track", entries.len());
        return Err(match entries.len() {
            0 => damaged(input, b"stsd"),
            _ => unsupported(input.path(), &what),
        });
    };
    // The name comes first: entries of codecs that are not read may have any form.
    let read: fn(&mut Input, &[Atom]) -> Result<Entry> = match &entry.kind {
        b"mp4a" => advanced,
        b"alac" => lossless,
        other => return Err(unsupported(input.path(), &named(other))),
    };
    // Old files of QuickTime have longer entries, and put the configuration in a box `wave`.
    let head = bytes(input, &entry.body)?;
    let before = match half(&head, 8) {
        Some(0) => 28,
        Some(1) => 44,
        Some(2) => 64,
        _ => return Err(damaged(input, b"stsd")),
    };
    let mut inside = entry.body.clone();
    inside.start += before;
    if inside.start > inside.end {
        return Err(damaged(input, b"stsd"));
    }
    // What is behind the configuration does not matter.
    let mut atoms = boxes::list(input, &inside)?;
    atoms.extend(within(input, &atoms, b"wave")?);
    read(input, &atoms)
}

/// AAC, if a descriptor says so.
fn advanced(input: &mut Input, atoms: &[Atom]) -> Result<Entry> {
    let Some(atom) = find(atoms, b"esds") else { return Err(boxes::missing(input, b"esds")) };
    let content = bytes(input, &atom.body)?;
    let Some((kind, config)) = descriptor(&content) else { return Err(damaged(input, b"esds")) };
    match kind {
        // MPEG-4, and MPEG-2 of low complexity.
        0x40 | 0x67 => {}
        other => return Err(unsupported(input.path(), &by_number(other))),
    }
    let found = aac::config(input.path(), config)?;
    Ok(Entry {
        coding: Coding::Aac { config: config.to_vec(), channels: found.channels },
        rate: found.rate,
        channels: found.channels,
        samples: aac::SAMPLES,
        independent: false,
    })
}

fn lossless(input: &mut Input, atoms: &[Atom]) -> Result<Entry> {
    let Some(atom) = find(atoms, b"alac") else { return Err(boxes::missing(input, b"alac")) };
    let content = bytes(input, &atom.body)?;
    // Four bytes are a version.
    let config = content.get(4..).and_then(alac::Config::parse);
    let Some(config) = config else { return Err(damaged(input, b"alac")) };
    Ok(Entry {
        rate: config.rate,
        channels: config.channels,
        samples: config.samples,
        coding: Coding::Alac(config.cookie),
        independent: true,
    })
}

/// The kind of the codec and its configuration, from the content of a box `esds` (ISO 14496-1):
/// descriptors in each other.
fn descriptor(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let stream = tagged(bytes.get(4..)?, 3)?;
    let flags = *stream.get(2)?;
    let mut rest = stream.get(3..)?;
    if flags & 0x80 != 0 {
        rest = rest.get(2..)?;
    }
    if flags & 0x40 != 0 {
        rest = rest.get(1 + usize::from(*rest.first()?)..)?;
    }
    if flags & 0x20 != 0 {
        rest = rest.get(2..)?;
    }
    let decoder = tagged(rest, 4)?;
    let kind = *decoder.first()?;
    // Codecs of other kinds need not have a configuration.
    Some((kind, decoder.get(13..).and_then(|rest| tagged(rest, 5)).unwrap_or_default()))
}

/// The content of a descriptor. Its length has seven bits a byte; the highest says that more
/// follow.
fn tagged(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut length = 0usize;
    for _ in 0..4 {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        length = (length << 7) | usize::from(byte & 127);
        if byte < 128 {
            break;
        }
    }
    if first == tag { rest.get(..length) } else { None }
}

/// The name of a codec by its four characters.
fn named(kind: &[u8; 4]) -> String {
    let name = match kind {
        b"ac-3" => "AC-3",
        b"ec-3" => "E-AC-3",
        b"ac-4" => "AC-4",
        b"Opus" => "Opus (in an MP4 file)",
        b"fLaC" => "FLAC (in an MP4 file)",
        b".mp3" => "MP3 (in an MP4 file)",
        b"samr" => "AMR",
        b"sawb" => "AMR-WB",
        b"ulaw" => "mu-law (in an MP4 file)",
        b"alaw" => "A-law (in an MP4 file)",
        b"lpcm" | b"sowt" | b"twos" | b"in24" | b"in32" | b"fl32" | b"fl64" | b"ipcm" | b"fpcm"
        | b"raw " => "PCM (in an MP4 file)",
        b"enca" | b"drms" => "encrypted",
        b"mha1" | b"mhm1" => "MPEG-H",
        b"dtsc" | b"dtse" | b"dtsh" | b"dtsl" => "DTS",
        b"QDM2" | b"QDMC" => "QDesign",
        b"ima4" => "IMA ADPCM",
        _ => return format!("MP4 audio encoded as `{}`", characters(kind)),
    };
    format!("{name} audio")
}

/// The name of a codec by its number in a descriptor.
fn by_number(kind: u8) -> String {
    let name = match kind {
        0x66 => "AAC audio of the profile Main",
        0x68 => "AAC audio with a scalable sampling rate (SSR)",
        0x69 | 0x6b => "MP3 audio (in an MP4 file)",
        0xa5 => "AC-3 audio",
        0xa6 => "E-AC-3 audio",
        0xa9..=0xac => "DTS audio",
        0xad => "Opus audio (in an MP4 file)",
        0xdd => "Vorbis audio (in an MP4 file)",
        _ => return format!("MP4 audio of the kind {kind:#04x}"),
    };
    name.to_owned()
}

/// Units per second of a track or a movie, by its box `mdhd` or `mvhd`.
pub(super) fn scale(bytes: &[u8]) -> Option<u32> {
    word(bytes, if *bytes.first()? == 1 { 20 } else { 12 }).filter(|scale| *scale > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_in_each_other() {
        let inner = [[5, 2].as_slice(), &[0x14, 0x08]].concat();
        let decoder = [&[0x40; 13], inner.as_slice()].concat();
        for (flags, optional) in [(0u8, vec![]), (0xe0, vec![1, 2, 3, b'u', b'r', b'l', 9, 9])] {
            let head = [&[0, 1, flags][..], &optional].concat();
            let middle = [&[4, 0x80, 0x80, 0x80, decoder.len() as u8][..], &decoder].concat();
            let stream = [head, middle].concat();
            let bytes = [&[0, 0, 0, 0, 3, stream.len() as u8][..], &stream].concat();
            assert_eq!(descriptor(&bytes), Some((0x40, [0x14, 0x08].as_slice())));
            for end in 0..bytes.len() {
                descriptor(&bytes[..end]);
            }
        }
    }

    #[test]
    fn units_of_both_versions() {
        let mut bytes = [0; 32];
        bytes[14] = 0x3e;
        bytes[15] = 0x80;
        assert_eq!(scale(&bytes), Some(16_000));
        bytes[0] = 1;
        assert_eq!(scale(&bytes), None);
        bytes[23] = 5;
        assert_eq!(scale(&bytes), Some(5));
    }
}
