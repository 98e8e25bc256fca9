//! One channel of a file, whatever its format.

use super::input::Input;
use super::kind::{self, Kind};
use super::{flac, foreign, sphere, tags, wav};
use crate::error::{Error, Result};

/// One channel of a file of some format, a block at a time.
pub(super) trait Blocks {
    /// Samples per second.
    fn rate(&self) -> u32;

    /// Samples of all blocks, if they are known for certain.
    fn length(&self) -> Option<u64>;

    /// Samples that the header promises. The file may hold more of them.
    fn promised(&self) -> Option<u64> {
        self.length()
    }

    /// Appends the samples of the next block, full scale = 1. Returns false if there is no block
    /// any more.
    ///
    /// # Errors
    /// A damaged or cut file.
    fn more(&mut self, samples: &mut Vec<f32>) -> Result<bool>;

    /// Says how many samples are wanted of the next block, which need not have more. A format whose
    /// blocks have lengths of their own does not listen.
    fn expect(&mut self, samples: u64) {
        let _ = samples;
    }

    /// Goes back to the first block.
    fn rewind(&mut self);

    /// Goes back to the first block, and compares from now on what a file says of all its samples,
    /// even where reading does not need it to notice damage.
    fn verify(&mut self) {
        self.rewind();
    }

    /// Goes to the block that holds a sample, or to one before it. Returns the place of the first
    /// sample of the next block. Samples after a seek equal those of reading from the start to the
    /// bit. What only the whole file can tell, such as a checksum of all samples, is not checked
    /// any more.
    ///
    /// # Errors
    /// A damaged or cut file.
    fn seek(&mut self, sample: u64) -> Result<u64> {
        let _ = sample;
        self.rewind();
        Ok(0)
    }
}

/// One channel of a file. Its content decides the format.
///
/// # Errors
/// Those of [`Source::open`](super::Source::open).
pub(super) fn open(mut input: Input, channel: Option<usize>) -> Result<Box<dyn Blocks + Send>> {
    let path = input.path().to_owned();
    let start = tags::front(&mut input)?;
    if start > input.length() {
        return Err(Error::file(path, "ends inside its ID3v2 tag: truncated or damaged"));
    }
    let kind = kind::of(input.at(start, kind::HEAD as usize)?);
    let blocks: Box<dyn Blocks + Send> = match kind {
        Kind::Riff => Box::new(wav::Reader::new(input, start, channel)?),
        Kind::Flac => Box::new(flac::Reader::new(input, start, channel)?),
        Kind::Sphere => Box::new(sphere::open(input, start, channel)?),
        Kind::Foreign(container) => foreign::open(input, start, container, channel)?,
        Kind::Other(name) => return Err(kind::unsupported(&path, name)),
        // What follows a tag is most often MP3, after some bytes of nothing.
        Kind::Unknown if start > 0 && start < input.length() => {
            foreign::open(input, start, kind::Container::Mp3, channel)?
        }
        Kind::Unknown if start > 0 => {
            return Err(kind::unsupported(&path, "MP3 audio (by its ID3v2 tag)"));
        }
        Kind::Unknown if input.length() == 0 => {
            return Err(Error::file(path, "the file is empty"));
        }
        Kind::Unknown => {
            return Err(Error::file(
                path,
                "no audio file of a known format (by its first bytes, whatever its name)",
            ));
        }
    };
    Ok(blocks)
}
