//! FLAC (RFC 9639). The reader decodes every frame and refuses anything between two frames: a
//! damaged, cut or missing frame changes the recording, whatever the header promises.
//!
//! Each frame has a number and a checksum of its bytes (CRC-16), and the header has the number of
//! samples and their MD5. The first three find damage, a cut and a missing frame, and are always
//! checked. The MD5 takes half as long as all the rest, and tells more only of a file that was
//! wrong when it was written, and of the one frame in 65,536 whose checksum is right by chance
//! although many of its bits have changed. So it is compared where a file is looked at for the
//! first time ([`Blocks::verify`]), and where the header lacks the number of samples: nothing else
//! then tells that frames are missing at the end. libFLAC and ffmpeg leave it out unless they are
//! asked, too.

mod bits;
mod block;
mod crc;
#[cfg(test)]
mod encoder;
mod header;
mod position;
mod seek;
mod stream;
mod subframe;
#[cfg(test)]
pub(super) mod tests;
#[cfg(feature = "train")]
mod write;

#[cfg(feature = "train")]
pub(crate) use self::write::encode;

use md5::{Digest, Md5};

use self::block::Block;
use self::header::Header;
use self::position::Position;
use self::seek::Whole;
use self::stream::StreamInfo;
use super::blocks::Blocks;
use super::input::Input;
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
    /// The samples of the frame that was decoded last.
    block: Block,
    /// Their bytes as the MD5 covers them.
    bytes: Vec<u8>,
    /// Whether the MD5 is compared although the number of samples is known.
    verifies: bool,
    /// The MD5 so far, if it is compared. None behind frames that were left out.
    digest: Option<Md5>,
    /// What seeking knows of the file, once it has been asked: none if frames must not be left out.
    whole: Option<Option<Whole>>,
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
            block: Block::default(),
            bytes: Vec::new(),
            verifies: false,
            digest: None,
            whole: None,
        };
        reader.rewind();
        Ok(reader)
    }

    /// Decodes the next frame. Gives its header and its length in bytes, or why there is none.
    fn frame(&mut self) -> Result<Result<(Header, usize), String>> {
        let length = self.input.length();
        let mut least = Header::LONGEST;
        loop {
            let bytes = self.input.at(self.at, least)?;
            let is_rest = self.at + bytes.len() as u64 == length;
            least = 2 * bytes.len();
            let found = self.next.decode(bytes, is_rest, &self.info, &mut self.block);
            if let Some(found) = found.transpose() {
                return Ok(found);
            }
        }
    }

    /// Compares the number of samples, and perhaps their MD5, with the file's header.
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

    fn promised(&self) -> Option<u64> {
        self.info.total
    }

    /// Errors name the byte and the sample at which the file is damaged, cut off or joined to
    /// another. At the end, fewer samples than promised are an error, and so is a wrong MD5 where
    /// it is compared.
    fn more(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        let (header, length) = match self.frame()? {
            Ok(found) => found,
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
        let channels = self.block.channels();
        if let Some(digest) = &mut self.digest {
            block::interleave(channels, self.info.bits, &mut self.bytes);
            digest.update(&self.bytes);
        }
        let scale = 1.0 / (1u64 << (self.info.bits - 1)) as f32;
        // Samples have 32 bits at most.
        let channel = channels[self.channel].samples();
        samples.extend(channel.iter().map(|&x| x as i32 as f32 * scale));
        self.next.advance(&header);
        self.at += length as u64;
        Ok(true)
    }

    fn rewind(&mut self) {
        self.at = self.begin;
        self.next = Position::default();
        let compares = self.info.md5.is_some() && (self.verifies || self.info.total.is_none());
        self.digest = compares.then(Md5::new);
    }

    fn verify(&mut self) {
        self.verifies = true;
        self.rewind();
    }

    fn seek(&mut self, sample: u64) -> Result<u64> {
        self.go_to(sample)?;
        Ok(self.next.samples)
    }
}
