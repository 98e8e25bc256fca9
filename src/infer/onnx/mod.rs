//! Models as ONNX files, which other programs run. Everything is of opset 13, the newest that all
//! runtimes read; what it lacks is composed of what it has.
//!
//! | | name | size |
//! |---|---|---|
//! | input, features | `feats` | `[B, T, mels]` |
//! | input, waveform | `waveform` | `[B, N]`, full scale = 1 |
//! | output | `embs` | `[B, dim]` |
//!
//! Features are those of the model's front-end, with their mean subtracted where the model's header
//! says so. `B`, `T` and `N` are any numbers, `T` of at least as many frames as the network takes.

mod builder;
mod compose;
mod graph;
mod integers;
mod metadata;
#[cfg(feature = "cli")]
pub(crate) mod other;
mod proto;
#[cfg(test)]
mod sizes;
#[cfg(feature = "cli")]
mod verify;
mod waveform;
mod weights;

#[cfg(feature = "cli")]
pub(crate) use crate::model_file::code_width;
pub use metadata::Target;
#[cfg(feature = "cli")]
pub use verify::{Check, verify};

use self::builder::Builder;
use self::integers::Integers;
use self::proto::{Dim, File, Port};
use self::weights::Weights;
use crate::error::{Error, Result};
use crate::model_file::{Header, Model, short_names};
use crate::nn::Graph;

/// Frames of the utterance by which the network is recorded. A prime: no number of frames inside
/// the network is by chance the multiple to which it is padded.
const FRAMES: usize = 331;
/// The output's name; it and [`FEATURES`] are WeSpeaker's.
pub(crate) const OUTPUT: &str = "embs";
/// The input's name, if it is features.
pub(crate) const FEATURES: &str = "feats";
/// The input's name, if it is samples.
pub(crate) const WAVEFORM: &str = "waveform";
/// Bytes of the largest message of protocol buffers.
const LARGEST: usize = i32::MAX as usize;

/// What goes into the file's network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Input {
    /// Features of the model's front-end, `[B, T, mels]`.
    #[default]
    Features,
    /// Samples at the model's rate, `[B, N]`, full scale 1: the front-end is part of the file.
    Waveform,
}

/// How the file holds weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum WeightForm {
    /// As f32 values; packed ones are unpacked.
    #[default]
    F32,
    /// Packed ones as codes with their codebook, which the file's network unpacks, to the bit.
    /// Names are short, so that the file is as small as the model's.
    Codes,
    /// Integers of 8 bits where the model's ranges of activations have a layer compute in them,
    /// between bytes (QDQ); f32 values everywhere else.
    Int8,
}

/// What a file is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// What goes in.
    pub input: Input,
    /// How weights are held.
    pub weights: WeightForm,
    /// A program that looks for metadata of its own.
    pub target: Option<Target>,
    /// SHA-256 of the model's file, in hex, for the metadata.
    pub source: Option<String>,
}

/// The bytes of a model's ONNX file.
///
/// # Errors
/// A model that the target cannot feed; codes of a model without packed weights, or integers of one
/// without ranges of activations; a front-end that a graph cannot compute, if samples go in; a
/// network to which a quantizer is attached; more than 2 GiB.
pub fn export(model: &Model, options: &Options) -> Result<Vec<u8>> {
    let bytes = file(model, options)?.to_bytes();
    if bytes.len() > LARGEST {
        let message = format!("the file would have {} bytes; ONNX files end at 2 GiB", bytes.len());
        return Err(Error::invalid(message));
    }
    Ok(bytes)
}

fn file(model: &Model, options: &Options) -> Result<File> {
    let arch = &model.header.arch;
    let network = arch.graph(FRAMES.max(arch.least_frames()?))?;
    let integers = integers(model, options, &network)?;
    written(model, options, &network, &integers)
}

/// What of a model's network is integers.
fn integers(model: &Model, options: &Options, network: &Graph) -> Result<Integers> {
    match (options.weights, &model.header.activations) {
        (WeightForm::Int8, Some(activations)) => Integers::of(network, activations),
        (WeightForm::Int8, None) => Err(Error::invalid(
            "the model has no ranges of activations, which integers need; \
             `revox quantize --activations int8 --calibrate AUDIO` finds them",
        )),
        (WeightForm::F32 | WeightForm::Codes, _) => Ok(Integers::default()),
    }
}

fn written(model: &Model, options: &Options, network: &Graph, integers: &Integers) -> Result<File> {
    if let Some(target) = options.target {
        target.check(&model.header, options.input)?;
    }
    let weights = Weights::of(model, options.weights)?;
    composed(&model.header, options, network, integers, weights)
}

fn composed(
    header: &Header,
    options: &Options,
    network: &Graph,
    integers: &Integers,
    mut weights: Weights,
) -> Result<File> {
    let arch = &header.arch;
    let mut b = Builder::default();
    b.enter("frontend");
    let (input, features) = match options.input {
        Input::Features => {
            let dims = vec![Dim::Any("B"), Dim::Any("T"), Dim::Of(arch.mels)];
            (Port { name: FEATURES, dims }, b.transpose(FEATURES, &[0, 2, 1]))
        }
        Input::Waveform => {
            let dims = vec![Dim::Any("B"), Dim::Any("N")];
            let features = waveform::features(&mut b, &header.frontend, WAVEFORM)?;
            (Port { name: WAVEFORM, dims }, features)
        }
    };
    let axis = b.ints(&[1]);
    let image = b.op("Unsqueeze", &[&features, &axis]);
    let embedding = graph::network(&mut b, network, &mut weights, integers, image)?;
    b.rename(&embedding, OUTPUT);
    if options.weights == WeightForm::Codes {
        b.shorten(short_names(network), [input.name, OUTPUT]);
    }
    let dims = vec![Dim::Any("B"), Dim::Of(header.embedding_dim)];
    let output = Port { name: OUTPUT, dims };
    let Builder { nodes, tensors, .. } = b;
    let graph = proto::Graph { name: arch.name.clone(), nodes, tensors, input, output };
    Ok(File { graph, metadata: metadata::entries(header, options)? })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::audio::FbankConfig;
    use crate::model_file::Frontend;
    use crate::quant::{QuantizeConfig, Quantizer, uniform};
    use crate::zoo::Architecture;

    pub fn model(two_embedding_layers: bool) -> Model {
        let arch = Architecture {
            width: 8,
            mels: 40,
            embedding_dim: 16,
            two_embedding_layers,
            ..Architecture::named("resnet10").unwrap()
        };
        let network = arch.init(&Device::default(), 3).unwrap();
        let fbank = FbankConfig { mels: 40, ..FbankConfig::default() };
        Model { header: Header::new(arch, Frontend { fbank, cmn: true }), network }
    }

    pub fn packed(bits: usize) -> Model {
        let Model { header, network } = model(true);
        let tensors = header.arch.layout().unwrap().names_and_shapes();
        let config = QuantizeConfig { bits, ..QuantizeConfig::default() };
        let quantizer = Quantizer::new(uniform(&tensors, &config).unwrap(), config);
        let attached = quantizer.attach(network).unwrap();
        quantizer.set_stage(quantizer.stages());
        Model::packed(&header, &attached, &quantizer, &Device::default()).unwrap()
    }

    #[test]
    fn inputs_and_outputs_have_their_names() {
        for (input, name) in [(Input::Features, "feats"), (Input::Waveform, "waveform")] {
            let graph = file(&model(true), &Options { input, ..Options::default() }).unwrap().graph;
            assert_eq!((graph.input.name, graph.output.name), (name, "embs"));
            assert_eq!(graph.nodes.last().unwrap().output, "embs");
            assert!(graph.nodes.iter().any(|node| node.inputs.contains(&name.to_owned())));
        }
    }

    #[test]
    fn codes_take_a_fraction_of_the_bytes() {
        let model = packed(4);
        let [codes, floats] = [WeightForm::Codes, WeightForm::F32].map(|weights| {
            export(&model, &Options { weights, ..Options::default() }).unwrap().len()
        });
        assert!(2 * codes < floats, "{codes} {floats}");
    }

    #[test]
    fn integers_need_ranges() {
        let options = Options { weights: WeightForm::Int8, ..Options::default() };
        let error = export(&model(false), &options).unwrap_err().to_string();
        assert!(error.contains("revox quantize --activations int8 --calibrate"), "{error}");
    }

    #[test]
    fn weights_without_codes_have_none_to_export() {
        let options = Options { weights: WeightForm::Codes, ..Options::default() };
        let error = export(&model(false), &options).unwrap_err().to_string();
        assert!(error.contains("have no codes"), "{error}");
    }
}
