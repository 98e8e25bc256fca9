//! FLAC (RFC 9639). The reader decodes every frame and refuses anything between two frames: a
//! damaged, cut or missing frame changes the recording, whatever the header promises.

mod bits;
mod crc;
#[cfg(test)]
mod encoder;
mod header;
mod stream;
mod subframe;
#[cfg(test)]
pub(super) mod tests;

use md5::{Digest, Md5};

use self::bits::{Bits, CUT};
use self::header::{Header, Stereo};
use self::stream::StreamInfo;
use super::input::Input;
use super::source::Blocks;
use super::{choose_channel, tags};
use crate::error::{Error, Result};

/// One channel of a FLAC file. Its blocks are the frames.
pub(super) struct Reader {
    input: Input,
    info: StreamInfo,
    channel: usize,
    /// Where the frames begin.
    begin: u64,
    /// Where the next one is.
    at: u64,
    next: Position,
    digest: Option<Md5>,
}

impl Reader {
    /// Opens the file that begins at byte `start`, behind any tags.
    ///
    /// # Errors
    /// Damaged or cut metadata; several channels of which none is chosen.
    pub fn new(mut input: Input, start: u64, channel: Option<usize>) -> Result<Self> {
        let (info, begin) = stream::metadata(&mut input, start)?;
        let channel = choose_channel(input.path(), info.channels, channel)?;
        let mut reader = Self {
            input,
            info,
            channel,
            begin,
            at: begin,
            next: Position::default(),
            digest: None,
        };
        reader.rewind();
        Ok(reader)
    }

    /// The next frame, or why there is none.
    fn frame(&mut self) -> Result<Result<Frame, String>> {
        let length = self.input.length();
        let mut least = Header::LONGEST;
        loop {
            let bytes = self.input.at(self.at, least)?;
            let is_rest = self.at + bytes.len() as u64 == length;
            least = 2 * bytes.len();
            if let Some(found) = self.next.decode(bytes, is_rest, &self.info).transpose() {
                return Ok(found);
            }
        }
    }

    /// Compares the number of samples and their MD5 with the file's header.
    fn finish(&mut self) -> Result<()> {
        if let Some(promised) = self.info.total
            && self.next.samples < promised
        {
            let message = format!(
                "the FLAC header promises {promised} samples, the file holds {}: \
                 truncated or damaged",
                self.next.samples
            );
            return Err(Error::file(self.input.path(), message));
        }
        if let (Some(digest), Some(wanted)) = (self.digest.take(), self.info.md5)
            && <[u8; 16]>::from(digest.finalize()) != wanted
        {
            return Err(self
                .input
                .unreadable("FLAC", "its samples have another MD5 than its header says: damaged"));
        }
        Ok(())
    }
}

impl Blocks for Reader {
    fn rate(&self) -> u32 {
        self.info.rate
    }

    /// A file may hold more samples than its header promises.
    fn length(&self) -> Option<u64> {
        None
    }

    /// Errors name the byte and the sample at which the file is damaged, cut off or joined to
    /// another. At the end, fewer samples than promised and a wrong MD5 are errors.
    fn more(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        let frame = match self.frame()? {
            Ok(frame) => frame,
            Err(_) if tags::only_tags(&mut self.input, self.at)? => {
                return self.finish().map(|()| false);
            }
            Err(why) => {
                let seconds = self.next.samples as f64 / f64::from(self.info.rate);
                let place =
                    format!("at byte {} (sample {}, {seconds:.3} s)", self.at, self.next.samples);
                return Err(self.input.unreadable("FLAC", format!("{place} {why}")));
            }
        };
        if let Some(digest) = &mut self.digest {
            digest.update(interleaved(&frame.channels, self.info.bits));
        }
        let scale = 1.0 / (1u64 << (self.info.bits - 1)) as f32;
        samples.extend(frame.channels[self.channel].iter().map(|&x| x as f32 * scale));
        self.next.advance(&frame.header);
        self.at += frame.length as u64;
        Ok(true)
    }

    fn rewind(&mut self) {
        self.at = self.begin;
        self.next = Position::default();
        self.digest = self.info.md5.map(|_| Md5::new());
    }
}

/// A decoded frame.
struct Frame {
    header: Header,
    channels: Vec<Vec<i64>>,
    /// Its bytes in the file.
    length: usize,
}

/// How far a file has been read.
#[derive(Debug, Default)]
struct Position {
    frames: u64,
    samples: u64,
    /// Whether block sizes vary, according to the first frame.
    variable: Option<bool>,
}

impl Position {
    /// Decodes the frame at the beginning of `bytes`. Gives none if the frame may go on behind
    /// them; `is_rest` says that the file ends with them.
    fn decode(
        &self,
        bytes: &[u8],
        is_rest: bool,
        info: &StreamInfo,
    ) -> Result<Option<Frame>, String> {
        if bytes.starts_with(b"fLaC") {
            return Err("another FLAC file begins: split them".into());
        }
        let Some(header) = Header::parse(bytes) else {
            return Err("there is neither a frame nor a tag: damaged or cut off".into());
        };
        self.refuse(&header, info)?;
        match decode(bytes, &header, info.bits) {
            Ok((channels, length)) => Ok(Some(Frame { header, channels, length })),
            Err(CUT) if !is_rest => Ok(None),
            Err(why) => Err(format!("the frame is damaged or cut off: {why}")),
        }
    }

    /// Refuses a frame that is not the next one of this file.
    fn refuse(&self, header: &Header, info: &StreamInfo) -> Result<(), String> {
        if let Some(why) = header.contradicts(info) {
            return Err(format!("the frame is of another file: {why}"));
        }
        if self.variable.is_some_and(|variable| variable != header.variable) {
            return Err("the frame is of another file: it is numbered in another way".into());
        }
        let (what, wanted) =
            if header.variable { ("sample", self.samples) } else { ("frame", self.frames) };
        if header.number != wanted {
            return Err(format!(
                "{what} {} follows where {wanted} should be: frames are missing",
                header.number
            ));
        }
        Ok(())
    }

    fn advance(&mut self, header: &Header) {
        self.frames += 1;
        self.samples += header.samples as u64;
        self.variable = Some(header.variable);
    }
}

/// The channels of a frame with samples of `width` bits, and the length of the frame in bytes.
fn decode(
    bytes: &[u8],
    header: &Header,
    width: u32,
) -> Result<(Vec<Vec<i64>>, usize), &'static str> {
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

/// The samples of the left and the right channel, from the two numbers in the file.
fn left_and_right(stereo: Stereo, a: i64, b: i64) -> (i64, i64) {
    match stereo {
        Stereo::Independent => (a, b),
        Stereo::LeftSide => (a, a - b),
        Stereo::SideRight => (a + b, b),
        Stereo::MidSide => {
            // The halved sum lacks its lowest bit, which equals that of the difference.
            let sum = (a << 1) | (b & 1);
            ((sum + b) >> 1, (sum - b) >> 1)
        }
    }
}

/// The samples of a frame as the file's MD5 covers them: interleaved, little-endian, each in as
/// many bytes as its bits need.
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
