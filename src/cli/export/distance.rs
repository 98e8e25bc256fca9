//! Embeddings by another program's front-end beside the model's own.

use std::path::Path;

use burn::tensor::Device;

use crate::cli::check_heard;
use crate::corpus::{locate, read_wav_scp};
use crate::error::{Error, Result};
use crate::infer::difference;
use crate::infer::onnx::Target;
use crate::inference::Embedder;
use crate::model_file::Model;
use crate::scoring::cosine;

/// How far embeddings by another front-end are from a model's own.
pub(super) struct Distance {
    pub utterances: usize,
    /// The least cosine of an utterance's two embeddings.
    pub cosine: f64,
    /// The largest difference of two values, in units of the own embedding's largest.
    pub difference: f64,
}

impl Distance {
    /// Of the utterances of a list.
    pub fn measure(
        model: &Model,
        device: &Device,
        target: Target,
        list: &Path,
        channel: Option<usize>,
    ) -> Result<Self> {
        let theirs = target.frontend(&model.header.frontend);
        // In f32, as the other one: front-ends alone are compared.
        let floats = model.with_f32_activations();
        let own = Embedder::of(&floats, device)?.channel(channel);
        let other = Embedder::new(&model.network, &theirs, device)?.channel(channel);
        let mut distance = Self { utterances: 0, cosine: 1.0, difference: 0.0 };
        for (_, file, line) in read_wav_scp(list)? {
            let path = locate(list, &file);
            let at = |e: Error| e.retold(|text| Error::line(list, line, text));
            let mut embedding = Vec::new();
            own.files(&[path.as_path()], &mut |_, result| {
                let (facts, row) = result?;
                check_heard(&path, facts.silent, "--check")?;
                embedding = row;
                Ok(())
            })
            .map_err(at)?;
            distance.add(&embedding, &other.file(&path).map_err(at)?);
        }
        Ok(distance)
    }

    fn add(&mut self, own: &[f32], other: &[f32]) {
        self.utterances += 1;
        self.cosine = self.cosine.min(cosine(own, other));
        self.difference = self.difference.max(difference(other, own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_the_worst() {
        let mut distance = Distance { utterances: 0, cosine: 1.0, difference: 0.0 };
        distance.add(&[2.0, 0.0], &[2.0, 0.0]);
        assert_eq!((distance.cosine, distance.difference), (1.0, 0.0));
        distance.add(&[2.0, 0.0], &[1.0, 1.0]);
        distance.add(&[0.0, 1.0], &[0.0, 1.0]);
        assert!((distance.cosine - 0.5f64.sqrt()).abs() < 1e-12, "{}", distance.cosine);
        assert_eq!((distance.utterances, distance.difference), (3, 0.5));
    }
}
