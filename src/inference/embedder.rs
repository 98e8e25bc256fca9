//! From recordings to embeddings, with one network.

use std::borrow::Borrow;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

use super::batches::{Batches, Way};
use super::files::{Opener, Receiver, Taker, WAITING, embed};
use super::reading::{Reading, WINDOW};
use super::shapes::{Padding, Shapes};
use super::windows::of_windows;
use super::{Extractor, Facts, Features};
use crate::audio::{Meter, Source};
use crate::backend::is_gpu;
use crate::error::{Error, Result};
use crate::infer::Runtime;
use crate::model_file::{Frontend, Model};
use crate::terminal::note;
use crate::zoo::Network;

/// Turns recordings into embeddings.
///
/// A recording longer than a window ([`Embedder::window`]) is cut into windows of equal length. Its
/// embedding is the mean of theirs, each scaled to unit length.
///
/// On the backend flex a [`Runtime`] takes the place of Burn's forward pass. Embeddings are Burn's
/// up to rounding: 1e-5 of the largest value. They do not depend on what else is embedded, nor on
/// the number of threads. Burn runs networks in training that have a quantizer attached or compute
/// in fewer bits, packed networks without their model, and, with a note, networks with an operation
/// that the runtime lacks.
///
/// A model with ranges of activations ([`Activations`](crate::quant::Activations)) computes in
/// integers where a runtime runs it. Burn computes its activations in f32, with a note.
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
    /// What runs the network in Burn's place.
    runtime: Option<Runtime>,
    extractor: Extractor,
    meter: Meter,
    device: Device,
    channel: Option<usize>,
    window: f64,
    vad: bool,
    /// Bytes of features after which embeddings are handed over.
    waiting: usize,
    /// What utterances are padded to, on GPUs.
    padding: Option<Mutex<Padding>>,
}

impl<'a> Embedder<'a> {
    /// An embedder with a network on `device` and the front-end that it was trained with. All
    /// activations are f32.
    ///
    /// # Errors
    /// Those of [`Extractor::new`].
    ///
    /// # Panics
    /// If the network takes another number of mel filters than the front-end has.
    pub fn new(network: &'a Network, frontend: &Frontend, device: &Device) -> Result<Self> {
        let embedder = Self::by_burn(network, frontend, device)?;
        let is_taken = is_flex(device) && Runtime::takes(network);
        Ok(embedder.by(is_taken.then(|| Runtime::of_network(network, frontend.fbank.mels))))
    }

    /// An embedder with a model that was loaded to `device`.
    ///
    /// # Errors
    /// Those of [`Extractor::new`].
    pub fn of(model: &'a Model, device: &Device) -> Result<Self> {
        let embedder = Self::by_burn(&model.network, &model.header.frontend, device)?;
        let is_packed = !model.header.quantization.is_empty();
        let is_taken = is_flex(device) && (is_packed || Runtime::takes(&model.network));
        let embedder = embedder.by(is_taken.then(|| Runtime::of(model)));
        if model.header.activations.is_some() && embedder.runtime.is_none() {
            note!(
                "the model's activations are computed in f32, not in its 8 bits, which only the \
                 backend flex has"
            );
        }
        Ok(embedder)
    }

    /// An embedder that takes Burn's forward pass on every device: the plain twin.
    pub(crate) fn by_burn(
        network: &'a Network,
        frontend: &Frontend,
        device: &Device,
    ) -> Result<Self> {
        let extractor = Extractor::new(frontend)?.at_least(network.least_frames());
        let meter = Meter::new(&frontend.fbank)?;
        let padding = is_gpu(device).then(|| Mutex::new(Padding::new(&frontend.fbank)));
        let (device, runtime) = (device.clone(), None);
        Ok(Self {
            network,
            runtime,
            extractor,
            meter,
            device,
            channel: None,
            window: WINDOW,
            vad: false,
            waiting: WAITING,
            padding,
        })
    }

    /// The same with a runtime, unless it lacks an operation.
    fn by(self, runtime: Option<Result<Runtime>>) -> Self {
        let runtime = runtime.transpose().unwrap_or_else(|e| {
            note!("{e}: Burn runs the network, which is slower");
            None
        });
        Self { runtime, ..self }
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

    /// Leaves out the frames that are no speech, as [`Vad`](crate::audio::Vad) tells them, window
    /// by window. A window with less speech than the network takes is left out as a whole. A
    /// recording without another window is an error.
    #[must_use]
    pub fn vad(self, vad: bool) -> Self {
        Self { vad, ..self }
    }

    /// The embedding `[dim]` of samples at the front-end's rate, full scale = 1.
    ///
    /// # Errors
    /// Those of [`Extractor::features`]; no speech, where [only speech](Embedder::vad) is taken.
    pub fn samples(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let windows = self.reading().features_of(samples)?;
        let windows: Vec<&Features> = windows.iter().collect();
        Ok(of_windows(self.features(&windows, &|_| ()).into_iter()))
    }

    /// The embedding `[dim]` of a file.
    ///
    /// # Errors
    /// Those of [`Source::open`], of [`Source::read`] and of [`Embedder::samples`].
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
    ///
    /// # Panics
    /// If a feature set has fewer frames than the network takes ([`Network::least_frames`]), or
    /// another number of mel filters.
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
        let way = match (&self.runtime, &self.padding) {
            (Some(runtime), _) => Way::Runtime(runtime),
            (None, None) => Way::Burn(self.network, &self.device),
            (None, Some(padding)) => {
                let fbank = self.extractor.fbank().config();
                let longest = fbank.frames_of(self.reading().longest());
                Way::Padded(self.network, &self.device, Shapes { longest, padding })
            }
        };
        Batches::new(way, done)
    }

    fn reading(&self) -> Reading<'_> {
        let Self { extractor, meter, channel, window, vad, .. } = self;
        Reading { extractor, meter, channel: *channel, window: *window, vad: *vad }
    }

    /// The same, which hands embeddings over after so many bytes of features.
    #[cfg(test)]
    pub(crate) fn waiting(self, waiting: usize) -> Self {
        Self { waiting, ..self }
    }

    /// The same, which pads as if its device were a GPU. It must be [by Burn](Self::by_burn).
    #[cfg(test)]
    pub(super) fn padding_as_on_gpus(self) -> Self {
        let padding = Padding::new(self.extractor.fbank().config());
        Self { padding: Some(Mutex::new(padding)), ..self }
    }
}

/// A function as a receiver.
struct Function<'f, 't>(&'f mut Taker<'t>);

impl Receiver for Function<'_, '_> {
    fn take(&mut self, place: usize, result: Result<(Facts, Vec<f32>)>) -> Result<()> {
        (self.0)(place, result)
    }
}

/// Whether a device is the processor, used by Burn's own kernels.
fn is_flex(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return device.clone().inner() == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

#[cfg(test)]
mod tests;
