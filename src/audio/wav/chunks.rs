//! The chunks of a WAV file: its format and the place of its samples.
//!
//! A chunk is an identifier of four characters, a length of four bytes, the content, and a pad byte
//! behind a content of odd length. The length of the whole file, in its first chunk, is ignored: it
//! adds nothing new, and many writers get it wrong.

use std::fmt::Display;
use std::ops::Range;

use crate::audio::input::Input;
use crate::error::{Error, Result};

/// Bytes of the chunk `fmt ` with all its fields.
const FIELDS: usize = 40;

/// The chunks that matter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    /// Content of the chunk `fmt `, 40 bytes at most.
    pub format: Vec<u8>,
    /// Place of the content of the chunk `data`.
    pub data: Range<u64>,
    /// True if the header gives no length for the samples, so that they reach to the end of the
    /// file.
    pub open: bool,
}

impl Chunks {
    /// The place of the samples, which must be whole frames of `frame` bytes.
    ///
    /// # Errors
    /// A part of a frame at the end.
    pub fn frames(&self, input: &mut Input, frame: u64) -> Result<Range<u64>> {
        let (begin, end) = (self.data.start, self.data.end);
        let held = end - begin;
        let left = held % frame;
        // Samples up to the end of the file include the pad byte of their chunk.
        let pad =
            self.open && left == 1 && held.is_multiple_of(2) && input.begins(end - 1, &[0])?;
        if left == 0 || pad {
            return Ok(begin..end - left);
        }
        let why = format!(
            "it ends inside a sample: {held} bytes are not whole frames of {frame} bytes: \
             truncated or damaged"
        );
        Err(bad(input, why))
    }
}

fn bad(input: &Input, why: impl Display) -> Error {
    input.unreadable("WAV", why)
}

/// Finds the chunks of the file that begins at byte `start`.
pub(super) fn walk(input: &mut Input, start: u64) -> Result<Chunks> {
    let head = input.at(start, 12)?.first_chunk::<12>().copied();
    let Some(head) = head else { return Err(bad(input, "it ends inside its header: truncated")) };
    if !head.ends_with(b"WAVE") {
        return Err(bad(
            input,
            format!("a RIFF file of the form `{}`, not `WAVE`", head[8..].escape_ascii()),
        ));
    }
    // RF64 and BW64 have lengths of eight bytes in a chunk `ds64` (EBU Tech 3306, ITU-R BS.2088).
    let is_long = !head.starts_with(b"RIFF");
    let (mut format, mut long, mut odd) = (None, None, None);
    let mut at = start + head.len() as u64;
    loop {
        let Some(chunk) = Chunk::parse(input, at)? else { return Err(no_chunk(input, at, odd)) };
        if &chunk.id == b"data" {
            let Some(format) = format else {
                return Err(bad(input, "its chunk `data` comes before any chunk `fmt `"));
            };
            let length = match (chunk.length, long) {
                (u32::MAX, Some(long)) if is_long => long,
                (u32::MAX, None) if is_long => {
                    return Err(bad(
                        input,
                        "its chunk `ds64` with the length of the samples is missing",
                    ));
                }
                (length, _) => u64::from(length),
            };
            let (data, open) = samples(input, start, chunk.body, length)?;
            return Ok(Chunks { format, data, open });
        }
        if !chunk.is_whole(input) {
            let held = input.length() - chunk.body;
            let (name, length) = (chunk.name(), chunk.length);
            let why = format!(
                "its chunk `{name}` promises {length} bytes, the file holds {held}: \
                 truncated or damaged"
            );
            return Err(bad(input, why + &missing_pad(odd)));
        }
        match &chunk.id {
            b"fmt " if format.is_some() => return Err(bad(input, "it has two chunks `fmt `")),
            b"fmt " => {
                let length = FIELDS.min(chunk.length as usize);
                format = Some(input.at(chunk.body, length)?[..length].to_vec());
            }
            b"ds64" if is_long => {
                let field: &[u8] =
                    if chunk.length < 16 { &[] } else { input.at(chunk.body + 8, 8)? };
                long = field.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
            }
            _ => {}
        }
        odd = (chunk.length % 2 == 1).then(|| chunk.name());
        at = chunk.end();
    }
}

/// The place of the samples that begin at byte `body`. The flag says that their length is unknown,
/// so that they reach to the end of the file.
fn samples(input: &mut Input, start: u64, body: u64, length: u64) -> Result<(Range<u64>, bool)> {
    let held = input.length() - body;
    let end = body + length.min(held);
    let behind = end + length % 2;
    if is_unknown(length, body - start) && !(length <= held && only_chunks(input, behind)?) {
        return Ok((body..input.length(), true));
    }
    if length > held {
        let why = format!(
            "the header promises {length} bytes of samples, the file holds {held}: \
             truncated or damaged"
        );
        return Err(bad(input, why));
    }
    match second_recording(input, behind)? {
        Some(what) => Err(bad(input, what)),
        None => Ok((body..end, false)),
    }
}

/// Whether a length stands for an unknown one. Writers that cannot go back to the header, such as
/// those of a pipe, put 0 there, or the largest length for the samples, for the file without its
/// first 8 bytes, or for the whole file.
fn is_unknown(length: u64, header: u64) -> bool {
    // sox, espeak and others round the largest positive number down to a page, arecord to 256
    // bytes.
    let signed = (0x7fff_f000..=0x8000_0000).contains(&length);
    // The numbers may be rounded down to whole frames of a few bytes.
    let unsigned = [0, header - 8, header].iter().any(|before| {
        let most = u64::from(u32::MAX).saturating_sub(*before);
        (most.saturating_sub(7)..=most).contains(&length)
    });
    length == 0 || signed || unsigned || length >= i64::MAX as u64
}

/// Whether chunks, and nothing else, follow from byte `at` to the end of the file.
fn only_chunks(input: &mut Input, mut at: u64) -> Result<bool> {
    while at < input.length() {
        match Chunk::parse(input, at)? {
            Some(chunk) if chunk.is_whole(input) => at = chunk.end(),
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Describes a second recording behind the first, which must not be lost silently. The search ends
/// at the first bytes that are no chunk, such as tags and padding.
fn second_recording(input: &mut Input, mut at: u64) -> Result<Option<String>> {
    while let Some(chunk) = Chunk::parse(input, at)? {
        if &chunk.id == b"data" {
            return Ok(Some(format!("a second chunk `data` begins at byte {at}")));
        }
        if [b"RIFF", b"RF64", b"BW64"].contains(&&chunk.id) && input.begins(chunk.body, b"WAVE")? {
            return Ok(Some(format!("another WAV file begins at byte {at}: split them")));
        }
        at = chunk.end();
    }
    Ok(None)
}

fn no_chunk(input: &Input, at: u64, odd: Option<String>) -> Error {
    let what = if at + 8 > input.length() {
        "it ends without a chunk `data`: truncated or damaged".to_owned()
    } else {
        format!("no chunk begins at byte {at}: damaged")
    };
    bad(input, what + &missing_pad(odd))
}

fn missing_pad(odd: Option<String>) -> String {
    odd.map_or_else(String::new, |name| {
        format!("; the chunk `{name}` before has an odd length and perhaps no pad byte")
    })
}

/// The head of a chunk.
struct Chunk {
    id: [u8; 4],
    /// Where its content begins.
    body: u64,
    /// Length of its content in bytes, as it says.
    length: u32,
}

impl Chunk {
    /// The chunk that begins at byte `at`, if there is one: identifiers are printable.
    fn parse(input: &mut Input, at: u64) -> Result<Option<Self>> {
        let head = input.at(at, 8)?.first_chunk::<8>();
        let Some(&[a, b, c, d, ref length @ ..]) = head else { return Ok(None) };
        let id = [a, b, c, d];
        let printable = id.iter().all(|b| (0x20..0x7f).contains(b));
        Ok(printable.then_some(Self { id, body: at + 8, length: u32::from_le_bytes(*length) }))
    }

    /// Whether the file holds all of its content.
    fn is_whole(&self, input: &Input) -> bool {
        self.body + u64::from(self.length) <= input.length()
    }

    /// Where the next chunk begins.
    fn end(&self) -> u64 {
        self.body + u64::from(self.length).next_multiple_of(2)
    }

    fn name(&self) -> String {
        self.id.escape_ascii().to_string()
    }
}

#[cfg(test)]
mod tests;
