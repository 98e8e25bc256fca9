//! Embeddings of whole utterances.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::audio::{Audio, Fbank, load, subtract_mean};
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

    /// Features of samples at the front-end's rate; dither only where a stream is given, which is in training. Audio shorter than one
    /// frame is an error.
    pub fn features(&self, samples: &[f32], noise: Option<&mut Stream>) -> Result<Features> {
        let config = self.fbank.config();
        let mut values = self.fbank.compute(samples, noise);
        let frames = values.len() / config.mels;
        if frames == 0 {
            return Err(Error::Undefined(format!(
                "{} samples are shorter than one frame of {} ms",
                samples.len(),
                config.frame_length_ms
            )));
        }
        if self.cmn {
            subtract_mean(&mut values, config.mels);
        }
        Ok(Features { values, frames })
    }

    /// Audio of a file at the front-end's rate, and its features.
    pub fn file(&self, path: &std::path::Path, channel: Option<usize>) -> Result<(Audio, Features)> {
        let audio = load(path, self.fbank.config().sample_rate, channel)?;
        let features = self.features(&audio.samples, None).map_err(|e| Error::file(path, e.to_string()))?;
        Ok((audio, features))
    }
}

/// Most values of a batch's input, so that memory stays bounded whatever the lengths.
const BATCH_VALUES: usize = 1 << 21;

/// Embeddings `[dim]` of feature sets, in their order. Utterances of equal length run together, never padded: padding would change the
/// result. `done` is called with the number of utterances finished.
pub fn embed(
    network: &Network,
    features: &[Features],
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

/// Features of many files on all cores, in order; the first failing file, by order, is the error.
pub fn extract_files(
    extractor: &Extractor,
    paths: &[&std::path::Path],
    channel: Option<usize>,
) -> Result<Vec<(Audio, Features)>> {
    paths.par_iter().map(|p| extractor.file(p, channel)).collect()
}
