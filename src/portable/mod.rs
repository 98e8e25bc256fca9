//! Models for programs in other languages: all that Python, C and browsers need, without Burn.
//!
//! A [`Model`] makes embeddings as `revox embed` does on a CPU, to the bit, and reads scores as
//! `revox compare` does: it stands on the same front-end, runtime and scoring. Any number of
//! threads may use one at one time.
//!
//! ```no_run
//! use revox::portable::Model;
//!
//! let model = Model::open("model.safetensors".as_ref())?;
//! let tone: Vec<f32> = (0..48_000).map(|i| (i as f32 * 0.05).sin()).collect();
//! let first = model.hear(&tone, 48_000)?;
//! let second = model.hear_file("a.wav".as_ref(), None)?;
//! let verdict = model.compare(&first, &second)?;
//! assert!(verdict.score <= 1.0);
//! # Ok::<(), revox::Error>(())
//! ```

mod verdict;

use std::ops::Range;
use std::path::Path;

use crate::audio::{Meter, Source};
use crate::error::{Error, Remedy, Result};
use crate::infer::Runtime;
use crate::inference::{
    Batches, Extractor, Facts, Opened, Opener, Reading, Receiver, WAITING, WINDOW, Way, embed,
};
use crate::model_file::{Header, Plain, SHIPPED};
pub use verdict::Verdict;

/// A recording that was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// The embedding, `[dim]`.
    pub embedding: Vec<f32>,
    /// Its length, level and quality, and what makes its scores less reliable.
    pub facts: Facts,
}

/// Receives the place of a recording, and the recording or its error. An error of its own ends the
/// work.
pub type Each<'a> = dyn FnMut(usize, Result<Utterance>) -> Result<()> + 'a;

/// A model, ready to hear.
pub struct Model {
    header: Header,
    hash: String,
    runtime: Runtime,
    extractor: Extractor,
    meter: Meter,
}

impl Model {
    /// The model of a file.
    ///
    /// # Errors
    /// A file that is no model, or damaged; one that contradicts itself; one of a later version.
    /// Without the feature `burn`, one of an older version that lacks its network's graph
    /// ([`Remedy::WriteAnew`]).
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(Plain::open(path)?)
    }

    /// The model whose file's bytes these are. Errors call the file `the model`.
    ///
    /// # Errors
    /// Those of [`Model::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::of(Plain::from_bytes(Path::new("the model"), bytes)?)
    }

    /// The small model that revox ships with, `models/default`.
    ///
    /// # Errors
    /// Those of [`Model::open`]: it would be a damaged program.
    pub fn shipped() -> Result<Self> {
        Self::of(Plain::from_bytes(Path::new("the model that revox ships"), SHIPPED.to_vec())?)
    }

    fn of(plain: Plain) -> Result<Self> {
        let (header, hash) = (plain.header.clone(), plain.hash.clone());
        let runtime = Runtime::of_plain(plain)?;
        let extractor = Extractor::new(&header.frontend)?.at_least(runtime.least_frames());
        let meter = Meter::new(&header.frontend.fbank)?;
        Ok(Self { header, hash, runtime, extractor, meter })
    }

    /// The name of its network, such as `resnet34`.
    pub fn name(&self) -> &str {
        &self.header.arch.name
    }

    /// Values of an embedding.
    pub fn dim(&self) -> usize {
        self.header.embedding_dim
    }

    /// The rate of the samples that its front-end takes, Hz. Others are resampled.
    pub fn sample_rate(&self) -> u32 {
        self.header.frontend.fbank.sample_rate
    }

    /// SHA-256 of its file, in hex: what `sha256sum` says of it.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// All that its file says of it.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Hears samples of one channel, full scale = 1, at a rate in Hz. Recordings longer than five
    /// minutes are heard in windows of equal length; their embedding is the mean of the windows'.
    ///
    /// # Errors
    /// No samples, or some that are not finite; a rate that no audio has; fewer samples than the
    /// network takes.
    pub fn hear(&self, samples: &[f32], rate: u32) -> Result<Utterance> {
        self.only(&|_, wanted, _| of_samples(0, samples, rate, wanted))
    }

    /// Hears an audio file: WAV, FLAC, AIFF, CAF and SPHERE, and with the feature `formats` AAC,
    /// ALAC, MP3, Vorbis and Opus. `channel` counts from 0; files of several channels need it.
    ///
    /// # Errors
    /// Those of [`Source::open`] and [`Model::hear`].
    pub fn hear_file(&self, path: &Path, channel: Option<usize>) -> Result<Utterance> {
        self.only(&|_, wanted, _| Source::open(path, wanted, channel))
    }

    /// Hears recordings on all threads, in bounded memory, and gives them to `each` in their order.
    /// A recording is its samples and their rate.
    ///
    /// # Errors
    /// Those of `each`. That of a recording goes to `each`.
    pub fn hear_many(&self, all: &[(&[f32], u32)], each: &mut Each) -> Result<()> {
        let open =
            |i: usize, wanted: u32, _: Option<usize>| of_samples(i, all[i].0, all[i].1, wanted);
        self.utterances(0..all.len(), &open, each)
    }

    /// As [`Model::hear_many`], of files.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn hear_files(
        &self,
        paths: &[&Path],
        channel: Option<usize>,
        each: &mut Each,
    ) -> Result<()> {
        let open =
            |i: usize, wanted: u32, _: Option<usize>| Source::open(paths[i], wanted, channel);
        self.utterances(0..paths.len(), &open, each)
    }

    /// The embedding `[dim]` of samples of one channel, full scale = 1, at a rate in Hz.
    ///
    /// # Errors
    /// Those of [`Model::hear`].
    pub fn embed(&self, samples: &[f32], rate: u32) -> Result<Vec<f32>> {
        self.hear(samples, rate).map(|utterance| utterance.embedding)
    }

    /// The embeddings `[dim]` of recordings, on all threads.
    ///
    /// # Errors
    /// The first recording's that has one; see [`Model::hear`].
    pub fn embed_many(&self, all: &[(&[f32], u32)]) -> Result<Vec<Vec<f32>>> {
        let mut embeddings = Vec::with_capacity(all.len());
        self.hear_many(all, &mut |_, utterance| {
            embeddings.push(utterance?.embedding);
            Ok(())
        })?;
        Ok(embeddings)
    }

    /// What samples offer, without an embedding: length, level, seconds of speech, clipping,
    /// bandwidth, and warnings.
    ///
    /// # Errors
    /// Those of [`Model::hear`].
    pub fn quality(&self, samples: &[f32], rate: u32) -> Result<Facts> {
        let reading = self.reading();
        match reading.begin(of_samples(0, samples, rate, reading.rate())?)? {
            Opened::Short(facts, _) => Ok(facts),
            Opened::Long(mut source) => reading.windows(&mut source, &mut |_| ()),
        }
    }

    fn reading(&self) -> Reading<'_> {
        let Self { extractor, meter, .. } = self;
        Reading { extractor, meter, channel: None, window: WINDOW, vad: false }
    }

    /// The only recording that is opened.
    fn only(&self, open: &Opener) -> Result<Utterance> {
        let mut heard = None;
        self.utterances(0..1, open, &mut |_, utterance| {
            heard = Some(utterance?);
            Ok(())
        })?;
        heard.ok_or_else(|| Error::invalid("nothing was heard"))
    }

    fn utterances(&self, places: Range<usize>, open: &Opener, each: &mut Each) -> Result<()> {
        let done = |_: usize| ();
        let batches = Batches::new(Way::Runtime(&self.runtime), &done);
        embed(&self.reading(), batches, WAITING, places, open, &mut To(each))
    }
}

/// Samples as a source. Messages count them as a list does.
fn of_samples(place: usize, samples: &[f32], rate: u32, wanted: u32) -> Result<Source> {
    let name = format!("recording {}", place + 1);
    Source::of_samples(Path::new(&name), samples.to_vec(), rate, wanted)
}

/// A function that receives.
struct To<'f, 't>(&'f mut Each<'t>);

impl Receiver for To<'_, '_> {
    fn take(&mut self, place: usize, result: Result<(Facts, Vec<f32>)>) -> Result<()> {
        (self.0)(place, result.map(|(facts, embedding)| Utterance { embedding, facts }))
    }
}

/// What helps against an error, in words for programs that are not `revox`, if anything does.
pub fn advice(error: &Error) -> Option<String> {
    Some(match error.remedy()? {
        Remedy::WriteAnew => "`revox export MODEL -o NEW.safetensors` writes it anew".into(),
        Remedy::Import => {
            "`revox import FILE -o MODEL` makes a model of a WeSpeaker checkpoint or an ONNX file"
                .into()
        }
        Remedy::ChooseChannel { channels } => {
            format!("choose a channel, from 0 to {}", channels - 1)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
