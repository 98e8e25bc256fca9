//! A file is run by a runtime that is not ours, rten, before anybody relies on it.

use super::other::{Failure, Other, tried};
use super::{Input, Options, WeightForm};
use crate::error::{Error, Result};
use crate::infer::{Runtime, difference};
use crate::inference::Extractor;
use crate::model_file::Model;
use crate::rng::Stream;
use crate::scoring::cosine;

/// Frames of the utterances, if the network takes so few. Both are primes: no multiple to which a
/// network pads, and not the length by which it was recorded.
const FRAMES: [usize; 2] = [83, 211];
/// Size of samples, where full scale is 1.
const LOUDNESS: f64 = 0.1;

/// How rten's embeddings by a file compare with those of the model.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// The largest difference of two values, in units of the embedding's largest.
    Off(f64),
    /// The least cosine of two embeddings, of a file that computes in integers.
    Cosine(f64),
    /// rten cannot run the file, since it lacks an operation or fails itself: why.
    Unchecked(String),
}

impl Check {
    /// The cosine that [`verify`] lets pass in any case. Noise is not what ranges were found for;
    /// on recordings files come closer. A file has more values in bytes than the runtime has, and
    /// a value between two bytes may become the other one.
    pub const COSINE: f64 = 0.99;
    /// The cosine that it never lets pass.
    const NO_COSINE: f64 = 0.9;

    /// The least cosine that [`verify`] lets pass, of a model whose embeddings in integers have
    /// this cosine to those in f32.
    ///
    /// A file's roundings are about as many as the runtime's, so that both errors have about the
    /// same length. At worst they point away from each other: the distance between both embeddings
    /// is twice that to f32, and the difference of the cosine to 1, which grows with the square of
    /// the distance, is four times as large.
    fn least_cosine(own: f64) -> f64 {
        (1.0 - 4.0 * (1.0 - own)).clamp(Self::NO_COSINE, Self::COSINE)
    }

    /// The largest difference that [`verify`] lets pass. The sums of the front-end are long, and
    /// have another order in a file.
    pub fn limit(input: Input) -> f64 {
        match input {
            Input::Features => 1e-4,
            Input::Waveform => 1e-3,
        }
    }
}

/// Has rten run a file that [`export`](super::export) made of this model, with these options, on
/// noise of two lengths. The [`Runtime`] computes the embeddings that are wanted, in integers if
/// the file does; samples go through the model's front-end first.
///
/// # Errors
/// Embeddings that are further apart than [`Check::limit`] says; with integers, a cosine below
/// [`Check::COSINE`], or below what is to be expected where the model's own embeddings in integers
/// are far from those in f32; a file that rten finds wrong.
pub fn verify(model: &Model, bytes: &[u8], options: &Options) -> Result<Check> {
    let input = options.input;
    let is_int8 = options.weights == WeightForm::Int8;
    let runtime = if is_int8 { Runtime::of(model)? } else { Runtime::floats_of(model)? };
    let utterances = wanted(model, &runtime, input)?;
    let found = match tried(|| embeddings(bytes, &utterances))? {
        Ok(found) => found,
        Err(lack) => return Ok(Check::Unchecked(lack)),
    };
    let pairs = || found.iter().zip(utterances.iter().map(|utterance| &utterance.wanted));
    if is_int8 {
        let least = least(pairs());
        if least >= Check::COSINE {
            return Ok(Check::Cosine(least));
        }
        let own = own_cosine(model, input)?;
        let wanted = Check::least_cosine(own);
        return match least >= wanted {
            true => Ok(Check::Cosine(least)),
            false => Err(Error::invalid(format!(
                "rten's embedding by the ONNX file has a cosine of {least:.4} to the model's in \
                 integers, at least {wanted:.4} is wanted; on the same noise, the model's in \
                 integers has {own:.4} to that in f32"
            ))),
        };
    }
    let (off, limit) =
        (pairs().map(|(a, b)| difference(a, b)).fold(0.0, f64::max), Check::limit(input));
    if off > limit {
        return Err(Error::invalid(format!(
            "rten's embedding by the ONNX file is off by {off:.1e} of its largest value, {limit:e} \
             at most"
        )));
    }
    Ok(Check::Off(off))
}

/// The least cosine of pairs of embeddings. One without direction is as far away as can be.
fn least<'a>(pairs: impl Iterator<Item = (&'a Vec<f32>, &'a Vec<f32>)>) -> f64 {
    let of = |(a, b): (&Vec<f32>, &Vec<f32>)| Some(cosine(a, b)).filter(|c| c.is_finite());
    pairs.map(|pair| of(pair).unwrap_or(-1.0)).fold(1.0, f64::min)
}

/// The least cosine of a model's embeddings in integers to those in f32, on the utterances of
/// [`verify`].
fn own_cosine(model: &Model, input: Input) -> Result<f64> {
    let [integers, floats] = [Runtime::of(model)?, Runtime::floats_of(model)?]
        .map(|runtime| wanted(model, &runtime, input));
    let (integers, floats) = (integers?, floats?);
    Ok(least(integers.iter().map(|u| &u.wanted).zip(floats.iter().map(|u| &u.wanted))))
}

/// The utterances, with the embeddings of a runtime.
fn wanted(model: &Model, runtime: &Runtime, input: Input) -> Result<Vec<Utterance>> {
    let least = model.network.least_frames();
    let all = FRAMES.iter();
    all.map(|&frames| Utterance::make(model, runtime, input, frames.max(least))).collect()
}

/// What goes into the file, and the embedding that is wanted of it.
struct Utterance {
    shape: Vec<usize>,
    values: Vec<f32>,
    wanted: Vec<f32>,
}

impl Utterance {
    /// Noise, always the same.
    fn make(model: &Model, runtime: &Runtime, input: Input, frames: usize) -> Result<Self> {
        let (frontend, mels) = (&model.header.frontend, model.header.arch.mels);
        let mut stream = Stream::new(0, "verify", &[frames as u64]);
        let mut noise = |count: usize, size: f64| -> Vec<f32> {
            (0..count).map(|_| (size * stream.normal()) as f32).collect()
        };
        Ok(match input {
            Input::Features => {
                let values = noise(frames * mels, 1.0);
                let wanted = runtime.embed(&values, frames)?;
                Self { shape: vec![1, frames, mels], values, wanted }
            }
            Input::Waveform => {
                let values = noise(frontend.fbank.samples_for(frames), LOUDNESS);
                let features = Extractor::new(frontend)?.features(&values, None)?;
                let wanted = runtime.embed(&features.values, features.frames)?;
                Self { shape: vec![1, values.len()], values, wanted }
            }
        })
    }
}

/// rten's embeddings of all utterances.
fn embeddings(bytes: &[u8], utterances: &[Utterance]) -> Result<Vec<Vec<f32>>, Failure> {
    let other = Other::load(bytes, rayon::current_num_threads())?;
    let embedding = |u: &Utterance| other.embed(&u.shape, &u.values, u.wanted.len());
    utterances.iter().map(embedding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::onnx::file;
    use crate::infer::onnx::proto::{Data, Dim, File};
    use crate::infer::onnx::tests::{model, packed};

    fn checked(model: &Model, file: &File) -> Result<Check> {
        verify(model, &file.to_bytes(), &Options::default())
    }

    #[test]
    fn exported_files_pass() {
        let (whole, packed) = (model(true), packed(4));
        for (model, weights, input) in [
            (&whole, WeightForm::F32, Input::Features),
            (&whole, WeightForm::F32, Input::Waveform),
            (&packed, WeightForm::F32, Input::Features),
            (&packed, WeightForm::Codes, Input::Features),
            (&packed, WeightForm::Codes, Input::Waveform),
        ] {
            let options = Options { input, weights, ..Options::default() };
            let file = file(model, &options).unwrap();
            let check = verify(model, &file.to_bytes(), &options).unwrap();
            assert!(matches!(check, Check::Off(_)), "{weights:?} {input:?}: {check:?}");
        }
    }

    /// The further the model's own integers are from f32, the less is asked of the file's.
    #[test]
    fn integers_need_not_be_nearer_than_the_models_own() {
        let limits = [1.0, 0.999, 0.995, 0.98, 0.9, -1.0].map(Check::least_cosine);
        for (limit, wanted) in limits.into_iter().zip([0.99, 0.99, 0.98, 0.92, 0.9, 0.9]) {
            assert!((limit - wanted).abs() < 1e-9, "{limit}: {wanted}");
        }
    }

    #[test]
    fn other_weights_are_found() {
        let model = model(false);
        let mut file = file(&model, &Options::default()).unwrap();
        let weights = file.graph.tensors.iter_mut().filter(|tensor| tensor.dims.len() == 4);
        let Some(Data::F32(values)) = weights.map(|tensor| &mut tensor.data).next() else {
            panic!("a convolution has weights");
        };
        values.iter_mut().for_each(|value| *value *= 1.1);
        let error = checked(&model, &file).unwrap_err().to_string();
        assert!(error.contains("is off by"), "{error}");
    }

    #[test]
    fn operations_that_rten_lacks_leave_a_file_unchecked() {
        let model = model(false);
        let mut file = file(&model, &Options::default()).unwrap();
        file.graph.nodes.iter_mut().find(|node| node.op == "Relu").unwrap().op = "Nonesuch";
        let check = checked(&model, &file).unwrap();
        let Check::Unchecked(words) = check else { panic!("{check:?}") };
        assert!(words.contains("Nonesuch"), "{words}");
    }

    #[test]
    fn files_that_contradict_themselves_are_wrong() {
        let model = model(false);
        let mut file = file(&model, &Options::default()).unwrap();
        file.graph.input.dims[2] = Dim::Of(41);
        let error = checked(&model, &file).unwrap_err().to_string();
        assert!(error.contains("rten does not run"), "{error}");
    }
}
