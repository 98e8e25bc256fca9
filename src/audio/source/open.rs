//! How a source is opened.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Source;
use crate::audio::blocks::{self, Blocks};
use crate::audio::held::Held;
use crate::audio::input::Input;
use crate::audio::resample::{Resampling, is_rate};
use crate::error::{Error, Result};

impl Source {
    /// Opens a file. Its content decides the format, not its name. `channel` counts from 0. ID3v2
    /// tags in front are skipped.
    ///
    /// Of a file that holds samples as they are (WAV, AIFF, SPHERE) what is wanted is read. Another
    /// file of at most 4 MB and a pipe are read at once, and a longer file along with its samples.
    ///
    /// # Errors
    /// A file of several channels without a chosen one
    /// ([`Remedy::ChooseChannel`](crate::error::Remedy::ChooseChannel)); a damaged file, as far as
    /// its header tells; a file of another format, by its name where it is known.
    pub fn open(path: impl AsRef<Path>, sample_rate: u32, channel: Option<usize>) -> Result<Self> {
        Self::of(Input::open(path.as_ref())?, sample_rate, channel)
    }

    /// The file with these bytes. Errors call it `name`.
    ///
    /// # Errors
    /// Those of [`Source::open`].
    pub fn of_bytes(
        name: &Path,
        bytes: Vec<u8>,
        sample_rate: u32,
        channel: Option<usize>,
    ) -> Result<Self> {
        Self::of(Input::held(name, bytes), sample_rate, channel)
    }

    /// Samples in memory, full scale = 1, at a rate of `source_rate` Hz. Errors call them `name`.
    ///
    /// # Errors
    /// A rate that no audio has.
    pub fn of_samples(
        name: &Path,
        samples: Vec<f32>,
        source_rate: u32,
        sample_rate: u32,
    ) -> Result<Self> {
        if !is_rate(source_rate) {
            return Err(Error::file(name, format!("{source_rate} Hz: not a rate of audio")));
        }
        let blocks = Box::new(Held::new(samples, source_rate));
        Ok(Self::of_blocks(name.to_owned(), blocks, sample_rate))
    }

    /// The file that is a part of another one, at these bytes. Errors call it `name`.
    ///
    /// # Errors
    /// Those of [`Source::open`]; a file that does not have these bytes.
    pub(crate) fn of_part(
        name: &Path,
        file: Arc<File>,
        place: Range<u64>,
        sample_rate: u32,
        channel: Option<usize>,
    ) -> Result<Self> {
        Self::of(Input::part(name, file, place)?, sample_rate, channel)
    }

    pub(super) fn of(input: Input, sample_rate: u32, channel: Option<usize>) -> Result<Self> {
        let path = input.path().to_owned();
        Ok(Self::of_blocks(path, blocks::open(input, channel)?, sample_rate))
    }

    fn of_blocks(path: PathBuf, blocks: Box<dyn Blocks + Send>, sample_rate: u32) -> Self {
        let from = blocks.rate();
        Self {
            path,
            blocks,
            sample_rate,
            resampling: (from != sample_rate).then(|| Resampling::new(from, sample_rate)),
            block: Vec::new(),
            seen: 0,
            ready: Vec::new(),
            given: 0,
            ended: false,
        }
    }
}
