//! Recordings, in windows that the network takes at once.

use std::path::Path;

use rayon::prelude::*;

use super::{Extractor, Features};
use crate::audio::{Level, Source};
use crate::error::{Error, Result};

/// How recordings become features.
pub(super) struct Reading<'a> {
    /// The model's front-end.
    pub extractor: &'a Extractor,
    /// Channel, from 0, to read of every file.
    pub channel: Option<usize>,
    /// Seconds that the network takes at once. A longer recording is cut into equal windows.
    pub window: f64,
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
    /// Frames of all windows.
    pub frames: usize,
}

/// A recording that was opened.
pub(super) enum Opened {
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
    /// Those of [`Extractor::features`].
    pub fn features_of(&self, samples: &[f32]) -> Result<Vec<Features>> {
        match self.cut(samples.len()) {
            (1, _) => Ok(vec![self.extractor.features(samples, None)?]),
            (_, each) => samples
                .par_chunks(each)
                .map(|window| self.extractor.features(window, None))
                .collect(),
        }
    }

    /// Samples per second that features are computed of.
    pub fn rate(&self) -> u32 {
        self.extractor.fbank().config().sample_rate
    }

    /// Reads a recording if it is short.
    ///
    /// # Errors
    /// What [`Source::read`] and [`Extractor::features`] refuse.
    pub fn begin(&self, mut source: Source) -> Result<Opened> {
        let path = source.path().to_owned();
        let longest = self.longest();
        if source.known_length().is_none_or(|length| length <= longest) {
            let samples = source.read(longest.saturating_add(1))?;
            if samples.len() <= longest {
                let features = self.features(&path, &samples)?;
                let facts = Facts::of(&source, Level::of(&samples), features.frames);
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
        let (mut level, mut frames) = (Level::default(), 0);
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
            let made: Vec<Result<Features>> =
                windows.into_par_iter().map(|w| self.features(&path, &w)).collect();
            for features in made {
                let features = features?;
                frames += features.frames;
                take(features);
            }
        }
        let mut facts = Facts::of(source, level, frames);
        facts.warnings.push(format!(
            "{:.0} s long: the embedding is the mean of those of {count} windows of {:.0} s",
            facts.seconds,
            each as f64 / f64::from(source.sample_rate())
        ));
        Ok(facts)
    }

    fn features(&self, path: &Path, samples: &[f32]) -> Result<Features> {
        self.extractor.features(samples, None).map_err(|e| e.retold(|text| Error::file(path, text)))
    }
}

impl Facts {
    fn of(source: &Source, level: Level, frames: usize) -> Self {
        Self {
            seconds: level.samples() as f64 / f64::from(source.sample_rate()),
            rms: level.rms(),
            silent: level.is_silent(),
            warnings: source.narrowband_warning().into_iter().collect(),
            frames,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{load, write_wav16};
    use crate::inference::tests::{extractor, recording, tone};

    #[test]
    fn long_recordings_are_cut_into_equal_windows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write_wav16(&path, &tone(50_000), 16_000).unwrap();
        let extractor = extractor();
        let read = |window| {
            recording(&Reading { extractor: &extractor, channel: None, window }, &path).unwrap()
        };
        let (whole, cut) = (read(WINDOW), read(1.0));
        assert_eq!((whole.windows.len(), whole.facts.warnings.len()), (1, 0));
        // 3.125 s are four windows of 12,500 samples.
        assert_eq!(cut.windows.iter().map(|w| w.frames).collect::<Vec<_>>(), [76; 4]);
        assert!(cut.facts.warnings[0].contains("3 s long"), "{:?}", cut.facts.warnings);
        assert!(cut.facts.warnings[0].contains("4 windows of 1 s"), "{:?}", cut.facts.warnings);
        let samples = load(&path, 16_000, None).unwrap().samples;
        for (window, samples) in cut.windows.iter().zip(samples.chunks(12_500)) {
            assert_eq!(window.values, extractor.features(samples, None).unwrap().values);
        }
        let warnings = cut.facts.warnings.clone();
        assert_eq!(cut.facts, Facts { warnings, frames: 4 * 76, ..whole.facts.clone() });
        assert_eq!(
            (whole.facts.seconds, whole.facts.silent, whole.facts.frames),
            (3.125, false, 311)
        );
    }

    /// The length of a FLAC file is unknown at first. A resampled file is cut at its new rate.
    #[test]
    fn windows_are_the_same_in_every_format() {
        let dir = tempfile::tempdir().unwrap();
        let samples = tone(25_000);
        let steps: Vec<i64> = samples.iter().map(|x| (x * 32_768.0).round() as i64).collect();
        let wav = dir.path().join("a.wav");
        write_wav16(&wav, &samples, 8000).unwrap();
        let extractor = extractor();
        for window in [0.7, 1.0, 3.124, 3.125, 60.0] {
            let reading = Reading { extractor: &extractor, channel: None, window };
            let wanted = recording(&reading, &wav).unwrap();
            assert_eq!(wanted.windows.len(), (3.125 / window).ceil() as usize);
            for known in [true, false] {
                let flac = dir.path().join("a.flac");
                std::fs::write(&flac, crate::audio::tests::flac_of(&steps, 1000, 8000, known))
                    .unwrap();
                let found = recording(&reading, &flac).unwrap();
                assert_eq!(found.facts, wanted.facts);
                assert!(
                    found
                        .windows
                        .iter()
                        .map(|w| &w.values)
                        .eq(wanted.windows.iter().map(|w| &w.values))
                );
            }
        }
    }

    #[test]
    fn errors_of_any_window_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        let mut samples = tone(40_000);
        samples[39_000] = 1e30;
        samples.iter().for_each(|&x| writer.write_sample(x).unwrap());
        writer.finalize().unwrap();
        let extractor = extractor();
        let error = |window| {
            let reading = Reading { extractor: &extractor, channel: None, window };
            recording(&reading, &path).err().unwrap().to_string()
        };
        for (window, wanted) in [
            (60.0, "frame 242 "),
            (1.0, "frame 75 "),
            (0.001, "16 samples are shorter than one frame"),
        ] {
            assert!(
                error(window).contains("a.wav: ") && error(window).contains(wanted),
                "{}",
                error(window)
            );
        }
    }
}
