//! The samples of a file, a piece at a time, so that a recording of many hours takes no more memory
//! than a short one.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::held::Held;
use super::input::{Input, PAGE};
use super::kind::{self, Kind};
use super::level::Level;
use super::resample::{Resampling, is_rate, resampled_length};
use super::{flac, foreign, narrowband_warning, sphere, tags, wav};
use crate::error::{Error, Result};

/// One channel of a file of some format, a block at a time.
pub(super) trait Blocks {
    /// Samples per second.
    fn rate(&self) -> u32;

    /// Samples of all blocks, if they are known for certain.
    fn length(&self) -> Option<u64>;

    /// Samples that the header promises. The file may hold more of them.
    fn promised(&self) -> Option<u64> {
        self.length()
    }

    /// Appends the samples of the next block, full scale = 1. Returns false if there is no block
    /// any more.
    ///
    /// # Errors
    /// A damaged or cut file.
    fn more(&mut self, samples: &mut Vec<f32>) -> Result<bool>;

    /// Says how many samples are wanted of the next block, which need not have more. A format whose
    /// blocks have lengths of their own does not listen.
    fn expect(&mut self, samples: u64) {
        let _ = samples;
    }

    /// Goes back to the first block.
    fn rewind(&mut self);

    /// Goes back to the first block, and compares from now on what a file says of all its samples,
    /// even where reading does not need it to notice damage.
    fn verify(&mut self) {
        self.rewind();
    }

    /// Goes to the block that holds a sample, or to one before it. Returns the place of the first
    /// sample of the next block. Samples after a seek equal those of reading from the start to the
    /// bit. What only the whole file can tell, such as a checksum of all samples, is not checked
    /// any more.
    ///
    /// # Errors
    /// A damaged or cut file.
    fn seek(&mut self, sample: u64) -> Result<u64> {
        let _ = sample;
        self.rewind();
        Ok(0)
    }
}

/// One channel of an audio file, at any rate. Its samples are those of [`load`], in pieces of any
/// length.
///
/// ```no_run
/// # use revox::audio::Source;
/// let mut source = Source::open("a.wav", 16_000, None)?;
/// loop {
///     let second = source.read(16_000)?;
///     if second.is_empty() {
///         break;
///     }
/// }
/// # Ok::<(), revox::Error>(())
/// ```
///
/// [`load`]: super::load
pub struct Source {
    path: PathBuf,
    blocks: Box<dyn Blocks + Send>,
    sample_rate: u32,
    resampling: Option<Resampling>,
    /// The block that was decoded last.
    block: Vec<f32>,
    /// Number of samples in the blocks before it.
    seen: usize,
    /// Decoded samples at the wanted rate that are still to be read.
    ready: Vec<f32>,
    /// Number of samples read so far.
    given: usize,
    ended: bool,
}

impl Source {
    /// Opens a file. Its content decides the format, not its name. `channel` counts from 0. ID3v2
    /// tags in front are skipped.
    ///
    /// Of a file that holds samples as they are (WAV, AIFF, SPHERE) what is wanted is read. Another
    /// file of at most 4 MB and a pipe are read at once, and a longer file along with its samples.
    ///
    /// # Errors
    /// A file of several channels without a chosen one
    /// ([`Remedy::ChooseChannel`](crate::error::Remedy::ChooseChannel)); a damaged file, as far as
    /// its header tells; a file of another format, by its name where it is known.
    pub fn open(path: impl AsRef<Path>, sample_rate: u32, channel: Option<usize>) -> Result<Self> {
        Self::of(Input::open(path.as_ref())?, sample_rate, channel)
    }

    /// The file with these bytes. Errors call it `name`.
    ///
    /// # Errors
    /// Those of [`Source::open`].
    pub fn of_bytes(
        name: &Path,
        bytes: Vec<u8>,
        sample_rate: u32,
        channel: Option<usize>,
    ) -> Result<Self> {
        Self::of(Input::held(name, bytes), sample_rate, channel)
    }

    /// Samples in memory, full scale = 1, at a rate of `source_rate` Hz. Errors call them `name`.
    ///
    /// # Errors
    /// A rate that no audio has.
    pub fn of_samples(
        name: &Path,
        samples: Vec<f32>,
        source_rate: u32,
        sample_rate: u32,
    ) -> Result<Self> {
        if !is_rate(source_rate) {
            return Err(Error::file(name, format!("{source_rate} Hz: not a rate of audio")));
        }
        let blocks = Box::new(Held::new(samples, source_rate));
        Ok(Self::of_blocks(name.to_owned(), blocks, sample_rate))
    }

    /// The file that is a part of another one, at these bytes. Errors call it `name`.
    ///
    /// # Errors
    /// Those of [`Source::open`]; a file that does not have these bytes.
    pub(crate) fn of_part(
        name: &Path,
        file: Arc<File>,
        place: Range<u64>,
        sample_rate: u32,
        channel: Option<usize>,
    ) -> Result<Self> {
        Self::of(Input::part(name, file, place)?, sample_rate, channel)
    }

    fn of(mut input: Input, sample_rate: u32, channel: Option<usize>) -> Result<Self> {
        let path = input.path().to_owned();
        let start = tags::front(&mut input)?;
        if start > input.length() {
            return Err(Error::file(path, "ends inside its ID3v2 tag: truncated or damaged"));
        }
        let kind = kind::of(input.at(start, kind::HEAD as usize)?);
        let blocks: Box<dyn Blocks + Send> = match kind {
            Kind::Riff => Box::new(wav::Reader::new(input, start, channel)?),
            Kind::Flac => Box::new(flac::Reader::new(input, start, channel)?),
            Kind::Sphere => Box::new(sphere::open(input, start, channel)?),
            Kind::Foreign(container) => foreign::open(input, start, container, channel)?,
            Kind::Other(name) => return Err(kind::unsupported(&path, name)),
            // What follows a tag is most often MP3, after some bytes of nothing.
            Kind::Unknown if start > 0 && start < input.length() => {
                foreign::open(input, start, kind::Container::Mp3, channel)?
            }
            Kind::Unknown if start > 0 => {
                return Err(kind::unsupported(&path, "MP3 audio (by its ID3v2 tag)"));
            }
            Kind::Unknown if input.length() == 0 => {
                return Err(Error::file(path, "the file is empty"));
            }
            Kind::Unknown => {
                return Err(Error::file(
                    path,
                    "no audio file of a known format (by its first bytes, whatever its name)",
                ));
            }
        };
        Ok(Self::of_blocks(path, blocks, sample_rate))
    }

    fn of_blocks(path: PathBuf, blocks: Box<dyn Blocks + Send>, sample_rate: u32) -> Self {
        let from = blocks.rate();
        Self {
            path,
            blocks,
            sample_rate,
            resampling: (from != sample_rate).then(|| Resampling::new(from, sample_rate)),
            block: Vec::new(),
            seen: 0,
            ready: Vec::new(),
            given: 0,
            ended: false,
        }
    }

    /// The same from its first sample, with every check that the format has: of a FLAC file, the
    /// MD5 of all its samples is compared at its end, and another one is an error of
    /// [`Source::read`]. Frames whose checksums are wrong, missing frames and a cut always are.
    ///
    /// It is for files that are looked at for the first time: an MD5 takes half as long as decoding
    /// the samples.
    #[must_use]
    pub fn verified(mut self) -> Self {
        self.blocks.verify();
        self.rewind();
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Samples per second after resampling.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Samples per second in the file, before resampling.
    pub fn source_rate(&self) -> u32 {
        self.blocks.rate()
    }

    /// The warning of [`Audio::narrowband_warning`](super::Audio::narrowband_warning).
    pub fn narrowband_warning(&self) -> Option<String> {
        narrowband_warning(self.source_rate(), self.sample_rate)
    }

    /// Number of samples of the whole file, if the header gives it, as in a WAV file. A FLAC
    /// file may hold more samples than its header promises.
    pub fn known_length(&self) -> Option<usize> {
        self.at_the_rate(self.blocks.length())
    }

    /// Number of samples of the whole file as the header promises it. A file may hold more; one
    /// that holds fewer is an error at its end.
    pub fn promised_length(&self) -> Option<usize> {
        self.at_the_rate(self.blocks.promised())
    }

    fn at_the_rate(&self, length: Option<u64>) -> Option<usize> {
        // Callers reserve memory for the result, so an impossible rate must not decide it.
        let length = length.filter(|_| self.resampling.is_none() || is_rate(self.source_rate()))?;
        Some(resampled_length(length as usize, self.source_rate(), self.sample_rate))
    }

    /// Number of samples of the whole file. If the header does not tell, the file is decoded to its
    /// end. Reading begins again at the first sample.
    ///
    /// # Errors
    /// A damaged or cut file.
    pub fn length(&mut self) -> Result<usize> {
        self.rewind();
        if let Some(length) = self.known_length() {
            return Ok(length);
        }
        let mut length = 0;
        while self.blocks.more(&mut self.block)? {
            length += self.block.len();
            self.block.clear();
        }
        self.rewind();
        Ok(resampled_length(length, self.source_rate(), self.sample_rate))
    }

    /// The next samples, full scale = 1: `wanted` of them, fewer at the end of the file, then none.
    ///
    /// # Errors
    /// A file without samples, with samples that are not finite, cut off or damaged. The end of the
    /// file is checked once there are fewer samples than wanted.
    pub fn read(&mut self, wanted: usize) -> Result<Vec<f32>> {
        let mut samples = std::mem::take(&mut self.ready);
        // A promise may be wrong, so little is reserved for it.
        let length = self
            .known_length()
            .or_else(|| self.promised_length().map(|n| n.min(self.given + PAGE as usize)));
        if let Some(length) = length {
            let most = wanted.saturating_add(PAGE as usize).min(16 * PAGE as usize);
            samples
                .reserve(length.saturating_sub(self.given).min(most).saturating_sub(samples.len()));
        }
        while samples.len() < wanted && !self.ended {
            // How many a resampler needs is its own affair.
            if self.resampling.is_none() {
                self.blocks.expect((wanted - samples.len()) as u64);
            }
            self.more(&mut samples)?;
        }
        if samples.len() > wanted {
            self.ready = samples.split_off(wanted);
        }
        self.given += samples.len();
        Ok(samples)
    }

    /// The level of the samples that are left, without keeping them.
    ///
    /// # Errors
    /// Those of [`Source::read`].
    pub fn level(&mut self) -> Result<Level> {
        let mut level = Level::default();
        loop {
            let samples = self.read(PAGE as usize)?;
            if samples.is_empty() {
                return Ok(level);
            }
            level.add(&samples);
        }
    }

    /// Goes back to the first sample.
    pub fn rewind(&mut self) {
        self.blocks.rewind();
        if let Some(resampling) = &mut self.resampling {
            *resampling = Resampling::new(self.blocks.rate(), self.sample_rate);
        }
        self.block.clear();
        self.ready.clear();
        (self.seen, self.given, self.ended) = (0, 0, false);
    }

    /// Goes on with this sample: the next read gives what follows it. Most formats find a sample
    /// without decoding what is in front of it. A file at another rate is decoded from its start,
    /// since a resampler needs all of it.
    ///
    /// # Errors
    /// Those of [`Source::read`].
    pub fn seek(&mut self, sample: usize) -> Result<()> {
        self.rewind();
        if self.resampling.is_none() {
            let first = self.blocks.seek(sample as u64)? as usize;
            (self.seen, self.given) = (first, first);
        }
        while self.given < sample {
            let wanted = (sample - self.given).min(PAGE as usize);
            if self.read(wanted)?.len() < wanted {
                break;
            }
        }
        Ok(())
    }

    /// Decodes a block and appends its samples at the wanted rate.
    fn more(&mut self, out: &mut Vec<f32>) -> Result<()> {
        if self.resampling.is_none() {
            let before = out.len();
            self.ended = !self.blocks.more(out)?;
            return self.check(&out[before..]);
        }
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        self.ended = !self.blocks.more(&mut block)?;
        self.check(&block)?;
        if let Some(resampling) = &mut self.resampling {
            let pushed = resampling.push(&block, self.ended, out);
            pushed.map_err(|e| Error::file(&self.path, e.to_string()))?;
        }
        self.block = block;
        Ok(())
    }

    /// Counts the samples of a block, and refuses values that are no numbers.
    fn check(&mut self, block: &[f32]) -> Result<()> {
        // One look at all values is faster than a search for the first.
        if !block.iter().fold(true, |all, x| all & x.is_finite()) {
            let i = block.iter().position(|x| !x.is_finite()).unwrap_or_default();
            let message = format!("sample {} is {}, not a number", self.seen + i, block[i]);
            return Err(Error::file(&self.path, message));
        }
        self.seen += block.len();
        match self.ended && self.seen == 0 {
            true => Err(Error::file(&self.path, "holds no samples")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::input::tests::{held, paged};
    use super::*;

    /// All samples of a file, and their rate.
    pub fn all(mut blocks: impl Blocks) -> Result<(Vec<f32>, u32)> {
        let mut samples = Vec::new();
        while blocks.more(&mut samples)? {}
        Ok((samples, blocks.rate()))
    }

    /// A WAV file of one channel.
    fn wav(spec: hound::WavSpec, samples: &[f32]) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        for &x in samples {
            match spec.sample_format {
                hound::SampleFormat::Float => writer.write_sample(x).unwrap(),
                hound::SampleFormat::Int => {
                    let full = f64::from(1u32 << (spec.bits_per_sample - 1));
                    writer.write_sample((f64::from(x) * full) as i32).unwrap();
                }
            }
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    fn tone(length: usize) -> Vec<f32> {
        (0..length).map(|i| (i as f32 * 0.05).sin() * 0.7).collect()
    }

    /// Files of one channel in every encoding that the tests can write: name and bytes.
    fn files() -> Vec<(String, Vec<u8>)> {
        use hound::SampleFormat::{Float, Int};
        let mut files = Vec::new();
        for (bits, sample_format) in [(8, Int), (16, Int), (24, Int), (32, Int), (32, Float)] {
            for sample_rate in [16_000, 8000, 44_100] {
                let spec = hound::WavSpec {
                    channels: 1,
                    sample_rate,
                    bits_per_sample: bits,
                    sample_format,
                };
                files.push((
                    format!("{bits}-{sample_format:?}-{sample_rate}.wav"),
                    wav(spec, &tone(5000)),
                ));
            }
        }
        for (known, rate) in [(true, 16_000), (false, 16_000), (true, 22_050), (false, 48_000)] {
            let samples: Vec<i64> = tone(5000).iter().map(|x| (x * 30_000.0) as i64).collect();
            files.push((
                format!("{known}-{rate}.flac"),
                flac::tests::file_of(&samples, 700, rate, known),
            ));
        }
        files
    }

    /// All samples, read `wanted` at a time.
    fn pieces(source: &mut Source, wanted: usize) -> Vec<f32> {
        let mut samples = Vec::new();
        loop {
            let piece = source.read(wanted).unwrap();
            samples.extend_from_slice(&piece);
            if piece.len() < wanted {
                assert!(source.read(wanted).unwrap().is_empty());
                return samples;
            }
        }
    }

    #[test]
    fn pieces_are_the_samples_of_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files() {
            let path = dir.path().join(&name);
            std::fs::write(&path, &bytes).unwrap();
            let whole = super::super::load(&path, 16_000, None).unwrap();
            assert!(whole.samples.len() > 1000, "{name}");
            for page in [None, Some(100), Some(4096)] {
                for wanted in [usize::MAX, 10_000, 1000, 37] {
                    let input =
                        page.map_or_else(|| held(&name, &bytes), |page| paged(&name, &bytes, page));
                    let mut source = Source::of(input, 16_000, None).unwrap();
                    assert_eq!(source.source_rate(), whole.source_rate);
                    let known = source.known_length();
                    assert!(
                        known.is_none_or(|length| length == whole.samples.len()),
                        "{name}: {known:?}"
                    );
                    assert_eq!(known.is_some(), name.ends_with("wav"));
                    assert!(
                        pieces(&mut source, wanted) == whole.samples,
                        "{name}, {page:?}, {wanted}"
                    );
                    let last = whole.samples.len();
                    for start in [4321.min(last), 0, 17, last - 1, last, 700] {
                        source.seek(start).unwrap();
                        assert!(
                            source.read(wanted.min(500)).unwrap()
                                == whole.samples[start..]
                                    [..wanted.min(500).min(whole.samples.len() - start)],
                            "{name}, {page:?}, from {start}"
                        );
                    }
                    source.rewind();
                    // Again from the first sample, and after a part.
                    assert_eq!(source.length().unwrap(), whole.samples.len(), "{name}");
                    assert!(source.read(10).unwrap() == whole.samples[..10], "{name}");
                    source.rewind();
                    assert!(source.read(usize::MAX).unwrap() == whole.samples, "{name}");
                }
            }
        }
    }

    #[test]
    fn the_level_is_that_of_the_whole() {
        for (name, bytes) in files() {
            let samples =
                Source::of(held(&name, &bytes), 16_000, None).unwrap().read(usize::MAX).unwrap();
            let level =
                Source::of(paged(&name, &bytes, 512), 16_000, None).unwrap().level().unwrap();
            assert_eq!(level, Level::of(&samples), "{name}");
            assert_eq!((level.samples(), level.is_silent()), (samples.len(), false));
        }
    }

    #[test]
    fn faults_behind_the_first_block_are_found() {
        let spec = |bits_per_sample, sample_format| hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample,
            sample_format,
        };
        let mut samples = tone(70_000);
        samples[69_999] = f32::NAN;
        let bytes = wav(spec(32, hound::SampleFormat::Float), &samples);
        for input in [held("a.wav", &bytes), paged("a.wav", &bytes, 999)] {
            let mut source = Source::of(input, 16_000, None).unwrap();
            assert_eq!(source.read(1000).unwrap(), samples[..1000]);
            let error = source.read(usize::MAX).unwrap_err().to_string();
            assert!(error.contains("a.wav: sample 69999 is NaN"), "{error}");
        }
        let mut source = Source::of(paged("a.wav", &bytes, 999), 8000, None).unwrap();
        let error = source.read(usize::MAX).unwrap_err().to_string();
        assert!(error.contains("a.wav: sample 69999 is NaN"), "{error}");
        samples[69_999] = -2e30;
        let bytes = wav(spec(32, hound::SampleFormat::Float), &samples);
        let mut source = Source::of(paged("a.wav", &bytes, 999), 8000, None).unwrap();
        let error = source.read(usize::MAX).unwrap_err().to_string();
        assert!(
            error
                .contains("a.wav: cannot resample from 16000 Hz to 8000 Hz: sample 69999 is -2e30"),
            "{error}"
        );
        let bytes = wav(spec(16, hound::SampleFormat::Int), &tone(5000));
        let cut = |bytes: &[u8]| {
            Source::of(paged("a.wav", bytes, 64), 16_000, None).map(|_| ()).unwrap_err().to_string()
        };
        assert!(
            cut(&bytes[..9000]).contains("promises 10000 bytes of samples, the file holds 8956")
        );
        assert!(cut(&[0; 100]).contains("no audio file"));
    }

    #[test]
    fn of_a_long_wav_file_only_a_crop_is_read() {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let bytes = wav(spec, &tone(400_000));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let all = Source::of(held("a.wav", &bytes), 16_000, Some(1)).unwrap().read(usize::MAX);
        let all = all.unwrap();
        assert_eq!(all.len(), 200_000);
        for before in [0, 1001] {
            std::fs::write(&path, [vec![5; before].as_slice(), &bytes].concat()).unwrap();
            let file = Arc::new(File::open(&path).unwrap());
            let place = before as u64..(before + bytes.len()) as u64;
            let mut source = match before {
                0 => Source::open(&path, 16_000, Some(1)).unwrap(),
                _ => Source::of_part(&path, file, place, 16_000, Some(1)).unwrap(),
            };
            // Nothing behind the crop is there any more, and nothing of it is read.
            let end = before + bytes.len() - 4 * (all.len() - 132_000);
            let writer = File::options().write(true).open(&path).unwrap();
            writer.set_len(end as u64).unwrap();
            source.seek(100_000).unwrap();
            assert!(source.read(32_000).unwrap() == all[100_000..132_000]);
            let error = source.read(1).unwrap_err().to_string();
            assert!(error.contains("became shorter"), "{error}");
        }
    }

    #[test]
    fn a_piece_is_no_larger_than_asked_for() {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let bytes = wav(spec, &tone(300_000));
        let mut source = Source::of(paged("a.wav", &bytes, 4096), 16_000, None).unwrap();
        assert_eq!(source.path(), Path::new("a.wav"));
        for _ in 0..3 {
            let piece = source.read(20_000).unwrap();
            assert!(piece.len() == 20_000 && source.ready.is_empty(), "{}", source.ready.len());
        }
    }
}
