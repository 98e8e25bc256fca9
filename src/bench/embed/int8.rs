//! A network with random weights that computes in integers.

use crate::corpus::synth::SynthConfig;
use crate::error::Result;
use crate::infer::{Floats, calibrate};
use crate::inference::{Extractor, Features};
use crate::model_file::Model;
use crate::quant::RangeMethod;

/// Speakers of synthetic speech, each with one utterance.
const SPEAKERS: usize = 8;

/// A model with ranges of activations for synthetic speech, and the cosine distance of its
/// embeddings to those in f32. Every layer that can compute in integers does, whatever it costs:
/// random weights tell nothing of that.
///
/// # Errors
/// Those of [`calibrate`].
pub(super) fn calibrated(model: &Model) -> Result<(Model, f64)> {
    let (speech, frontend) = (SynthConfig::new("speech"), Extractor::new(&model.header.frontend)?);
    let utterance = |speaker| frontend.features(&speech.utterance(speaker, 0), None);
    let utterances = (0..SPEAKERS).map(utterance).collect::<Result<Vec<Features>>>()?;
    let method = RangeMethod::default();
    let made = calibrate(model, &utterances, method, &Floats::None, &mut |_, _| ())?;
    let mut model = model.clone();
    model.header.activations = Some(made.activations);
    Ok((model, made.cosine_distance))
}
