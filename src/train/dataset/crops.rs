//! Crops of the training utterances. What fits is decoded once and kept; of everything else only
//! the crop is decoded, where the format allows it. Both ways give the same samples.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Mark, Stage};
use crate::audio::{Level, Source};
use crate::corpus::{Corpus, Utterance};
use crate::error::{Error, Result};
use crate::rng::Stream;

/// Reads crops, and keeps decoded utterances.
pub(super) struct Crops {
    /// Samples per second.
    rate: u32,
    /// Samples of the shortest utterance that is of use.
    least: usize,
    kept: Vec<OnceLock<Arc<[f32]>>>,
    /// Bytes that may still be kept.
    left: AtomicUsize,
    warn: Arc<dyn Fn(&str) + Send + Sync>,
    /// Utterances that were warned about.
    odd: Mutex<BTreeSet<u32>>,
}

/// Most utterances that are warned about.
const NAMED: usize = 10;

/// Room for the samples of an utterance. It is given back unless they are kept.
struct Room<'a> {
    left: &'a AtomicUsize,
    bytes: usize,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl Crops {
    /// Crops of so many utterances, of which `bytes` are kept in memory.
    pub fn new(
        utterances: usize,
        rate: u32,
        least: usize,
        bytes: usize,
        warn: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        // Where nothing is kept, a large corpus needs no places for it.
        let places = if bytes > 0 { utterances } else { 0 };
        let kept = (0..places).map(|_| OnceLock::new()).collect();
        Self { rate, least, kept, left: AtomicUsize::new(bytes), warn, odd: Mutex::default() }
    }

    /// `length` samples from a random place of an utterance. Audio that is too short is repeated,
    /// as in WeSpeaker.
    ///
    /// # Errors
    /// Audio that cannot be read, or is shorter than a frame, at its line.
    pub fn crop(
        &self,
        corpus: &Corpus,
        number: usize,
        length: usize,
        draw: &mut Stream,
        mark: &mut Mark,
    ) -> Result<Vec<f32>> {
        if let Some(audio) = self.kept.get(number).and_then(OnceLock::get) {
            let cropped = crop(audio, length, draw);
            mark(Stage::Decode);
            return Ok(cropped);
        }
        let utterance = &corpus.utterances[number];
        let mut read = || -> Result<Vec<f32>> {
            let mut source = corpus.open(utterance, self.rate, None)?;
            mark(Stage::Read);
            let promised = source.promised_length();
            let mut room = promised.and_then(|samples| self.room(samples));
            if let Some(samples) = promised.filter(|&n| n >= length && room.is_none()) {
                source.seek(draw.below(samples - length + 1))?;
                let samples = source.read(length)?;
                if samples.len() < length {
                    return Err(Error::file(source.path(), "ends early: truncated or damaged"));
                }
                self.look(corpus, utterance, &mut source, &samples)?;
                mark(Stage::Decode);
                return Ok(samples);
            }
            let mut samples = source.read(usize::MAX)?;
            // The way above knows no samples beyond the promised ones.
            samples.truncate(promised.unwrap_or(usize::MAX));
            if samples.len() < self.least {
                let (id, found) = (&utterance.id, samples.len());
                let message = format!("`{id}` has {found} samples, fewer than one frame");
                return Err(Error::line(&corpus.list, utterance.line as usize, message));
            }
            self.look(corpus, utterance, &mut source, &samples)?;
            let cropped = crop(&samples, length, draw);
            if promised.is_none() {
                room = self.room(samples.len());
            }
            // Another thread may have been faster.
            if let Some(mut room) = room
                && self.kept[number].set(samples.into()).is_ok()
            {
                room.bytes = 0;
            }
            mark(Stage::Decode);
            Ok(cropped)
        };
        read().map_err(|e| match e {
            Error::Line { .. } => e,
            other => corpus.at(utterance, other),
        })
    }

    /// Room for so many samples, if there is some.
    fn room(&self, samples: usize) -> Option<Room<'_>> {
        let (left, bytes) = (&self.left, 4 * samples);
        let taken = |left: usize| left.checked_sub(bytes).filter(|_| !self.kept.is_empty());
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok()?;
        Some(Room { left, bytes })
    }

    /// Warns about the first silent or narrow recordings.
    fn look(
        &self,
        corpus: &Corpus,
        utterance: &Utterance,
        source: &mut Source,
        samples: &[f32],
    ) -> Result<()> {
        let (list, line) = (corpus.list.display(), utterance.line);
        let rate = source.source_rate();
        if rate < self.rate {
            self.tell(
                line,
                &format!(
                    "{list}:{line}: `{}` was recorded at {rate} Hz: above {} Hz there is nothing \
                     to learn from",
                    utterance.id,
                    rate / 2
                ),
            );
        }
        // A silent crop is nothing unusual in a recording that is not.
        if Level::of(samples).is_silent() {
            source.rewind();
            if source.level()?.is_silent() {
                self.tell(line, &format!("{list}:{line}: `{}` is silent", utterance.id));
            }
        }
        Ok(())
    }

    fn tell(&self, line: u32, text: &str) {
        let mut odd = self.odd.lock().unwrap_or_else(PoisonError::into_inner);
        if odd.len() < NAMED && odd.insert(line) {
            (self.warn)(text);
            if odd.len() == NAMED {
                (self.warn)("further recordings that are silent or of a lower rate are not named");
            }
        }
    }
}

/// `length` samples from a random place, of audio that may be shorter.
fn crop(audio: &[f32], length: usize, draw: &mut Stream) -> Vec<f32> {
    if audio.len() >= length {
        let start = draw.below(audio.len() - length + 1);
        return audio[start..start + length].to_vec();
    }
    audio.iter().copied().cycle().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::write_wav16;

    #[test]
    fn crops_have_the_length_and_short_audio_repeats() {
        let audio: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let mut draw = Stream::new(1, "test", &[]);
        let starts: Vec<f32> = (0..50).map(|_| crop(&audio, 4, &mut draw)[0]).collect();
        assert!(starts.contains(&0.0) && starts.contains(&6.0) && starts.iter().all(|&s| s <= 6.0));
        assert_eq!(crop(&audio[..3], 7, &mut draw), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0]);
    }

    /// Whether audio is kept, and how much of it, changes no sample.
    #[test]
    fn kept_audio_has_the_crops_of_files() {
        let dir = tempfile::tempdir().unwrap();
        let lengths = [9000usize, 3000, 20_000, 4000];
        let (mut scp, mut map) = (String::new(), String::new());
        for (i, length) in lengths.into_iter().enumerate() {
            let samples: Vec<f32> =
                (0..length).map(|t| ((t * (i + 3)) as f32 * 0.01).sin() * 0.5).collect();
            let name = format!("{i}.wav");
            // The second one needs resampling.
            let rate = if i == 1 { 8000 } else { 16_000 };
            match i {
                2 => {
                    let steps: Vec<i64> =
                        samples.iter().map(|x| (x * 32_768.0).round() as i64).collect();
                    let bytes = crate::audio::tests::flac_of(&steps, 700, i64::from(rate), true);
                    std::fs::write(dir.path().join(&name), bytes).unwrap();
                }
                _ => write_wav16(dir.path().join(&name), &samples, rate).unwrap(),
            }
            scp += &format!("u{i} {name}\n");
            map += &format!("u{i} s\n");
        }
        std::fs::write(dir.path().join("wav.scp"), scp).unwrap();
        std::fs::write(dir.path().join("utt2spk"), map).unwrap();
        let corpus = Corpus::load(dir.path()).unwrap();
        let all = |bytes: usize| {
            let crops = Crops::new(lengths.len(), 16_000, 400, bytes, Arc::new(|_: &str| ()));
            let mut draw = Stream::new(5, "test", &[]);
            let mut found = Vec::new();
            for round in 0..6 {
                for number in 0..lengths.len() {
                    let length = [3000, 5000, 8999][round % 3];
                    found
                        .push(crops.crop(&corpus, number, length, &mut draw, &mut |_| ()).unwrap());
                }
            }
            found
        };
        let wanted = all(0);
        for bytes in [1, 4 * 9000, 4 * 13_000, 1 << 20] {
            assert!(all(bytes) == wanted, "{bytes}");
        }
    }
}
