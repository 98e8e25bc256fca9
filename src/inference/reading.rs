//! Recordings, in windows that the network takes at once.

#[cfg(test)]
mod tests;
mod warnings;

use std::path::Path;

use rayon::prelude::*;

use super::{Extractor, Features};
use crate::audio::{Level, Measured, Meter, Quality, Source};
use crate::bytes::counted;
use crate::error::{Error, Result};

/// How recordings become features.
pub(crate) struct Reading<'a> {
    /// The model's front-end.
    pub extractor: &'a Extractor,
    /// What measures recordings.
    pub meter: &'a Meter,
    /// Channel, from 0, to read of every file.
    pub channel: Option<usize>,
    /// Seconds that the network takes at once. A longer recording is cut into equal windows.
    pub window: f64,
    /// Whether frames that are no speech are left out.
    pub vad: bool,
}

/// Seconds of a window unless the user says otherwise. The activations of ResNet34 for so much
/// audio take about a gigabyte.
pub const WINDOW: f64 = 300.0;

/// Samples of windows that become features at the same time, by several threads: 64 MiB.
const AT_ONCE: usize = 1 << 24;

/// Facts about a recording, kept after its samples are dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Length.
    pub seconds: f64,
    /// Root mean square of the samples, full scale = 1.
    pub rms: f64,
    /// As [`Level::is_silent`] says.
    pub silent: bool,
    /// Warnings for a user.
    pub warnings: Vec<String>,
    /// Frames of all windows that the network takes.
    pub frames: usize,
    /// Speech, clipping and bandwidth.
    pub quality: Quality,
}

/// Level below which a recording is mostly noise, dB relative to full scale.
pub(crate) const FAINT: f64 = -60.0;

impl Facts {
    /// Its level, dB relative to full scale.
    pub fn level_db(&self) -> f64 {
        20.0 * self.rms.log10()
    }

    /// What makes scores of it less reliable: its warnings, and a level that is mostly noise.
    pub fn remarks(&self) -> Vec<String> {
        let level = self.level_db();
        let faint =
            (level < FAINT).then(|| format!("very faint, {:.0} dB below full scale", -level));
        self.warnings.iter().cloned().chain(faint).collect()
    }

    /// Why there is nobody to compare, if there is nobody.
    pub(crate) fn nobody(&self) -> Option<&'static str> {
        match self {
            _ if self.silent => {
                Some("silent: its samples do not change, there is nobody to compare")
            }
            _ if self.quality.speech_seconds <= 0.0 => {
                Some("no speech is heard in it: there is nobody to compare")
            }
            _ => None,
        }
    }
}

/// A recording that was opened.
pub(crate) enum Opened {
    /// A recording of one window.
    Short(Facts, Features),
    /// A longer recording.
    Long(Box<Source>),
}

impl Reading<'_> {
    /// Samples of the longest window.
    pub fn longest(&self) -> usize {
        ((self.window * f64::from(self.extractor.fbank().config().sample_rate)) as usize).max(1)
    }

    /// The number of windows for so many samples, and the samples of each window but the last.
    fn cut(&self, samples: usize) -> (usize, usize) {
        let count = samples.div_ceil(self.longest()).max(1);
        (count, samples.div_ceil(count))
    }

    /// The features of each window of samples.
    ///
    /// # Errors
    /// Those of [`Extractor::features`]; no speech, where only speech is taken.
    #[cfg(feature = "burn")]
    pub fn features_of(&self, samples: &[f32]) -> Result<Vec<Features>> {
        let windows: Vec<&[f32]> = match self.cut(samples.len()) {
            (1, _) => vec![samples],
            (_, each) => samples.chunks(each).collect(),
        };
        let made: Result<Vec<_>> = windows.into_par_iter().map(|w| self.measured(w)).collect();
        let features: Vec<Features> = made?.into_iter().filter_map(|(_, made)| made).collect();
        match features.is_empty() {
            true => Err(no_speech(&Level::of(samples))),
            false => Ok(features),
        }
    }

    /// Samples per second that features are computed of.
    pub fn rate(&self) -> u32 {
        self.extractor.fbank().config().sample_rate
    }

    /// Reads a recording if it is short.
    ///
    /// # Errors
    /// What [`Source::read`] and [`Extractor::features`] refuse; no speech, where only speech is
    /// taken.
    pub fn begin(&self, mut source: Source) -> Result<Opened> {
        let longest = self.longest();
        if source.known_length().is_none_or(|length| length <= longest) {
            let samples = source.read(longest.saturating_add(1))?;
            if samples.len() <= longest {
                let level = Level::of(&samples);
                let made = self.measured(&samples);
                let made = made.and_then(|(measured, features)| {
                    Ok((measured, features.ok_or_else(|| no_speech(&level))?))
                });
                let (measured, features) = made.map_err(|e| named(source.path(), e))?;
                let facts = self.facts(&source, &level, &measured, features.frames);
                return Ok(Opened::Short(facts, features));
            }
        }
        Ok(Opened::Long(Box::new(source)))
    }

    /// Gives the features of each window of a recording to `take`, in order. No window is kept.
    ///
    /// A FLAC file is decoded twice: windows have equal lengths, and the number of samples is known
    /// only at its end.
    ///
    /// # Errors
    /// Those of [`Reading::begin`].
    pub fn windows(&self, source: &mut Source, take: &mut dyn FnMut(Features)) -> Result<Facts> {
        let path = source.path().to_owned();
        let samples = source.length()?;
        let (count, each) = self.cut(samples);
        let at_once = (AT_ONCE / each.max(1)).max(1);
        let (mut level, mut measured) = (Level::default(), Measured::default());
        let (mut frames, mut taken) = (0, 0);
        loop {
            let mut windows = Vec::new();
            while windows.len() < at_once {
                let window = source.read(each)?;
                if window.is_empty() {
                    break;
                }
                level.add(&window);
                windows.push(window);
            }
            if windows.is_empty() {
                break;
            }
            let made: Vec<_> = windows.into_par_iter().map(|w| self.measured(&w)).collect();
            for window in made {
                let (window, features) = window.map_err(|e| named(&path, e))?;
                measured.add(window);
                if let Some(features) = features {
                    frames += features.frames;
                    taken += 1;
                    take(features);
                }
            }
        }
        if taken == 0 {
            return Err(named(&path, no_speech(&level)));
        }
        let mut facts = self.facts(source, &level, &measured, frames);
        let without = match count.saturating_sub(taken) {
            0 => String::new(),
            n => format!("; {n} more have too little speech"),
        };
        facts.warnings.push(format!(
            "{:.0} s long: the embedding is the mean of those of {} of {:.0} s{without}",
            facts.seconds,
            counted(taken, "window"),
            each as f64 / f64::from(source.sample_rate())
        ));
        Ok(facts)
    }

    /// What a window of samples is, and its features: none if it has too little speech and only
    /// speech is taken.
    fn measured(&self, samples: &[f32]) -> Result<(Measured, Option<Features>)> {
        let (measured, speech) = self.meter.window(samples);
        let features = match self.vad {
            true => self.extractor.features_of_speech(samples, &speech)?,
            false => Some(self.extractor.features(samples, None)?),
        };
        Ok((measured, features))
    }

    fn facts(&self, source: &Source, level: &Level, measured: &Measured, frames: usize) -> Facts {
        let quality = self.meter.quality(measured);
        let silent = level.is_silent();
        let highest = self.extractor.fbank().config().highest();
        let mut warnings: Vec<String> = source.narrowband_warning().into_iter().collect();
        // Silence is told as such.
        if !silent {
            warnings.extend(warnings::of(&quality, highest, !warnings.is_empty()));
        }
        Facts {
            seconds: level.samples() as f64 / f64::from(source.sample_rate()),
            rms: level.rms(),
            silent,
            warnings,
            frames,
            quality,
        }
    }
}

/// An error of a recording, with its file.
fn named(path: &Path, error: Error) -> Error {
    error.retold(|text| Error::file(path, text))
}

/// Refuses samples without a window that has enough speech.
fn no_speech(level: &Level) -> Error {
    Error::Undefined(match level.is_silent() {
        true => "silent: there is no speech in it".to_owned(),
        false => {
            let below = -20.0 * level.rms().log10();
            format!("has no speech, or too little; its level is {below:.0} dB below full scale")
        }
    })
}
