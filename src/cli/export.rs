//! `revox export`.

mod anew;
mod distance;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::values::{counted, misused};
use super::{Global, shown, tell};
use crate::error::{Error, Result};
use crate::fs;
use crate::infer::onnx::{
    Check, FEATURES, Input, OUTPUT, Options, Target, WAVEFORM, WeightForm, code_width, export,
    verify,
};
use crate::model_file::{self, Frontend, Model};
use crate::terminal::note;
use distance::Distance;

const ABOUT: &str = "\
Features are those that `revox fbank` makes with the model's settings, with --cmn where the model
wants it; samples are from -1 to 1. The report names the file's input and output.

Before it is written, the file is run by another runtime, rten, on noise of two lengths.
Embeddings that are not the model's are an error, and nothing is written.

--weights int8 takes a model of `quantize --activations int8 --calibrate`. Other programs compute
its convolutions in integers then, with the same weights and nearly all the same activations. Such
embeddings need a cosine of 0.99 or more to the model's own in integers. Less is wanted, never less
than 0.9, where the model's own are far from f32 on noise, as those of untrained weights are.

With --weights codes, names in the file are short, and the file is hardly larger than the packed
model. `revox import` makes the packed model again.

The metadata `revox` holds the model's architecture, front-end, thresholds, and seed, steps and
data hash of its training, but not its recipe, which has local paths.

With a name that ends in .safetensors the model file is written anew: the same model, with what
older versions did not write and Python, C and browsers need, the network's graph.

Programs of --for compute features with front-ends of their own. Where one differs from
the model's, the differences are told; with --check, how far the embeddings are apart.

Examples:
  revox export model.safetensors -o model.onnx
  revox export small.safetensors --weights codes --input waveform -o small.onnx
  revox export fast.safetensors --weights int8 -o fast.onnx
  revox export model.safetensors --for pyannote -o wespeaker-model.onnx
  revox export m.safetensors --for sherpa-onnx --check wav.scp -o m.onnx
  revox export old.safetensors -o new.safetensors";

/// Write a model as an ONNX file, which other programs run, or as a model file anew.
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub struct Args {
    /// The model.
    model: PathBuf,
    /// What goes in.
    #[arg(long, value_enum, default_value = "features")]
    input: Input,
    /// How the file holds weights.
    #[arg(long, value_enum, default_value = "f32")]
    weights: WeightForm,
    /// The program that is to run the file, which then has the metadata that it looks for. Models
    /// that it cannot feed are errors.
    #[arg(long = "for", value_enum, value_name = "PROGRAM")]
    target: Option<Target>,
    /// Compare embeddings by the program's front-end with those by the model's, for these
    /// utterances: `id path` a line.
    #[arg(long, value_name = "LIST", requires = "target")]
    check: Option<PathBuf>,
    /// Channel, from 0, to read of every file of --check. Files of several channels need it.
    #[arg(long, requires = "check")]
    channel: Option<usize>,
    /// The ONNX file, or model file (.safetensors); `-` is standard output, for ONNX.
    #[arg(long, short)]
    output: PathBuf,
}

/// Refuses a name by which pyannote would not know the file.
fn check_name(target: Option<Target>, output: &Path) -> Result<()> {
    let known = output.to_string_lossy().contains("wespeaker");
    match target == Some(Target::Pyannote) && !known && !fs::is_stdout(output) {
        true => Err(misused(
            output,
            "pyannote takes a file for WeSpeaker's if its path has `wespeaker` in it; give such a \
             name",
        )),
        false => Ok(()),
    }
}

/// An error of what a model is, with the model's file.
fn of_model(model: &Path, error: Error) -> Error {
    match error.place().0.is_none() {
        true => error.retold(|text| Error::file(model, text)),
        false => error,
    }
}

/// An error of a file that does not compute the model's embeddings, with what helps.
fn unlike(form: WeightForm, error: Error) -> Error {
    let error = match form {
        WeightForm::Int8 => error.and(
            "keep layers in f32 (`revox quantize --activations int8 --floats`, with a calibration \
             on more speech), or export `--weights f32`",
        ),
        WeightForm::F32 | WeightForm::Codes => error,
    };
    error.and("nothing was written")
}

/// Says what the file will not have of the model's weights and activations.
fn note_losses(model: &Model, form: WeightForm) {
    let is_packed = !model.header.quantization.is_empty();
    match form {
        WeightForm::Int8 if is_packed => {
            note!("a file has integers or codes: the packed weights become 8 bits");
        }
        WeightForm::Codes if model.header.activations.is_some() => note!(
            "the file computes activations in f32: a file has codes or integers, and the model's \
             ranges of activations stay out"
        ),
        WeightForm::F32 if model.header.activations.is_some() => note!(
            "the file computes activations in f32: the model's ranges of activations stay out; \
             `--weights int8` keeps them"
        ),
        _ => {}
    }
    if form == WeightForm::F32 && is_packed {
        note!("the model's weights are packed; `--weights codes` keeps them so");
    }
    if form == WeightForm::Codes {
        let bits: BTreeSet<usize> =
            model.header.quantization.values().map(|packed| packed.scheme.bits).collect();
        for bits in bits.into_iter().filter(|&bits| code_width(bits) != bits) {
            note!("codes of {bits} bits take {} in the file", code_width(bits));
        }
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let inputs: Vec<&Path> =
        [Some(args.model.as_path()), args.check.as_deref()].into_iter().flatten().collect();
    anew::check_output(&args.output, &inputs)?;
    check_name(args.target, &args.output)?;
    fs::check_ending(&args.output, &["onnx", "safetensors"])?;
    if anew::is_meant(&args.output) {
        return anew::run(args, global);
    }
    let device = global.open()?;
    let file = model_file::open(&args.model)?;
    let source = Some(file.hash());
    let (model, _) = Model::with_head(&args.model, file, &device)?;
    note_losses(&model, args.weights);
    let options = Options { input: args.input, weights: args.weights, target: args.target, source };
    let bytes = export(&model, &options).map_err(|e| of_model(&args.model, e))?;
    let check = verify(&model, &bytes, &options).map_err(|e| unlike(args.weights, e))?;
    let differences =
        args.target.map_or_else(Vec::new, |target| target.differences(&model.header.frontend));
    let distance = match (args.target, &args.check) {
        (Some(target), Some(list)) => {
            Some(Distance::measure(&model, &device, target, list, args.channel)?)
        }
        _ => None,
    };
    fs::write_bytes(&args.output, &bytes)?;
    let report = Report { check, differences, distance };
    match global.json {
        true => tell(&args.output, &report.as_json(args, &model, bytes.len()).to_string()),
        false => report.show(args, &model, bytes.len()),
    }
    Ok(())
}

/// The name of the file's input, its size and what it holds.
fn input(form: Input, model: &Model) -> (&'static str, String, String) {
    let Frontend { fbank, cmn } = &model.header.frontend;
    let mels = fbank.mels;
    match form {
        Input::Features => {
            let log = if fbank.log { "log mel" } else { "mel" };
            let (without, flag) =
                if *cmn { (" without their mean over time", " --cmn") } else { ("", "") };
            let what = format!("{log} features{without} (revox fbank --mels {mels}{flag})");
            (FEATURES, format!("[batch, frames, {mels}]"), what)
        }
        Input::Waveform => {
            let rate = f64::from(fbank.sample_rate) / 1000.0;
            let least = fbank.samples_for(model.network.least_frames().max(1));
            let what = format!("{rate} kHz, values from -1 to 1, at least {least}");
            (WAVEFORM, "[batch, samples]".to_owned(), what)
        }
    }
}

/// What is told of a file.
struct Report {
    check: Check,
    /// Of a program's front-end from the model's.
    differences: Vec<String>,
    distance: Option<Distance>,
}

impl Report {
    fn as_json(&self, args: &Args, model: &Model, bytes: usize) -> Value {
        let distance = self.distance.as_ref();
        let (off, near, unchecked) = match &self.check {
            Check::Off(off) => (Some(off), None, None),
            Check::Cosine(cosine) => (None, Some(cosine), None),
            Check::Unchecked(why) => (None, None, Some(why)),
        };
        let (input, input_size, _) = input(args.input, model);
        json!({
            "output": shown(&args.output),
            "arch": model.header.arch.name,
            "bytes": bytes,
            "input": name(&args.input),
            "tensors": {
                input: input_size,
                OUTPUT: format!("[batch, {}]", model.header.embedding_dim),
            },
            "weights": name(&args.weights),
            "rten": off,
            "rten_cosine": near,
            "unchecked": unchecked,
            "for": args.target.as_ref().and_then(name),
            "differences": self.differences,
            "utterances": distance.map(|d| d.utterances),
            "cosine": distance.map(|d| d.cosine),
            "difference": distance.map(|d| d.difference),
        })
    }

    fn show(&self, args: &Args, model: &Model, bytes: usize) {
        let (arch, output) = (&model.header.arch, args.output.display());
        let line = format!("{}: {bytes} bytes in {output}", arch.name);
        tell(&args.output, &line);
        let (input, size, what) = input(args.input, model);
        let dim = model.header.embedding_dim;
        let line = format!("input `{input}` {size}: {what}; output `{OUTPUT}` [batch, {dim}]");
        tell(&args.output, &line);
        let line = match &self.check {
            Check::Off(off) => {
                format!("run by rten: embeddings apart by {off:.1e} of the largest value or less")
            }
            Check::Cosine(cosine) => format!(
                "run by rten: cosine {cosine:.4} or more to the model's embeddings in integers"
            ),
            Check::Unchecked(why) => format!("unchecked: rten cannot run the file: {why}"),
        };
        tell(&args.output, &line);
        let Some(target) = args.target else { return };
        let program = target.name();
        if !self.differences.is_empty() {
            let all = self.differences.join("; ");
            note!("{program}'s front-end differs from the model's, and so do embeddings: {all}");
        }
        if let Some(Distance { utterances, cosine, difference }) = &self.distance {
            let line = format!(
                "{program}'s front-end, {}: cosine {cosine:.4} or more to the model's own \
                 embeddings, values apart by {difference:.2e} of the largest or less",
                counted(*utterances, "utterance")
            );
            tell(&args.output, &line);
        }
    }
}

/// What an option calls a choice.
fn name(choice: &impl ValueEnum) -> Option<String> {
    Some(choice.to_possible_value()?.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_integers_can_have_fewer_of_them() {
        let error = |form| unlike(form, Error::invalid("far away")).to_string();
        assert_eq!(error(WeightForm::F32), "far away; nothing was written");
        let error = error(WeightForm::Int8);
        assert!(error.contains("--floats") && error.ends_with("nothing was written"), "{error}");
    }

    #[test]
    fn pyannote_knows_files_by_their_names() {
        check_name(Some(Target::Pyannote), Path::new("out/wespeaker-a.onnx")).unwrap();
        check_name(Some(Target::Wespeaker), Path::new("a.onnx")).unwrap();
        let error = check_name(Some(Target::Pyannote), Path::new("a.onnx")).unwrap_err();
        assert!(error.to_string().contains("a.onnx: pyannote takes"), "{error}");
    }
}
