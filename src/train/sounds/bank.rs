//! Stretches of the sounds of a list.

use std::path::Path;
use std::sync::OnceLock;

use super::kept::Kept;
use super::list::SoundList;
use crate::audio::Source;
use crate::audio::augment::repeated;
use crate::error::{Error, Result};

/// Seconds of the longest sound that is decoded as a whole. Of longer ones, such as a piece of
/// music, only the stretch is decoded each time.
const LONGEST: usize = 60;

/// The sounds of a list.
///
/// A sound is as long as its header promises. Where that says nothing, the file is decoded once to
/// find out.
pub(super) struct SoundBank {
    list: SoundList,
    lengths: Vec<OnceLock<usize>>,
    kept: Kept<Box<[f32]>>,
    /// Samples of the longest sound that is decoded as a whole.
    longest: usize,
}

impl SoundBank {
    /// The sounds of a wav.scp at a rate. Decoded ones may take `bytes` of memory.
    ///
    /// # Errors
    /// Those of [`read_wav_scp`](crate::corpus::read_wav_scp).
    pub fn new(list: &Path, rate: u32, bytes: usize) -> Result<Self> {
        let list = SoundList::read(list, rate)?;
        let count = list.count();
        Ok(Self {
            lengths: (0..count).map(|_| OnceLock::new()).collect(),
            kept: Kept::new(count, bytes),
            longest: LONGEST * rate as usize,
            list,
        })
    }

    /// Number of sounds, at least one.
    pub fn count(&self) -> usize {
        self.list.count()
    }

    /// The id of a sound.
    pub fn id(&self, sound: usize) -> &str {
        self.list.id(sound)
    }

    /// Samples of a sound, at least one.
    ///
    /// # Errors
    /// A file that cannot be read or holds no samples, at its line.
    pub fn length(&self, sound: usize) -> Result<usize> {
        if let Some(&length) = self.lengths[sound].get() {
            return Ok(length);
        }
        let found = self.list.with(sound, |mut source| {
            let length = match source.promised_length() {
                Some(length) if length > 0 => length,
                _ => source.length()?,
            };
            match length {
                0 => Err(Error::file(source.path(), "holds no samples")),
                length => Ok(length),
            }
        })?;
        Ok(*self.lengths[sound].get_or_init(|| found))
    }

    /// `length` samples of a sound from `start` on. The sound repeats. Whether it is kept does not
    /// change them.
    ///
    /// # Errors
    /// A file that cannot be read, or holds fewer samples than it promises, at its line.
    pub fn stretch(&self, sound: usize, start: usize, length: usize) -> Result<Vec<f32>> {
        if let Some(samples) = self.kept.get(sound) {
            return Ok(repeated(samples, start, length));
        }
        let total = self.length(sound)?;
        let (start, bytes) = (start % total, total * size_of::<f32>());
        let is_kept = total <= self.longest && self.kept.has_room(bytes);
        // Where damage lies elsewhere in the file, the stretch must not depend on the room.
        if is_kept
            && let Ok(samples) = self.list.with(sound, |mut source| part(&mut source, 0, total))
        {
            let stretch = repeated(&samples, start, length);
            self.kept.keep(sound, samples.into(), bytes);
            return Ok(stretch);
        }
        self.list.with(sound, |mut source| {
            if total <= length {
                return Ok(repeated(&part(&mut source, 0, total)?, start, length));
            }
            let mut stretch = part(&mut source, start, length.min(total - start))?;
            if stretch.len() < length {
                stretch.extend(part(&mut source, 0, length - stretch.len())?);
            }
            Ok(stretch)
        })
    }
}

/// `length` samples from `start` on.
fn part(source: &mut Source, start: usize, length: usize) -> Result<Vec<f32>> {
    source.seek(start)?;
    let samples = source.read(length)?;
    match samples.len() == length {
        true => Ok(samples),
        false => Err(Error::file(source.path(), "ends early: truncated or damaged")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{load, write_wav16};
    use crate::rng::Stream;

    /// A list of sounds of several lengths. The second has another rate, the third is FLAC.
    fn list(lengths: &[usize]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut scp = String::new();
        for (i, &length) in lengths.iter().enumerate() {
            let samples: Vec<f32> =
                (0..length).map(|t| ((t * (2 * i + 3)) as f32 * 0.01).sin() * 0.5).collect();
            let path = dir.path().join(format!("{i}.audio"));
            let rate = if i == 1 { 8000 } else { 16_000 };
            if i == 2 {
                let steps: Vec<i64> =
                    samples.iter().map(|x| (x * 32_768.0).round() as i64).collect();
                let bytes = crate::audio::tests::flac_of(&steps, 700, i64::from(rate), true);
                std::fs::write(path, bytes).unwrap();
            } else {
                write_wav16(path, &samples, rate).unwrap();
            }
            scp += &format!("sound{i} {i}.audio\n");
        }
        std::fs::write(dir.path().join("wav.scp"), scp).unwrap();
        dir
    }

    fn bank(dir: &Path, bytes: usize) -> SoundBank {
        SoundBank::new(&dir.join("wav.scp"), 16_000, bytes).unwrap()
    }

    #[test]
    fn stretches_are_those_of_the_whole_whatever_is_kept() {
        let lengths = [5000, 1500, 9000, 1, 120_000];
        let dir = list(&lengths);
        let whole: Vec<Vec<f32>> = (0..lengths.len())
            .map(|i| load(dir.path().join(format!("{i}.audio")), 16_000, None).unwrap().samples)
            .collect();
        for bytes in [0, 4 * 5000, 4 * 10_000, 1 << 20] {
            let mut bank = bank(dir.path(), bytes);
            // The last sound is longer than what is decoded as a whole.
            bank.longest = 100_000;
            let mut draw = Stream::new(bytes as u64, "test", &[]);
            for _ in 0..200 {
                let sound = draw.below(lengths.len());
                assert_eq!(bank.length(sound).unwrap(), whole[sound].len());
                let (start, length) = (draw.below(whole[sound].len()), draw.below(12_000));
                let found = bank.stretch(sound, start, length).unwrap();
                assert!(found == repeated(&whole[sound], start, length), "{sound} at {start}");
            }
            assert!(bank.kept.get(4).is_none());
            assert_eq!((0..4).all(|i| bank.kept.get(i).is_some()), bytes == 1 << 20);
        }
    }

    #[test]
    fn threads_get_the_same_stretches() {
        let dir = list(&[5000, 1500, 9000]);
        let (alone, shared) = (bank(dir.path(), 0), bank(dir.path(), 1 << 15));
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let (alone, shared) = (&alone, &shared);
                scope.spawn(move || {
                    let mut draw = Stream::new(seed, "test", &[]);
                    for _ in 0..50 {
                        let (sound, start) = (draw.below(3), draw.below(9000));
                        let found = shared.stretch(sound, start, 800).unwrap();
                        assert!(found == alone.stretch(sound, start, 800).unwrap());
                    }
                });
            }
        });
    }

    #[test]
    fn bad_files_are_errors_at_their_line_when_they_are_used() {
        let dir = list(&[2000, 2000, 2000, 2000]);
        let at = |name: &str| dir.path().join(name);
        let bytes = std::fs::read(at("0.audio")).unwrap();
        std::fs::write(at("0.audio"), &bytes[..1000]).unwrap();
        std::fs::write(at("1.audio"), "no audio").unwrap();
        std::fs::remove_file(at("2.audio")).unwrap();
        let bank = bank(dir.path(), 1 << 20);
        for (sound, wanted) in [(0, "promises"), (1, "1.audio"), (2, "2.audio")] {
            for error in [bank.length(sound).unwrap_err(), bank.stretch(sound, 0, 9).unwrap_err()] {
                let text = error.to_string();
                assert!(text.contains(wanted), "{text}");
                let place = (at("wav.scp"), sound + 1);
                assert_eq!(error.place(), (Some(place.0.as_path()), Some(place.1)), "{text}");
            }
        }
        assert_eq!(bank.stretch(3, 0, 9).unwrap().len(), 9);
    }
}
