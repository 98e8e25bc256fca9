//! Embeddings of whole utterances.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::audio::{Fbank, load, subtract_mean};
use crate::error::{Error, Result};
use crate::model_file::Frontend;
use crate::nn::Mode;
use crate::rng::Stream;
use crate::zoo::Network;

/// Mean-subtracted features of one utterance.
#[derive(Debug, Clone)]
pub struct Features {
    /// `[frames, mels]`, row-major.
    pub values: Vec<f32>,
    /// Number of frames.
    pub frames: usize,
}

/// The front-end of a model, ready to run.
pub struct Extractor {
    fbank: Fbank,
    cmn: bool,
}

impl Extractor {
    /// Prepares the tables.
    pub fn new(frontend: &Frontend) -> Result<Self> {
        Ok(Self { fbank: Fbank::new(frontend.fbank.clone())?, cmn: frontend.cmn })
    }

    /// The filter bank.
    pub fn fbank(&self) -> &Fbank {
        &self.fbank
    }

    /// Features of samples at the front-end's rate. Dither needs a stream: only training has one.
    ///
    /// # Errors
    /// Those of [`Fbank::features`]: audio shorter than one frame, features that are not finite.
    pub fn features(&self, samples: &[f32], noise: Option<&mut Stream>) -> Result<Features> {
        let mels = self.fbank.config().mels;
        let mut values = self.fbank.features(samples, noise)?;
        let frames = values.len() / mels;
        if self.cmn {
            subtract_mean(&mut values, mels);
        }
        Ok(Features { values, frames })
    }
}

/// Most values of a batch's input, so that memory stays bounded whatever the lengths.
const BATCH_VALUES: usize = 1 << 21;

/// Embeddings `[dim]` of feature sets, in their order. Utterances of equal length run together, never padded: padding would change the
/// result. `done` is called with the number of utterances finished.
pub fn embed(
    network: &Network,
    features: &[&Features],
    mels: usize,
    device: &Device,
    done: &dyn Fn(usize),
) -> Vec<Vec<f32>> {
    let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, f) in features.iter().enumerate() {
        by_length.entry(f.frames).or_default().push(i);
    }
    let mut embeddings = vec![Vec::new(); features.len()];
    for (frames, indices) in by_length {
        let most = (BATCH_VALUES / (frames * mels)).max(1);
        for batch in indices.chunks(most) {
            let values: Vec<f32> = batch.iter().flat_map(|&i| features[i].values.iter().copied()).collect();
            let input = Tensor::<3>::from_data(TensorData::new(values, [batch.len(), frames, mels]), device);
            let output = network.forward(input, Mode::Eval);
            let dim = output.dims()[1];
            let output = output.into_data().convert::<f32>();
            let values = output.as_slice::<f32>().expect("just converted to f32");
            for (&i, row) in batch.iter().zip(values.chunks_exact(dim)) {
                embeddings[i] = row.to_vec();
            }
            done(batch.len());
        }
    }
    embeddings
}

/// How recordings become features.
pub struct Reading<'a> {
    /// The model's front-end.
    pub extractor: &'a Extractor,
    /// Channel, from 0, of files that have several.
    pub channel: Option<usize>,
    /// Seconds that the network takes at once. A longer recording is cut into equal windows.
    pub window: f64,
}

/// Seconds of a window unless the user says otherwise. The activations of ResNet34 for so much
/// audio take about a gigabyte.
pub const WINDOW: f64 = 300.0;

/// A recording's features, and what its samples told before they were dropped.
pub struct Recording {
    /// Length.
    pub seconds: f64,
    /// Root mean square of the samples, full scale = 1.
    pub rms: f64,
    /// As [`crate::audio::Audio::is_silent`] says.
    pub silent: bool,
    /// What a user should know about the recording.
    pub warnings: Vec<String>,
    /// Features of each window; one window for all but long recordings.
    pub windows: Vec<Features>,
}

impl Recording {
    /// Frames of all windows.
    pub fn frames(&self) -> usize {
        self.windows.iter().map(|w| w.frames).sum()
    }

    /// Bytes of the features.
    fn bytes(&self) -> usize {
        self.windows.iter().map(|w| 4 * w.values.len()).sum()
    }
}

impl Reading<'_> {
    /// Reads a file.
    ///
    /// # Errors
    /// What [`crate::audio::load`] and [`Extractor::features`] refuse.
    pub fn file(&self, path: &Path) -> Result<Recording> {
        let rate = self.extractor.fbank().config().sample_rate;
        let audio = load(path, rate, self.channel)?;
        let longest = (self.window * f64::from(rate)) as usize;
        let count = audio.samples.len().div_ceil(longest.max(1));
        let each = audio.samples.len().div_ceil(count.max(1));
        let windows = audio
            .samples
            .chunks(each)
            .map(|samples| self.extractor.features(samples, None).map_err(|e| Error::file(path, e.to_string())))
            .collect::<Result<Vec<_>>>()?;
        let mut warnings: Vec<String> = audio.narrowband_warning().into_iter().collect();
        if count > 1 {
            warnings.push(format!(
                "{:.0} s long: the embedding is the mean of those of {count} windows of {:.0} s",
                audio.seconds(),
                each as f64 / f64::from(rate)
            ));
        }
        let (seconds, rms, silent) = (audio.seconds(), audio.rms(), audio.is_silent());
        Ok(Recording { seconds, rms, silent, warnings, windows })
    }
}

/// The embedding `[dim]` of each recording: of its only window, or the mean of its windows'
/// embeddings, each scaled to unit length.
pub fn embed_recordings(
    network: &Network,
    recordings: &[&Recording],
    mels: usize,
    device: &Device,
    done: &dyn Fn(usize),
) -> Vec<Vec<f32>> {
    let windows: Vec<&Features> = recordings.iter().flat_map(|r| &r.windows).collect();
    let mut rows = embed(network, &windows, mels, device, done).into_iter();
    recordings
        .iter()
        .map(|recording| match recording.windows.len() {
            1 => rows.next().expect("a row a window"),
            count => mean_direction(rows.by_ref().take(count)),
        })
        .collect()
}

/// The mean of vectors scaled to unit length.
fn mean_direction(rows: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    let (mut sum, mut count) = (Vec::new(), 0.0);
    for row in rows {
        let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        sum.resize(row.len(), 0.0);
        sum.iter_mut().zip(&row).for_each(|(s, &x)| *s += f64::from(x) / length);
        count += 1.0;
    }
    sum.into_iter().map(|s| (s / count) as f32).collect()
}

/// Bytes of features that wait for the network. What is decoded at a time is bounded by the number
/// of threads, so memory does not grow with the number of files.
const WAITING: usize = 64 << 20;

/// What takes the embedding of each file: the file's place, and what came of it.
pub type Taker<'a> = dyn FnMut(usize, Result<(Recording, Vec<f32>)>) -> Result<()> + 'a;

/// Embeddings of files, in their order and in bounded memory. `each` gets the place of every file
/// with what was read of it and its embedding, or the error; it ends the work by returning one.
///
/// # Errors
/// Those of `each`.
pub fn embed_files(
    network: &Network,
    reading: &Reading,
    paths: &[&Path],
    device: &Device,
    each: &mut Taker,
) -> Result<()> {
    let mels = reading.extractor.fbank().config().mels;
    let mut waiting: Vec<(usize, Result<Recording>)> = Vec::new();
    let mut flush = |waiting: &mut Vec<(usize, Result<Recording>)>| -> Result<()> {
        let read: Vec<&Recording> = waiting.iter().filter_map(|w| w.1.as_ref().ok()).collect();
        let mut rows = embed_recordings(network, &read, mels, device, &|_| ()).into_iter();
        for (i, recording) in waiting.drain(..) {
            each(i, recording.map(|r| (r, rows.next().expect("a row a recording"))))?;
        }
        Ok(())
    };
    let mut bytes = 0;
    let at_once = 2 * rayon::current_num_threads();
    for (k, wave) in paths.chunks(at_once).enumerate() {
        let first = at_once * k;
        let read: Vec<Result<Recording>> = wave.par_iter().map(|path| reading.file(path)).collect();
        for (i, recording) in (first..).zip(read) {
            bytes += recording.as_ref().map_or(0, Recording::bytes);
            waiting.push((i, recording));
            // Only the files decide what runs together, not the number of threads: batches of
            // other sizes round otherwise.
            if bytes > WAITING {
                bytes = 0;
                flush(&mut waiting)?;
            }
        }
    }
    flush(&mut waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::write_wav16;
    use crate::zoo::Architecture;

    #[test]
    fn long_recordings_are_cut_into_equal_windows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let samples: Vec<f32> = (0..50_000).map(|i| (i as f32 * 0.05).sin() * 0.3).collect();
        write_wav16(&path, &samples, 16000).unwrap();
        let fbank = crate::audio::FbankConfig { mels: 16, ..Default::default() };
        let extractor = Extractor::new(&Frontend { fbank, cmn: true }).unwrap();
        let read = |window| Reading { extractor: &extractor, channel: None, window }.file(&path).unwrap();
        let (whole, cut) = (read(WINDOW), read(1.0));
        assert_eq!((whole.windows.len(), whole.warnings.len()), (1, 0));
        // 3.125 s are four windows of 12,500 samples.
        assert_eq!(cut.windows.iter().map(|w| w.frames).collect::<Vec<_>>(), [76; 4]);
        assert!(cut.warnings[0].contains("4 windows"), "{:?}", cut.warnings);

        let arch = Architecture { width: 2, mels: 16, embedding_dim: 8, ..Architecture::named("resnet10").unwrap() };
        let device = Device::default();
        let network = arch.init(&device, 1).unwrap();
        let rows = embed(&network, &cut.windows.iter().collect::<Vec<_>>(), 16, &device, &|_| ());
        let mean = &embed_recordings(&network, &[&cut], 16, &device, &|_| ())[0];
        let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
        for (i, m) in mean.iter().enumerate() {
            let wanted = rows.iter().map(|row| row[i] / length(row)).sum::<f32>() / 4.0;
            assert!((m - wanted).abs() < 1e-6, "{m} {wanted}");
        }
        let single = &embed_recordings(&network, &[&whole], 16, &device, &|_| ())[0];
        assert_eq!(single, &embed(&network, &[&whole.windows[0]], 16, &device, &|_| ())[0]);
    }

    #[test]
    fn files_come_in_order_with_their_errors() {
        let dir = tempfile::tempdir().unwrap();
        let fbank = crate::audio::FbankConfig { mels: 16, ..Default::default() };
        let extractor = Extractor::new(&Frontend { fbank, cmn: true }).unwrap();
        let reading = Reading { extractor: &extractor, channel: None, window: WINDOW };
        let arch = Architecture { width: 2, mels: 16, embedding_dim: 8, ..Architecture::named("resnet10").unwrap() };
        let network = arch.init(&Device::default(), 1).unwrap();
        let paths: Vec<_> = (0..20).map(|i| dir.path().join(format!("{i}.wav"))).collect();
        for (i, path) in paths.iter().enumerate().filter(|(i, _)| i % 7 != 3) {
            let samples: Vec<f32> = (0..4000 + 160 * (i % 3)).map(|t| (t as f32 * 0.01 * i as f32).sin()).collect();
            write_wav16(path, &samples, 16000).unwrap();
        }
        let paths: Vec<&Path> = paths.iter().map(|p| p.as_path()).collect();
        let mut seen = Vec::new();
        let mut each = |i, result: Result<(Recording, Vec<f32>)>| {
            assert_eq!(result.is_err(), i % 7 == 3);
            seen.push(i);
            if let Ok((recording, row)) = result {
                let alone = embed_recordings(&network, &[&recording], 16, &Device::default(), &|_| ());
                // Batches of another size round otherwise.
                assert!(alone[0].iter().zip(&row).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b.abs())), "{i}");
            }
            Ok(())
        };
        embed_files(&network, &reading, &paths, &Device::default(), &mut each).unwrap();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
    }
}
