//! From recordings to embeddings, with one network.

use std::borrow::Borrow;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

use super::batches::{Batches, of_windows};
use super::files::{Function, Opener, Receiver, Taker, WAITING, embed};
use super::reading::{Reading, WINDOW};
use super::shapes::{Padding, Shapes};
use super::{Extractor, Features};
use crate::audio::Source;
use crate::backend::is_gpu;
use crate::error::{Error, Result};
use crate::model_file::{Frontend, Model};
use crate::zoo::Network;

/// Turns recordings into embeddings.
///
/// A recording longer than a window ([`Embedder::window`]) is cut into windows of equal length. Its
/// embedding is the mean of theirs, each scaled to unit length.
///
/// CPU backends run utterances as they are. On GPUs a new length costs more than its pass, so
/// utterances are padded to a few lengths. Masks leave an embedding what it is without padding, up
/// to rounding: 1e-5 of its largest value. [`Embedder::padding`] tells which lengths there were.
///
/// ```no_run
/// use revox::inference::Embedder;
/// use revox::model_file::Model;
///
/// let device = Default::default();
/// let model = Model::load("model.safetensors", &device)?;
/// let embedder = Embedder::of(&model, &device)?.window(60.0).channel(Some(0));
/// let embedding = embedder.file("a.wav".as_ref())?;
/// # Ok::<(), revox::Error>(())
/// ```
pub struct Embedder<'a> {
    network: &'a Network,
    extractor: Extractor,
    device: Device,
    channel: Option<usize>,
    window: f64,
    /// Bytes of features after which embeddings are handed over.
    waiting: usize,
    /// What utterances are padded to, on GPUs.
    padding: Option<Mutex<Padding>>,
}

impl<'a> Embedder<'a> {
    /// An embedder with a network on `device` and the front-end that it was trained with.
    ///
    /// # Errors
    /// Those of [`Extractor::new`].
    pub fn new(network: &'a Network, frontend: &Frontend, device: &Device) -> Result<Self> {
        let extractor = Extractor::new(frontend)?.at_least(network.least_frames());
        let padding = is_gpu(device).then(|| Mutex::new(Padding::new(&frontend.fbank)));
        let device = device.clone();
        let (channel, window, waiting) = (None, WINDOW, WAITING);
        Ok(Self { network, extractor, device, channel, window, waiting, padding })
    }

    /// An embedder with a model that was loaded to `device`.
    ///
    /// # Errors
    /// Those of [`Extractor::new`].
    pub fn of(model: &'a Model, device: &Device) -> Result<Self> {
        Self::new(&model.network, &model.header.frontend, device)
    }

    /// Limits the seconds that the network takes at once, and so its memory. [`WINDOW`] by default.
    #[must_use]
    pub fn window(self, seconds: f64) -> Self {
        Self { window: seconds, ..self }
    }

    /// Reads this channel, from 0, of every file. Without it, files of several channels are
    /// errors.
    #[must_use]
    pub fn channel(self, channel: Option<usize>) -> Self {
        Self { channel, ..self }
    }

    /// The embedding `[dim]` of samples at the front-end's rate, full scale = 1.
    ///
    /// # Errors
    /// Those of [`Extractor::features`].
    pub fn samples(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let windows = self.reading().features_of(samples)?;
        let windows: Vec<&Features> = windows.iter().collect();
        Ok(of_windows(self.features(&windows, &|_| ()).into_iter()))
    }

    /// The embedding `[dim]` of a file.
    ///
    /// # Errors
    /// Those of [`audio::load`](crate::audio::load) and of [`Extractor::features`].
    pub fn file(&self, path: &Path) -> Result<Vec<f32>> {
        let mut embedding = None;
        self.files(&[path], &mut |_, result| {
            embedding = Some(result?.1);
            Ok(())
        })?;
        embedding.ok_or_else(|| Error::file(path, "has no embedding"))
    }

    /// Embeddings of files, in their order and in bounded memory. `each` gets the place of every
    /// file with its facts and its embedding `[dim]`, or the error; it ends the work by returning
    /// an error.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn files(&self, paths: &[&Path], each: &mut Taker) -> Result<()> {
        let open =
            |i: usize, rate: u32, channel: Option<usize>| Source::open(paths[i], rate, channel);
        self.utterances(0..paths.len(), &open, &mut Function(each))
    }

    /// Embeddings of the utterances at `places` of a list, in their order and in bounded memory.
    /// `open` opens each recording. `receiver` gets the results, and the places at which the work
    /// could begin anew.
    ///
    /// # Errors
    /// Those of `receiver`.
    pub fn utterances(
        &self,
        places: Range<usize>,
        open: &Opener,
        receiver: &mut dyn Receiver,
    ) -> Result<()> {
        let batches = self.batches(&|_| ());
        embed(&self.reading(), batches, self.waiting, places, open, receiver)
    }

    /// The embedding `[dim]` of each feature set, in their order. Feature sets of equal length run
    /// together; on GPUs also those that are padded to one length. `done` is called with the number
    /// of feature sets of each batch.
    pub fn features(&self, features: &[&Features], done: &dyn Fn(usize)) -> Vec<Vec<f32>> {
        let mut batches = self.batches(done);
        features.iter().for_each(|features| batches.add(*features));
        batches.finish()
    }

    /// What utterances were padded to since the embedder was made. Nothing before the first of
    /// them, and nothing on CPU backends.
    pub fn padding(&self) -> Option<Padding> {
        let padding = self.padding.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        (!padding.seconds().is_empty()).then(|| padding.clone())
    }

    fn batches<'b, F: Borrow<Features>>(&'b self, done: &'b dyn Fn(usize)) -> Batches<'b, F> {
        let longest = self.extractor.fbank().config().frames_of(self.reading().longest());
        let shapes = self.padding.as_ref().map(|padding| Shapes { longest, padding });
        Batches::new(self.network, &self.device, shapes, done)
    }

    fn reading(&self) -> Reading<'_> {
        Reading { extractor: &self.extractor, channel: self.channel, window: self.window }
    }

    /// The same, which hands embeddings over after so many bytes of features.
    #[cfg(test)]
    pub(crate) fn waiting(self, waiting: usize) -> Self {
        Self { waiting, ..self }
    }

    /// The same, which pads as if its device were a GPU.
    #[cfg(test)]
    pub(super) fn padding_as_on_gpus(self) -> Self {
        let padding = Padding::new(self.extractor.fbank().config());
        Self { padding: Some(Mutex::new(padding)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{load, write_wav16};
    use crate::inference::tests::{frontend, network, recording, tone};

    #[test]
    fn samples_have_the_embedding_of_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write_wav16(&path, &tone(50_000), 16_000).unwrap();
        let samples = load(&path, 16_000, None).unwrap().samples;
        let (network, device) = (network(), Device::default());
        for window in [WINDOW, 3.125, 1.0, 0.7] {
            let embedder = Embedder::new(&network, &frontend(), &device).unwrap().window(window);
            let embedding = embedder.file(&path).unwrap();
            assert_eq!(embedding.len(), 8);
            assert_eq!(embedder.samples(&samples).unwrap(), embedding, "{window}");
        }
        let embedder = Embedder::new(&network, &frontend(), &device).unwrap();
        assert!(embedder.samples(&[]).is_err() && embedder.samples(&samples[..100]).is_err());
        let error = embedder.file(&dir.path().join("b.wav")).unwrap_err().to_string();
        assert!(error.contains("b.wav"), "{error}");
    }

    #[test]
    fn the_embedding_of_windows_is_their_mean_direction() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write_wav16(&path, &tone(50_000), 16_000).unwrap();
        let (network, device) = (network(), Device::default());
        let of = |window| {
            let embedder = Embedder::new(&network, &frontend(), &device).unwrap().window(window);
            let windows = recording(&embedder.reading(), &path).unwrap().windows;
            let rows = embedder.features(&windows.iter().collect::<Vec<_>>(), &|_| ());
            (embedder.file(&path).unwrap(), rows)
        };
        let (mean, rows) = of(1.0);
        let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
        for (i, m) in mean.iter().enumerate() {
            let wanted = rows.iter().map(|row| row[i] / length(row)).sum::<f32>() / 4.0;
            assert!((m - wanted).abs() < 1e-6, "{m} {wanted}");
        }
        let (single, rows) = of(WINDOW);
        assert_eq!(vec![single], rows);
    }

    #[test]
    fn a_channel_is_chosen() {
        let dir = tempfile::tempdir().unwrap();
        let (two, one) = (dir.path().join("two.wav"), dir.path().join("one.wav"));
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&two, spec).unwrap();
        let samples = tone(8000);
        for x in &samples {
            writer.write_sample(0i16).unwrap();
            writer.write_sample((x * 32_768.0).round() as i16).unwrap();
        }
        writer.finalize().unwrap();
        write_wav16(&one, &samples, 16_000).unwrap();
        let (network, device) = (network(), Device::default());
        let embedder = || Embedder::new(&network, &frontend(), &device).unwrap();
        let error = embedder().file(&two).unwrap_err().to_string();
        assert!(error.contains("has 2 channels"), "{error}");
        assert_eq!(embedder().channel(Some(1)).file(&two).unwrap(), embedder().file(&one).unwrap());
    }
}
