//! Noise or reverberation of a training utterance.

use std::sync::Arc;

use super::drawn::{Drawn, Reading};
use super::noises::Noises;
use super::responses::Responses;
use crate::error::Result;
use crate::rng::Stream;
use crate::train::dataset::left_out::LeftOut;
use crate::train::recipe::AugmentConfig;

/// What is added to the largest value before samples are divided by it, as in WeSpeaker.
const FLOOR: f32 = 1e-4;

/// Noise and reverberation as a recipe asks for them.
pub(in crate::train) struct Variation {
    probability: f64,
    noises: Option<Noises>,
    responses: Option<Responses>,
    normalize: bool,
}

impl Variation {
    /// Reads the lists of noises and room responses, for utterances of `rate` samples per second.
    /// The part `tolerate` of each list may turn out to be unreadable; `warn` gets a warning then.
    ///
    /// # Errors
    /// Lists that cannot be read; a category of noises that no sound belongs to.
    pub fn new(
        config: &AugmentConfig,
        rate: u32,
        tolerate: f64,
        warn: &Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Result<Self> {
        let lists = [&config.noise, &config.reverb].into_iter().flatten().count();
        let bytes = (config.cache_mib << 20) / lists.max(1);
        let reading = Reading { rate, bytes, tolerate, warn: warn.clone() };
        let noises = config.noise.as_deref().map(|list| Noises::new(list, config, reading.clone()));
        let responses = config.reverb.as_deref().map(|list| Responses::new(list, reading));
        Ok(Self {
            probability: config.probability,
            noises: noises.transpose()?,
            responses: responses.transpose()?,
            normalize: config.normalize,
        })
    }

    /// Sounds that could not be read so far, a line for each.
    pub fn left_out(&self) -> Vec<String> {
        self.drawn().flat_map(Drawn::faults).collect()
    }

    /// What is left out of each list.
    pub fn lists(&self) -> impl Iterator<Item = &LeftOut> {
        self.drawn().map(Drawn::left_out)
    }

    fn drawn(&self) -> impl Iterator<Item = &Drawn> {
        let noises = self.noises.iter().map(|noises| &noises.drawn);
        noises.chain(self.responses.iter().map(|responses| &responses.drawn))
    }

    /// Adds noise to the samples of an utterance or puts them into a room, or leaves them as they
    /// are.
    ///
    /// # Errors
    /// Sounds that cannot be read, at their lines, if they are too many.
    pub fn apply(&self, samples: &mut [f32], draw: &mut Stream) -> Result<()> {
        let is_given = self.noises.is_some() || self.responses.is_some();
        if !is_given || !draw.chance(self.probability) {
            return Ok(());
        }
        match (&self.noises, &self.responses) {
            (Some(noises), Some(responses)) => match draw.chance(0.5) {
                true => responses.any(draw)?.apply(samples),
                false => noises.add(samples, draw)?,
            },
            (Some(noises), None) => noises.add(samples, draw)?,
            (None, Some(responses)) => responses.any(draw)?.apply(samples),
            (None, None) => {}
        }
        if self.normalize {
            let largest = samples.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            samples.iter_mut().for_each(|x| *x /= largest + FLOOR);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
