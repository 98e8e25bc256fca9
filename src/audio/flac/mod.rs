//! FLAC (RFC 9639). Every frame is decoded, and what is between two of them is an error: a frame
//! that is damaged, cut off or missing changes the recording, whatever the header promises.

mod bits;
mod crc;
#[cfg(test)]
mod encoder;
mod header;
mod stream;
mod subframe;
#[cfg(test)]
mod tests;

use std::path::Path;

use md5::{Digest, Md5};

use self::bits::{Bits, CUT};
use self::header::{Header, Stereo};
use self::stream::StreamInfo;
use super::{Mono, choose_channel, tags};
use crate::error::{Error, Result};

/// Reads one channel of the FLAC file that begins at byte `start`, behind any tags.
///
/// # Errors
/// Names the byte and the sample where the file is damaged, cut off or joined to another one. Fewer
/// samples than the header promises are an error, and so are others than those of its MD5.
pub(super) fn read(path: &Path, bytes: &[u8], start: usize, channel: Option<usize>) -> Result<Mono> {
    let bad = |why: String| Error::file(path, format!("not a readable FLAC file: {why}"));
    let (info, mut at) = stream::metadata(bytes, start).map_err(bad)?;
    let channel = choose_channel(path, info.channels, channel)?;
    let scale = 1.0 / (1u64 << (info.bits - 1)) as f32;
    let mut next = Position::default();
    let mut digest = info.md5.map(|_| Md5::new());
    let mut samples = Vec::new();
    while !tags::only_tags(&bytes[at..]) {
        let (header, channels, length) = next.decode(&bytes[at..], &info).map_err(|why| {
            let seconds = next.samples as f64 / f64::from(info.rate);
            bad(format!("at byte {at} (sample {}, {seconds:.3} s) {why}", next.samples))
        })?;
        if let Some(digest) = &mut digest {
            digest.update(interleaved(&channels, info.bits));
        }
        samples.extend(channels[channel].iter().map(|&x| x as f32 * scale));
        next.advance(&header);
        at += length;
    }
    if let Some(promised) = info.total
        && next.samples < promised
    {
        let message = format!(
            "the FLAC header promises {promised} samples, the file holds {}: truncated or damaged",
            next.samples
        );
        return Err(Error::file(path, message));
    }
    if let (Some(digest), Some(wanted)) = (digest, info.md5)
        && <[u8; 16]>::from(digest.finalize()) != wanted
    {
        return Err(bad("its samples have another MD5 than its header says: damaged".into()));
    }
    Ok(Mono { samples, sample_rate: info.rate })
}

/// How far a file has been read.
#[derive(Debug, Default)]
struct Position {
    frames: u64,
    samples: u64,
    /// Whether blocks have several sizes, as the first frame says.
    variable: Option<bool>,
}

impl Position {
    /// The frame that the bytes begin with: its header, its channels, and the bytes that it takes.
    fn decode(&self, bytes: &[u8], info: &StreamInfo) -> Result<(Header, Vec<Vec<i64>>, usize), String> {
        if bytes.starts_with(b"fLaC") {
            return Err("another FLAC file begins: split them".into());
        }
        let Some(header) = Header::parse(bytes) else {
            return Err("there is neither a frame nor a tag: damaged or cut off".into());
        };
        self.refuse(&header, info)?;
        let (channels, length) =
            decode(bytes, &header, info.bits).map_err(|why| format!("the frame is damaged or cut off: {why}"))?;
        Ok((header, channels, length))
    }

    /// An error for a frame that is not the next one of this file.
    fn refuse(&self, header: &Header, info: &StreamInfo) -> Result<(), String> {
        if let Some(why) = header.contradicts(info) {
            return Err(format!("the frame is of another file: {why}"));
        }
        if self.variable.is_some_and(|variable| variable != header.variable) {
            return Err("the frame is of another file: it is numbered in another way".into());
        }
        let (what, wanted) = if header.variable { ("sample", self.samples) } else { ("frame", self.frames) };
        if header.number != wanted {
            return Err(format!("{what} {} follows where {wanted} should be: frames are missing", header.number));
        }
        Ok(())
    }

    fn advance(&mut self, header: &Header) {
        self.frames += 1;
        self.samples += header.samples as u64;
        self.variable = Some(header.variable);
    }
}

/// The channels of a frame with samples of `width` bits, and the bytes that it takes.
fn decode(bytes: &[u8], header: &Header, width: u32) -> Result<(Vec<Vec<i64>>, usize), &'static str> {
    let mut bits = Bits::new(&bytes[header.length..]);
    let side = header.stereo.side();
    let mut channels = Vec::with_capacity(header.channels);
    for channel in 0..header.channels {
        let width = width + u32::from(side == Some(channel));
        channels.push(subframe::decode(&mut bits, header.samples, width)?);
    }
    let end = header.length + bits.bytes_read();
    let checksum = bytes.get(end..end + 2).ok_or(CUT)?;
    if crc::crc16(&bytes[..end]).to_be_bytes() != checksum {
        return Err("its checksum (CRC-16) is not that of its bytes");
    }
    if let [a, b] = channels.as_mut_slice() {
        a.iter_mut().zip(b).for_each(|(a, b)| (*a, *b) = left_and_right(header.stereo, *a, *b));
    }
    if side.is_some() && channels.iter().flatten().any(|&x| !subframe::fits(x, width)) {
        return Err("a sample does not fit in its bits");
    }
    Ok((channels, end + 2))
}

/// The samples of two channels, from the two numbers that are written.
fn left_and_right(stereo: Stereo, a: i64, b: i64) -> (i64, i64) {
    match stereo {
        Stereo::Independent => (a, b),
        Stereo::LeftSide => (a, a - b),
        Stereo::SideRight => (a + b, b),
        Stereo::MidSide => {
            // Half of the sum lost its lowest bit, which is that of the difference.
            let sum = (a << 1) | (b & 1);
            ((sum + b) >> 1, (sum - b) >> 1)
        }
    }
}

/// The bytes that MD5 is taken of: little-endian, as many as the bits need.
fn interleaved(channels: &[Vec<i64>], bits: u32) -> Vec<u8> {
    let width = bits.div_ceil(8) as usize;
    let samples = channels.first().map_or(0, Vec::len);
    let mut bytes = Vec::with_capacity(width * samples * channels.len());
    for i in 0..samples {
        for channel in channels {
            bytes.extend_from_slice(&channel[i].to_le_bytes()[..width]);
        }
    }
    bytes
}
