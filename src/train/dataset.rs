//! Training examples: random crops of random variants of the training utterances. Each is drawn
//! from a stream keyed by (seed, epoch, utterance, pass), so it does not depend on thread and time.

mod crops;
mod example;
pub(super) mod left_out;
mod news;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use self::crops::Crops;
pub use self::example::{Example, Mark, Stage};
use self::left_out::LeftOut;
use super::Recipe;
use super::on_device::{Extractors, OnDevice};
use super::recipe::Place as Where;
use super::sounds::Variation;
use crate::audio::Dither;
use crate::audio::augment::{SpecAugment, mask, speed};
use crate::corpus::{Corpus, Done, Place, shards};
use crate::error::{Error, Result};
use crate::inference::Extractor;
use crate::rng::Stream;

/// A set of training examples.
pub struct TrainSet {
    corpus: Corpus,
    crops: Crops,
    left_out: LeftOut,
    extractor: Extractor,
    /// Features on devices, if the recipe wants them there.
    extractors: Option<Arc<Extractors>>,
    variation: Variation,
    spec: Option<SpecAugment>,
    speeds: Vec<f64>,
    frames: usize,
    passes: usize,
    seed: u64,
    /// Neighbouring tar files whose utterances are shuffled together.
    mix: usize,
    /// The epoch and pass for which each tar file was announced to the system last, as one number.
    announced: Vec<AtomicU32>,
    warn: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Why there is no example.
enum Fault {
    /// The utterance's audio.
    Audio(Error),
    /// Something else.
    Other(Error),
}

impl TrainSet {
    /// Reads the lists of utterances, noises and room responses. Audio is read when it is needed.
    /// `warn` gets warnings about it. `done` is called as [`Corpus::load_all_with`] calls it.
    ///
    /// # Errors
    /// Lists that cannot be read. Fewer than two speakers.
    pub fn new(
        recipe: &Recipe,
        warn: Arc<dyn Fn(&str) + Send + Sync>,
        done: &Done,
    ) -> Result<Self> {
        let data = &recipe.data;
        let corpus = Corpus::load_all_with(&data.train, done)?;
        let left_out = LeftOut::new(data.tolerate, corpus.utterances.len());
        left_out.foresee(corpus.missing().count());
        for (place, error) in corpus.missing() {
            if let Some(text) = left_out.add(place, error)? {
                warn(&format!("{text}; left out"));
            }
        }
        if corpus.speakers.len() < 2 {
            return Err(Error::file(&data.train, "training needs at least two speakers"));
        }
        let rate = recipe.frontend.sample_rate;
        let extractor = Extractor::new(&recipe.frontend())?;
        let extractors = match data.features {
            Where::Host => None,
            Where::Device => Some(Arc::new(Extractors::new(&recipe.frontend())?)),
        };
        let (count, least) = (corpus.utterances.len(), extractor.fbank().config().frame_length());
        let announced = (0..corpus.shards().map_or(0, |shards| shards.len()))
            .map(|_| AtomicU32::new(0))
            .collect();
        Ok(Self {
            crops: Crops::new(count, rate, least, data.cache_mib << 20, warn.clone()),
            left_out,
            variation: Variation::new(&recipe.augment, rate, data.tolerate, &warn)?,
            spec: recipe.augment.spec.clone(),
            speeds: data.speeds.clone(),
            frames: data.frames,
            passes: data.passes,
            seed: recipe.seed,
            mix: data.shard_mix,
            announced,
            extractor,
            extractors,
            corpus,
            warn,
        })
    }

    /// The corpus.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// Number of classes: speakers times speeds.
    pub fn classes(&self) -> usize {
        self.corpus.speakers.len() * self.speeds.len()
    }

    /// Examples of an epoch.
    pub fn len(&self) -> usize {
        self.corpus.utterances.len() * self.passes
    }

    /// True when there are no examples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frames and mels of every example.
    pub fn shape(&self) -> [usize; 2] {
        [self.frames, self.extractor.fbank().config().mels]
    }

    /// Shape of the values of an example: those of features, or samples and 1.
    pub(super) fn values(&self) -> [usize; 2] {
        match self.extractors {
            None => self.shape(),
            Some(_) => [self.extractor.fbank().config().samples_for(self.frames), 1],
        }
    }

    /// What a batch needs besides samples where the device makes features, for no example yet.
    pub(super) fn on_device(&self) -> Option<OnDevice> {
        let extractors = self.extractors.clone()?;
        let (dither, masks) = (Vec::new(), Vec::new());
        Some(OnDevice { extractors, dither, masks, shape: self.shape() })
    }

    /// What was left out because its audio cannot be read, one line for each utterance or sound.
    pub fn left_out(&self) -> Vec<String> {
        [self.left_out.faults(), self.variation.left_out()].concat()
    }

    /// The order of an epoch (from 1): utterance and pass. Utterances in tar files are shuffled
    /// within neighbouring ones, so that these are read from front to back.
    pub fn order(&self, epoch: usize) -> Vec<(u32, u32)> {
        let (count, passes) = (self.corpus.utterances.len() as u32, self.passes as u32);
        if self.corpus.shards().is_some() {
            let shards: Vec<u32> = self.corpus.utterances.iter().map(|u| shard(&u.place)).collect();
            return shards::order(&shards, self.seed, epoch, self.passes, self.mix);
        }
        let mut order: Vec<(u32, u32)> =
            (0..count).flat_map(|u| (0..passes).map(move |p| (u, p))).collect();
        Stream::new(self.seed, "shuffle", &[epoch as u64]).shuffle(&mut order);
        order
    }

    /// Tells the system which tar files these examples of an epoch are in, each once a pass.
    pub fn announce(&self, epoch: usize, examples: &[(u32, u32)]) {
        let Some(shards) = self.corpus.shards() else { return };
        let mut soon = Vec::new();
        for &(utterance, pass) in examples {
            let shard = shard(&self.corpus.utterances[utterance as usize].place);
            let time = epoch as u32 * self.passes as u32 + pass;
            if self.announced[shard as usize].swap(time, Ordering::Relaxed) != time {
                soon.push(shard);
            }
        }
        shards.expect(&soon);
    }

    /// An example of an epoch. In the place of an utterance that cannot be read comes another one,
    /// as long as these are few (`data.tolerate`).
    ///
    /// # Errors
    /// Audio that cannot be read, or is shorter than a frame, at its line.
    pub fn example(&self, epoch: usize, utterance: usize, pass: usize) -> Result<Example> {
        self.example_marked(epoch, utterance, pass, &mut |_| ())
    }

    /// [`TrainSet::example`], which tells the end of each stage.
    ///
    /// # Errors
    /// Those of [`TrainSet::example`].
    pub fn example_marked(
        &self,
        epoch: usize,
        utterance: usize,
        pass: usize,
        mark: &mut Mark,
    ) -> Result<Example> {
        let mut number = utterance;
        for attempt in 0.. {
            match self.example_of(epoch, number, pass, mark) {
                Ok(example) => return Ok(example),
                Err(Fault::Other(error)) => return Err(error),
                Err(Fault::Audio(error)) => {
                    if let Some(text) = self.left_out.add(number, error)? {
                        (self.warn)(&format!("{text}; left out"));
                    }
                }
            }
            let keys = [epoch as u64, utterance as u64, pass as u64, attempt];
            let count = self.corpus.utterances.len();
            number = Stream::new(self.seed, "instead", &keys).below(count);
        }
        unreachable!("the number of faults is bounded")
    }

    fn example_of(
        &self,
        epoch: usize,
        number: usize,
        pass: usize,
        mark: &mut Mark,
    ) -> Result<Example, Fault> {
        let entry = &self.corpus.utterances[number];
        let keys = [epoch as u64, number as u64, pass as u64];
        let mut draw = Stream::new(self.seed, "example", &keys);
        let variant = draw.below(self.speeds.len());
        let factor = self.speeds[variant];
        let wanted = self.extractor.fbank().config().samples_for(self.frames);
        // Long enough to have the wanted length when played at the speed.
        let source = (wanted as f64 * factor).ceil() as usize + 1;
        let cropped = self.crops.crop(&self.corpus, number, source, &mut draw, mark);
        let cropped = cropped.map_err(Fault::Audio)?;
        let played = speed(&cropped, factor).map_err(Fault::Other)?;
        let mut samples = played.into_owned();
        samples.resize(wanted, 0.0);
        self.variation.apply(&mut samples, &mut draw).map_err(Fault::Other)?;
        mark(Stage::Augment);
        let label = variant * self.corpus.speakers.len() + entry.speaker as usize;
        let mut example = Example {
            values: samples,
            dither: Vec::new(),
            masks: Vec::new(),
            label,
            id: entry.id.to_string(),
        };
        match self.extractors {
            None => {
                let features = self.extractor.features(&example.values, Some(&mut draw));
                let features = features.map_err(|e| Fault::Audio(self.corpus.at(entry, e)))?;
                example.values = features.values;
                self.mask(&mut example.values, &mut draw);
            }
            Some(_) => self.prepare(&mut example, &mut draw),
        }
        mark(Stage::Features);
        Ok(example)
    }

    fn mask(&self, features: &mut [f32], draw: &mut Stream) {
        if let Some(spec) = &self.spec {
            mask(features, self.shape()[1], spec, draw);
        }
    }

    /// Draws what features on a device need, as features on the host draw it.
    fn prepare(&self, example: &mut Example, draw: &mut Stream) {
        let config = self.extractor.fbank().config();
        if config.dither > 0.0 {
            let offsets = Dither::offsets(self.frames, config.frame_length(), draw);
            example.dither = offsets.into_iter().map(|offset| offset as i64).collect();
        }
        if self.spec.is_some() {
            example.masks = vec![1.0; self.frames * config.mels];
            self.mask(&mut example.masks, draw);
        }
    }
}

/// The tar file of an utterance.
fn shard(place: &Place) -> u32 {
    match place {
        Place::Entry { shard, .. } => *shard,
        Place::File { .. } => 0,
    }
}
