//! Training examples: random crops of random variants of the training utterances. Each is drawn
//! from a stream keyed by (seed, epoch, utterance, pass), so it does not depend on thread and time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Recipe;
use super::recipe::AugmentConfig;
use crate::audio::augment::{add_noise, mask, reverberate, speed};
use crate::audio::load;
use crate::corpus::{Corpus, locate, read_wav_scp};
use crate::error::{Error, Result};
use crate::inference::Extractor;
use crate::rng::Stream;

/// A set of training examples.
pub struct TrainSet {
    corpus: Corpus,
    extractor: Extractor,
    augment: AugmentConfig,
    noises: Vec<Vec<f32>>,
    responses: Vec<Vec<f32>>,
    speeds: Vec<f64>,
    frames: usize,
    passes: usize,
    seed: u64,
    cache: Vec<OnceLock<Arc<[f32]>>>,
    cache_left: AtomicUsize,
    warn: Arc<dyn Fn(&str) + Send + Sync>,
}

/// One example.
pub struct Example {
    /// Mean-subtracted features, `[frames, mels]`.
    pub features: Vec<f32>,
    /// Class: speaker, or speaker at a speed.
    pub label: usize,
    /// The utterance's id.
    pub id: String,
}

impl TrainSet {
    /// Reads lists, noises and room responses. Audio is read when it is first needed. `warn` gets
    /// warnings about it.
    ///
    /// # Errors
    /// Lists and files that cannot be read. Fewer than two speakers.
    pub fn new(recipe: &Recipe, warn: Arc<dyn Fn(&str) + Send + Sync>) -> Result<Self> {
        let corpus = Corpus::load(&recipe.data.train)?;
        if corpus.speakers.len() < 2 {
            return Err(Error::file(&recipe.data.train, "training needs at least two speakers"));
        }
        let rate = recipe.frontend.sample_rate;
        let sounds = |list: &Option<PathBuf>| {
            list.as_deref().map_or(Ok(Vec::new()), |l| read_sounds(l, rate))
        };
        Ok(Self {
            extractor: Extractor::new(&recipe.frontend())?,
            noises: sounds(&recipe.augment.noise)?,
            responses: sounds(&recipe.augment.reverb)?,
            augment: recipe.augment.clone(),
            speeds: recipe.data.speeds.clone(),
            frames: recipe.data.frames,
            passes: recipe.data.passes,
            seed: recipe.seed,
            cache: corpus.utterances.iter().map(|_| OnceLock::new()).collect(),
            cache_left: AtomicUsize::new(recipe.data.cache_mib << 20),
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

    /// The order of an epoch (from 1): utterance and pass.
    pub fn order(&self, epoch: usize) -> Vec<(usize, usize)> {
        let utterances = 0..self.corpus.utterances.len();
        let mut order: Vec<(usize, usize)> =
            utterances.flat_map(|u| (0..self.passes).map(move |p| (u, p))).collect();
        Stream::new(self.seed, "shuffle", &[epoch as u64]).shuffle(&mut order);
        order
    }

    /// An example of an epoch.
    ///
    /// # Errors
    /// Audio that cannot be read, or is shorter than a frame, at its line.
    pub fn example(&self, epoch: usize, utterance: usize, pass: usize) -> Result<Example> {
        let entry = &self.corpus.utterances[utterance];
        let mut draw =
            Stream::new(self.seed, "example", &[epoch as u64, utterance as u64, pass as u64]);
        let audio = self.audio(utterance)?;
        let variant = draw.below(self.speeds.len());
        let factor = self.speeds[variant];
        let wanted = self.extractor.fbank().config().samples_for(self.frames);
        // Long enough to have the wanted length when played at the speed.
        let source = (wanted as f64 * factor).ceil() as usize + 1;
        let mut samples = speed(&crop(&audio, source, &mut draw), factor)?.into_owned();
        samples.resize(wanted, 0.0);
        self.vary(&mut samples, &mut draw);
        let features = self.extractor.features(&samples, Some(&mut draw));
        let mut features = features.map_err(|e| self.at(entry.line, e))?;
        if let Some(spec) = &self.augment.spec {
            mask(&mut features.values, features.mels, spec, &mut draw);
        }
        let label = variant * self.corpus.speakers.len() + entry.speaker;
        Ok(Example { features: features.values, label, id: entry.id.clone() })
    }

    /// Noise or reverberation, or neither.
    fn vary(&self, samples: &mut [f32], draw: &mut Stream) {
        let kinds = usize::from(!self.noises.is_empty()) + usize::from(!self.responses.is_empty());
        if kinds == 0 || !draw.chance(self.augment.probability) {
            return;
        }
        let reverb = !self.responses.is_empty() && (self.noises.is_empty() || draw.chance(0.5));
        if reverb {
            reverberate(samples, &self.responses[draw.below(self.responses.len())]);
        } else {
            let noise = &self.noises[draw.below(self.noises.len())];
            let [low, high] = self.augment.noise_snr;
            let snr = draw.between(low, high);
            add_noise(samples, noise, snr, draw);
        }
    }

    fn audio(&self, utterance: usize) -> Result<Arc<[f32]>> {
        if let Some(audio) = self.cache[utterance].get() {
            return Ok(audio.clone());
        }
        let entry = &self.corpus.utterances[utterance];
        let rate = self.extractor.fbank().config().sample_rate;
        let list = self.list();
        let audio = load(&entry.path, rate, None).map_err(|e| self.at(entry.line, e))?;
        let least = self.extractor.fbank().config().frame_length();
        if audio.samples.len() < least {
            let message =
                format!("`{}` has {} samples, fewer than one frame", entry.id, audio.samples.len());
            return Err(Error::line(&list, entry.line, message));
        }
        if audio.is_silent() {
            (self.warn)(&format!("{}:{}: `{}` is silent", list.display(), entry.line, entry.id));
        }
        if let Some(warning) = audio.narrowband_warning() {
            (self.warn)(&format!("{}:{}: {warning}", list.display(), entry.line));
        }
        let audio: Arc<[f32]> = audio.samples.into();
        let bytes = 4 * audio.len();
        let fits = self
            .cache_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if fits.is_ok() {
            let _ = self.cache[utterance].set(audio.clone());
        }
        Ok(audio)
    }

    /// The list of the training utterances.
    fn list(&self) -> PathBuf {
        self.corpus.folder.join("wav.scp")
    }

    /// An error of an utterance, at its line.
    fn at(&self, line: usize, error: Error) -> Error {
        error.retold(|text| Error::line(self.list(), line, text))
    }
}

/// `length` samples from a random place. Audio that is too short is repeated, as in WeSpeaker.
fn crop(audio: &[f32], length: usize, draw: &mut Stream) -> Vec<f32> {
    if audio.len() >= length {
        let start = draw.below(audio.len() - length + 1);
        return audio[start..start + length].to_vec();
    }
    audio.iter().copied().cycle().take(length).collect()
}

fn read_sounds(list: &Path, rate: u32) -> Result<Vec<Vec<f32>>> {
    read_wav_scp(list)?
        .iter()
        .map(|(_, file, line)| {
            let audio = load(locate(list, file), rate, None)
                .map_err(|e| e.retold(|text| Error::line(list, *line, text)))?;
            Ok(audio.samples)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_have_the_length_and_short_audio_repeats() {
        let audio: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let mut draw = Stream::new(1, "test", &[]);
        let starts: Vec<f32> = (0..50).map(|_| crop(&audio, 4, &mut draw)[0]).collect();
        assert!(starts.contains(&0.0) && starts.contains(&6.0) && starts.iter().all(|&s| s <= 6.0));
        assert_eq!(crop(&audio[..3], 7, &mut draw), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0]);
    }
}
