//! MP4, M4A and their relatives (ISO 14496-12 and -14, QuickTime) with AAC or ALAC.

pub(super) mod alac;
mod boxes;
mod edit;
mod entry;
mod packets;

use std::ops::Range;

use self::boxes::{Atom, bytes, content, damaged, find, list, missing, within};
use super::codec::aac;
use super::table::{Reader, Table};
use super::{long, word};
use crate::audio::blocks::Blocks;
use crate::audio::choose_channel;
use crate::audio::input::Input;
use crate::audio::kind::unsupported;
use crate::error::Result;

/// Packets that are looked at before the first one is decoded.
const FIRST: usize = 8;

/// Opens the file that begins at byte `start`.
///
/// # Errors
/// A damaged or cut file; a codec that is not read, by its name; several audio tracks; several
/// channels of which none is chosen.
pub(super) fn open(
    mut input: Input,
    start: u64,
    channel: Option<usize>,
) -> Result<Box<dyn Blocks + Send>> {
    let whole = top(&mut input, start)?;
    if find(&whole, b"moof").is_some() {
        return Err(unsupported(input.path(), "a fragmented MP4 file"));
    }
    let movie = within(&mut input, &whole, b"moov")?;
    let track = track(&mut input, &movie)?;
    let media = within(&mut input, &track, b"mdia")?;
    let information = within(&mut input, &media, b"minf")?;
    let table = within(&mut input, &information, b"stbl")?;
    let Some(stsd) = find(&table, b"stsd") else { return Err(missing(&input, b"stsd")) };
    let entry = entry::entry(&mut input, stsd)?;
    let channel = choose_channel(input.path(), entry.channels, channel)?;
    let packets = packets::packets(&mut input, &table)?;
    let shown = shown(&mut input, &movie, &track, &media, entry.rate)?;
    let each = entry.samples;
    let last =
        if entry.independent { last(&mut input, &table, packets.len(), each)? } else { each };
    let table = Table {
        container: boxes::NAME,
        rate: entry.rate,
        packets,
        samples: (last > 0).then_some((each, Some(last))),
        kept: edit::whole_packets(shown, each),
    };
    table.check(&input)?;
    if !entry.independent {
        let first = table.packets.iter().take(FIRST);
        let place = first.map(|p| p.place..p.place + u64::from(p.bytes));
        let first: Vec<Vec<u8>> = place.map(|p| bytes(&mut input, &p)).collect::<Result<_>>()?;
        aac::refuse_sbr(input.path(), &first)?;
    }
    let codec = entry.coding.decoder(input.path(), channel)?;
    Ok(Box::new(Reader::new(input, table, codec, entry.independent)?))
}

/// The boxes of the file. What is no box, or a cut one, ends them: the packets tell later what is
/// missing. Only the box that describes the others must be whole.
fn top(input: &mut Input, start: u64) -> Result<Vec<Atom>> {
    let length = input.length();
    let mut atoms = Vec::new();
    let mut at = start;
    while at + 8 <= length {
        let head = input.at(at, 16)?;
        let (short, is_description) = (word(head, 0), head.get(4..8) == Some(b"moov".as_slice()));
        let size = match short {
            Some(0) => Some(length - at),
            Some(1) => long(head, 8),
            short => short.map(u64::from),
        };
        let is_whole = size.is_some_and(|size| (8..=length - at).contains(&size));
        if !is_whole && !is_description {
            break;
        }
        let end = at + size.unwrap_or(0).min(length - at);
        atoms.extend(list(input, &(at..end.max(at + 8)))?);
        at = end;
    }
    if find(&atoms, b"moov").is_none() {
        return Err(missing(input, b"moov"));
    }
    Ok(atoms)
}

/// The boxes of the audio track.
fn track(input: &mut Input, movie: &[Atom]) -> Result<Vec<Atom>> {
    let mut found = Vec::new();
    for atom in movie.iter().filter(|atom| &atom.kind == b"trak") {
        let track = list(input, &atom.body)?;
        let media = within(input, &track, b"mdia")?;
        let handler = content(input, &media, b"hdlr")?;
        if handler.get(8..12) == Some(b"soun".as_slice()) {
            found.push(track);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(input.unreadable(boxes::NAME, "it has no audio track")),
        n => Err(unsupported(input.path(), &format!("an MP4 file with {n} audio tracks"))),
    }
}

/// The decoded samples that are the recording.
fn shown(
    input: &mut Input,
    movie: &[Atom],
    track: &[Atom],
    media: &[Atom],
    rate: u32,
) -> Result<Range<u64>> {
    let lists = within(input, track, b"edts")?;
    let edits = match find(&lists, b"elst") {
        Some(atom) => {
            let edits = edit::edits(&bytes(input, &atom.body)?);
            edits.ok_or_else(|| damaged(input, b"elst"))?
        }
        None => Vec::new(),
    };
    match edits.as_slice() {
        [] => Ok(itunes(input, movie)?.unwrap_or(0..u64::MAX)),
        [edit] if edit.plain => {
            let track = entry::scale(&content(input, media, b"mdhd")?);
            let movie = entry::scale(&content(input, movie, b"mvhd")?);
            let Some(units) = track.zip(movie) else { return Err(damaged(input, b"mdhd")) };
            Ok(edit::shown(*edit, rate, units))
        }
        edits => {
            let what = format!("an MP4 file with {} edits, or one at another speed", edits.len());
            Err(unsupported(input.path(), &what))
        }
    }
}

/// What iTunes says of the recording: its tag is one of many with a name of their own.
fn itunes(input: &mut Input, movie: &[Atom]) -> Result<Option<Range<u64>>> {
    // Tags are no part of the recording: whatever is wrong with them does not matter.
    let Ok(user) = within(input, movie, b"udta") else { return Ok(None) };
    let Some(meta) = find(&user, b"meta") else { return Ok(None) };
    let inside = (meta.body.start + 4).min(meta.body.end)..meta.body.end;
    let Ok(meta) = list(input, &inside) else { return Ok(None) };
    let Ok(tags) = within(input, &meta, b"ilst") else { return Ok(None) };
    for tag in tags.iter().filter(|tag| &tag.kind == b"----") {
        let Ok(parts) = list(input, &tag.body) else { continue };
        let (Some(name), Some(data)) = (find(&parts, b"name"), find(&parts, b"data")) else {
            continue;
        };
        if bytes(input, &name.body)?.get(4..) == Some(b"iTunSMPB".as_slice()) {
            let data = bytes(input, &data.body)?;
            let text = String::from_utf8_lossy(data.get(8..).unwrap_or_default()).into_owned();
            return Ok(edit::itunes(text.trim_matches('\0')));
        }
    }
    Ok(None)
}

/// Samples of the last packet by the box `stts`, whose entries count packets of the same length; 0
/// if the others do not all have `each` samples.
fn last(input: &mut Input, table: &[Atom], packets: usize, each: u64) -> Result<u64> {
    let content = content(input, table, b"stts")?;
    let entries = content.get(8..).unwrap_or_default();
    let (entries, _) = entries.as_chunks::<8>();
    let entry = |bytes: &[u8; 8]| (word(bytes, 0).unwrap_or(0), word(bytes, 4).unwrap_or(0));
    let (mut count, mut last) = (0u64, 0u64);
    for (number, length) in entries.iter().map(entry).filter(|(number, _)| *number > 0) {
        // All in front of the last packet.
        if (count > 0 && last != each) || (number > 1 && u64::from(length) != each) {
            return Ok(0);
        }
        (count, last) = (count + u64::from(number), u64::from(length));
    }
    Ok(if count == packets as u64 && last <= each { last } else { 0 })
}

#[cfg(test)]
mod tests;
