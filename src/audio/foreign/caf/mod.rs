//! Apple's Core Audio Format: chunks of big-endian numbers. `desc` describes the samples, `data`
//! holds them, `kuki` is the decoder's configuration, and `pakt` a table of packets.

use std::ops::Range;

use super::codec::Coding;
use super::mp4::alac;
use super::table::{self, Packet, Table};
use super::{big_endian, characters, cut, long, word};
use crate::audio::blocks::Blocks;
use crate::audio::choose_channel;
use crate::audio::input::Input;
use crate::audio::kind::unsupported;
use crate::audio::pcm::{self, Encoding, Layout};
use crate::error::Result;

const NAME: &str = "CAF";

/// Opens the file that begins at byte `start`.
///
/// # Errors
/// A damaged or cut file; a codec that is not read, by its name; several channels of which none is
/// chosen.
pub(super) fn open(
    mut input: Input,
    start: u64,
    channel: Option<usize>,
) -> Result<Box<dyn Blocks + Send>> {
    let chunks = Chunks::walk(&mut input, start)?;
    let Some(description) = Description::parse(&chunks.description) else {
        return Err(input.unreadable(NAME, "its chunk `desc` is too short or makes no sense"));
    };
    if &description.format == b"alac" {
        return Ok(Box::new(lossless(input, &chunks, &description, channel)?));
    }
    let Some(layout) = description.layout() else {
        let (name, bits) = (characters(&description.format), description.bits);
        let what = format!("Core Audio (CAF) encoded as `{name}` of {bits} bits");
        return Err(unsupported(input.path(), &what));
    };
    let (rate, data) = (description.rate, chunks.data);
    Ok(Box::new(pcm::Reader::new(input, NAME, layout, rate, data, channel)?))
}

/// ALAC: a packet may have any number of bytes.
fn lossless(
    mut input: Input,
    chunks: &Chunks,
    description: &Description,
    channel: Option<usize>,
) -> Result<table::Reader> {
    let found = alac::Config::parse(&chunks.cookie).filter(|c| c.rate == description.rate);
    let Some(config) = found else {
        return Err(input.unreadable(NAME, "its chunk `kuki` is no configuration of ALAC"));
    };
    let channel = choose_channel(input.path(), config.channels, channel)?;
    let length = (chunks.packets.end - chunks.packets.start) as usize;
    let bytes = &input.at(chunks.packets.start, length)?[..length];
    let Some(packets) = packets(bytes, chunks.data.start) else {
        return Err(input.unreadable(NAME, "its table of packets, `pakt`, is cut off or damaged"));
    };
    // Writers disagree on the number of samples in the last packet.
    let each = u64::from(description.frames);
    let samples = (each > 0).then_some((each, None));
    let table = Table { container: NAME, rate: config.rate, packets, samples, kept: 0..u64::MAX };
    let codec = Coding::Alac(config.cookie).decoder(input.path(), channel)?;
    table::Reader::new(input, table, codec, true)
}

/// The packets of the chunk `pakt`.
fn packets(bytes: &[u8], mut place: u64) -> Option<Vec<Packet>> {
    let count = usize::try_from(long(bytes, 0)?).ok()?;
    let mut rest = bytes.get(24..)?;
    // Every packet takes a byte or more of the table.
    let mut packets = Vec::with_capacity(count.min(rest.len()));
    for _ in 0..count {
        let mut bytes = 0u32;
        loop {
            // Seven bits a byte; the highest says that more follow.
            let (&byte, behind) = rest.split_first()?;
            rest = behind;
            bytes = bytes.checked_mul(128)? | u32::from(byte & 127);
            if byte < 128 {
                break;
            }
        }
        packets.push(Packet { place, bytes });
        place = place.checked_add(bytes.into())?;
    }
    Some(packets)
}

/// The chunks that matter.
#[derive(Default)]
struct Chunks {
    description: Vec<u8>,
    cookie: Vec<u8>,
    /// The place of the table of packets.
    packets: Range<u64>,
    /// The place of the samples.
    data: Range<u64>,
}

impl Chunks {
    fn walk(input: &mut Input, start: u64) -> Result<Self> {
        let mut chunks = Self::default();
        let mut found = false;
        let mut at = start + 8;
        while at < input.length() {
            let head = input.at(at, 12)?;
            let (Some(id), Some(length)) = (big_endian::<4>(head, 0), long(head, 4)) else {
                return Err(input.unreadable(NAME, "it ends inside the head of a chunk: truncated"));
            };
            let body = at + 12;
            let held = input.length() - body;
            // The length of the last chunk need not be known.
            let length = if length == u64::MAX && &id == b"data" { held } else { length };
            if length > held {
                return Err(cut(input, NAME, &id, length, held));
            }
            match &id {
                b"desc" => chunks.description = content(input, body, length.min(32))?,
                b"kuki" => chunks.cookie = content(input, body, length.min(256))?,
                b"pakt" => chunks.packets = body..body + length,
                // Four bytes count the changes of the file.
                b"data" if length >= 4 => (chunks.data, found) = (body + 4..body + length, true),
                _ => {}
            }
            at = body + length;
        }
        if !found {
            return Err(input.unreadable(NAME, "it has no chunk `data`: truncated or damaged"));
        }
        Ok(chunks)
    }
}

fn content(input: &mut Input, place: u64, length: u64) -> Result<Vec<u8>> {
    Ok(input.at(place, length as usize)?[..length as usize].to_vec())
}

/// The fields of the chunk `desc`.
struct Description {
    rate: u32,
    format: [u8; 4],
    flags: u32,
    /// Bytes of a packet, 0 if they vary.
    bytes: u32,
    /// Samples of a packet, 0 if they vary.
    frames: u32,
    channels: usize,
    bits: u32,
}

impl Description {
    fn parse(fields: &[u8]) -> Option<Self> {
        let rate = f64::from_bits(long(fields, 0)?);
        let channels = word(fields, 24)? as usize;
        let is_rate = rate.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&rate);
        (is_rate && (1..=1024).contains(&channels)).then_some(Self {
            rate: rate as u32,
            format: big_endian(fields, 8)?,
            flags: word(fields, 12)?,
            bytes: word(fields, 16)?,
            frames: word(fields, 20)?,
            channels,
            bits: word(fields, 28)?,
        })
    }

    /// The layout of samples that are stored as they are.
    fn layout(&self) -> Option<Layout> {
        let (is_float, little) = (self.flags & 1 != 0, self.flags & 2 != 0);
        let encoding = match &self.format {
            b"lpcm" if is_float => Encoding::Float,
            b"lpcm" => Encoding::Signed,
            b"alaw" => Encoding::ALaw,
            b"ulaw" => Encoding::MuLaw,
            _ => return None,
        };
        // Fewer bits than the bytes have may be the upper or the lower ones.
        let bytes = self.bytes as usize / self.channels;
        let layout = Layout { encoding, bytes, big_endian: !little, channels: self.channels };
        let is_packed = layout.frame() == self.bytes as usize
            && (self.format != *b"lpcm" || self.bits as usize == 8 * bytes);
        (is_packed && self.frames == 1 && layout.is_possible()).then_some(layout)
    }
}

#[cfg(test)]
mod tests;
