//! The samples of a file, a piece at a time, so that a recording of many hours takes no more memory
//! than a short one.

mod open;

use std::path::{Path, PathBuf};

use super::blocks::Blocks;
use super::input::PAGE;
use super::level::Level;
use super::narrowband_warning;
use super::resample::{Resampling, is_rate, resampled_length};
use crate::error::{Error, Result};

/// One channel of an audio file, at any rate. Its samples are those of [`load`], in pieces of any
/// length.
///
/// ```no_run
/// # use revox::audio::Source;
/// let mut source = Source::open("a.wav", 16_000, None)?;
/// loop {
///     let second = source.read(16_000)?;
///     if second.is_empty() {
///         break;
///     }
/// }
/// # Ok::<(), revox::Error>(())
/// ```
///
/// [`load`]: super::load
pub struct Source {
    path: PathBuf,
    blocks: Box<dyn Blocks + Send>,
    sample_rate: u32,
    resampling: Option<Resampling>,
    /// The block that was decoded last.
    block: Vec<f32>,
    /// Number of samples in the blocks before it.
    seen: usize,
    /// Decoded samples at the wanted rate that are still to be read.
    ready: Vec<f32>,
    /// Number of samples read so far.
    given: usize,
    ended: bool,
}

impl Source {
    /// The same from its first sample, with every check that the format has: of a FLAC file, the
    /// MD5 of all its samples is compared at its end, and another one is an error of
    /// [`Source::read`]. Frames whose checksums are wrong, missing frames and a cut always are.
    ///
    /// It is for files that are looked at for the first time: an MD5 takes half as long as decoding
    /// the samples.
    #[must_use]
    pub fn verified(mut self) -> Self {
        self.blocks.verify();
        self.rewind();
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Samples per second after resampling.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Samples per second in the file, before resampling.
    pub fn source_rate(&self) -> u32 {
        self.blocks.rate()
    }

    /// The warning of [`Audio::narrowband_warning`](super::Audio::narrowband_warning).
    pub fn narrowband_warning(&self) -> Option<String> {
        narrowband_warning(self.source_rate(), self.sample_rate)
    }

    /// Number of samples of the whole file, if the header gives it, as in a WAV file. A FLAC
    /// file may hold more samples than its header promises.
    pub fn known_length(&self) -> Option<usize> {
        self.at_the_rate(self.blocks.length())
    }

    /// Number of samples of the whole file as the header promises it. A file may hold more; one
    /// that holds fewer is an error at its end.
    pub fn promised_length(&self) -> Option<usize> {
        self.at_the_rate(self.blocks.promised())
    }

    fn at_the_rate(&self, length: Option<u64>) -> Option<usize> {
        // Callers reserve memory for the result, so an impossible rate must not decide it.
        let length = length.filter(|_| self.resampling.is_none() || is_rate(self.source_rate()))?;
        Some(resampled_length(length as usize, self.source_rate(), self.sample_rate))
    }

    /// Number of samples of the whole file. If the header does not tell, the file is decoded to its
    /// end. Reading begins again at the first sample.
    ///
    /// # Errors
    /// A damaged or cut file.
    pub fn length(&mut self) -> Result<usize> {
        self.rewind();
        if let Some(length) = self.known_length() {
            return Ok(length);
        }
        let mut length = 0;
        while self.blocks.more(&mut self.block)? {
            length += self.block.len();
            self.block.clear();
        }
        self.rewind();
        Ok(resampled_length(length, self.source_rate(), self.sample_rate))
    }

    /// The next samples, full scale = 1: `wanted` of them, fewer at the end of the file, then none.
    ///
    /// # Errors
    /// A file without samples, with samples that are not finite, cut off or damaged. The end of the
    /// file is checked once there are fewer samples than wanted.
    pub fn read(&mut self, wanted: usize) -> Result<Vec<f32>> {
        let mut samples = std::mem::take(&mut self.ready);
        // A promise may be wrong, so little is reserved for it.
        let length = self
            .known_length()
            .or_else(|| self.promised_length().map(|n| n.min(self.given + PAGE as usize)));
        if let Some(length) = length {
            let most = wanted.saturating_add(PAGE as usize).min(16 * PAGE as usize);
            samples
                .reserve(length.saturating_sub(self.given).min(most).saturating_sub(samples.len()));
        }
        while samples.len() < wanted && !self.ended {
            // How many a resampler needs is its own affair.
            if self.resampling.is_none() {
                self.blocks.expect((wanted - samples.len()) as u64);
            }
            self.more(&mut samples)?;
        }
        if samples.len() > wanted {
            self.ready = samples.split_off(wanted);
        }
        self.given += samples.len();
        Ok(samples)
    }

    /// The level of the samples that are left, without keeping them.
    ///
    /// # Errors
    /// Those of [`Source::read`].
    pub fn level(&mut self) -> Result<Level> {
        let mut level = Level::default();
        loop {
            let samples = self.read(PAGE as usize)?;
            if samples.is_empty() {
                return Ok(level);
            }
            level.add(&samples);
        }
    }

    /// Goes back to the first sample.
    pub fn rewind(&mut self) {
        self.blocks.rewind();
        if let Some(resampling) = &mut self.resampling {
            *resampling = Resampling::new(self.blocks.rate(), self.sample_rate);
        }
        self.block.clear();
        self.ready.clear();
        (self.seen, self.given, self.ended) = (0, 0, false);
    }

    /// Goes on with this sample: the next read gives what follows it. Most formats find a sample
    /// without decoding what is in front of it. A file at another rate is decoded from its start,
    /// since a resampler needs all of it.
    ///
    /// # Errors
    /// Those of [`Source::read`].
    pub fn seek(&mut self, sample: usize) -> Result<()> {
        self.rewind();
        if self.resampling.is_none() {
            let first = self.blocks.seek(sample as u64)? as usize;
            (self.seen, self.given) = (first, first);
        }
        while self.given < sample {
            let wanted = (sample - self.given).min(PAGE as usize);
            if self.read(wanted)?.len() < wanted {
                break;
            }
        }
        Ok(())
    }

    /// Decodes a block and appends its samples at the wanted rate.
    fn more(&mut self, out: &mut Vec<f32>) -> Result<()> {
        if self.resampling.is_none() {
            let before = out.len();
            self.ended = !self.blocks.more(out)?;
            return self.check(&out[before..]);
        }
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        self.ended = !self.blocks.more(&mut block)?;
        self.check(&block)?;
        if let Some(resampling) = &mut self.resampling {
            let pushed = resampling.push(&block, self.ended, out);
            pushed.map_err(|e| Error::file(&self.path, e.to_string()))?;
        }
        self.block = block;
        Ok(())
    }

    /// Counts the samples of a block, and refuses values that are no numbers.
    fn check(&mut self, block: &[f32]) -> Result<()> {
        // One look at all values is faster than a search for the first.
        if !block.iter().fold(true, |all, x| all & x.is_finite()) {
            let i = block.iter().position(|x| !x.is_finite()).unwrap_or_default();
            let message = format!("sample {} is {}, not a number", self.seen + i, block[i]);
            return Err(Error::file(&self.path, message));
        }
        self.seen += block.len();
        match self.ended && self.seen == 0 {
            true => Err(Error::file(&self.path, "holds no samples")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
