//! `revox info`.

mod data;
mod onnx;
mod plda;

use std::path::{Path, PathBuf};

use serde_json::json;

use self::data::Data;
use super::Global;
use super::values::{counted, pooling_name};
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::{LayerSize, Model, NamedThreshold, layer_sizes};
use crate::scoring::{Fitted, FittedFile};
use crate::terminal::outln;

/// Tell what a file holds: a model, an ONNX file, embeddings, a PLDA model or tar shards.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox info model.safetensors --layers
  revox info model.onnx
  revox info dev.safetensors
  revox info plda.kaldi
  revox info shards")]
pub struct Args {
    /// A model or ONNX file; embeddings (safetensors, .npz, Kaldi's .ark or .scp); a PLDA model
    /// (revox's, Kaldi's, WeSpeaker's); a folder of tar shards, their list or their index.
    /// Embeddings are read once, for their checksum.
    file: PathBuf,
    /// Every tensor of a model or ONNX file.
    #[arg(long)]
    layers: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    // The file is read again when its kind is known.
    if fs::is_stdin(&args.file) {
        return Err(Error::file(&args.file, "cannot be standard input here; name a file"));
    }
    if let Some(data) = Data::of(&args.file) {
        return match args.layers {
            true => Err(Error::file(&args.file, "is no model: --layers has nothing to list")),
            false => data.show(&args.file, global),
        };
    }
    if onnx::show(&args.file, args.layers, global)? {
        return Ok(());
    }
    let model = Model::load(&args.file, &global.open()?)?;
    let header = &model.header;
    let parameters = header.arch.layout()?.parameters();
    let bytes = length(&args.file)?;
    if global.json {
        let mut all = as_json(&model, bytes)?;
        all["kind"] = json!("model");
        outln!("{all}");
        return Ok(());
    }
    let (arch, f) = (&header.arch, &header.frontend.fbank);
    let (pooling, dim) = (pooling_name(arch.pooling), arch.embedding_dim);
    outln!("architecture  {} (width {}, {pooling} pooling, {dim}-d)", arch.name, arch.width);
    if let Some(layers) = &arch.layers {
        let layers = serde_json::to_string(layers).map_err(|e| Error::invalid(e.to_string()))?;
        outln!("layers        {layers}");
    }
    outln!("parameters    {parameters}");
    outln!("file          {bytes} bytes");
    outln!(
        "front-end     {} Hz, {} mels, {:?} window, {}/{} ms, scale {}, CMN {}; trained with \
         dither {}",
        f.sample_rate,
        f.mels,
        f.window,
        f.frame_length_ms,
        f.frame_shift_ms,
        f.scale,
        if header.frontend.cmn { "on" } else { "off" },
        f.dither
    );
    match &header.training {
        Some(t) => outln!(
            "trained       {} steps, seed {}, revox {}, data {}",
            t.steps,
            t.seed,
            t.version.escape_debug(),
            t.data_hash.chars().take(12).collect::<String>().escape_debug()
        ),
        None => outln!("trained       elsewhere (imported)"),
    }
    match header.scoring.threshold_eer {
        Some(t) => outln!("threshold     {t:.4} at equal error rate"),
        None => outln!("threshold     none"),
    }
    for (far, threshold) in &header.scoring.thresholds {
        outln!("              {threshold:.4} at false-accept rate {far}");
    }
    for (name, NamedThreshold { false_accept_rate: far, threshold }) in
        &header.scoring.named_thresholds
    {
        outln!("              {threshold:.4} named {name}, at false-accept rate {far}");
    }
    if let Some(calibration) = &header.scoring.calibration {
        let Fitted { prior, targets, nontargets, speakers, cllr, min_cllr, .. } =
            &calibration.fitted;
        let (scores, less) = (calibration.fitted.scores(), calibration.fitted.less());
        outln!("calibration   LLR = {calibration}, of {scores}{less}, for prior {prior}");
        outln!(
            "              from {targets} targets and {nontargets} nontargets of {speakers} \
             speakers; Cllr {cllr:.4} bits ({min_cllr:.4} at best)"
        );
        for FittedFile { name, sha256 } in &calibration.fitted.files {
            let hash = sha256.as_deref().unwrap_or("unknown");
            outln!("              from {name}, SHA-256 {hash}");
        }
        if let Some([shortest, longest]) = calibration.fitted.seconds {
            outln!("              from {shortest:.2} to {longest:.2} s of speech");
        }
    }
    if header.scoring.embedding_mean.is_some() {
        outln!("mean          subtracted from embeddings before they are compared");
    }
    let sizes = layer_sizes(&model);
    let packed: Vec<&LayerSize> =
        sizes.iter().filter(|l| header.quantization.contains_key(&l.name)).collect();
    if !packed.is_empty() {
        let bits = |l: &&&LayerSize| l.bits * l.shape.iter().product::<usize>();
        let weights: usize = packed.iter().map(|l| l.shape.iter().product::<usize>()).sum();
        let mean = packed.iter().map(|l| bits(&l)).sum::<usize>() as f64 / weights as f64;
        let all = sizes.iter().filter(|l| l.shape.len() > 1).count();
        let (few, all) = (packed.len(), counted(all, "weight tensor"));
        outln!("quantized     {few} of {all}, {mean:.2} bits a weight of theirs");
    }
    if let Some(a) = &header.activations {
        let (layers, utterances) = (a.layers.len(), counted(a.utterances, "utterance"));
        let (layers, method) = (counted(layers, "layer"), a.method.name());
        outln!("activations   {} bits in {layers}, ranges by {method} from {utterances}", a.bits);
    }
    if args.layers {
        for layer in &sizes {
            outln!(
                "{:40} {:?} {} bits, {} bytes",
                layer.name,
                layer.shape,
                layer.bits,
                layer.bytes
            );
        }
    }
    Ok(())
}

/// The number of a file's bytes.
fn length(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).map_err(|e| Error::io(path, "read", e))?.len())
}

/// The model as the verb's JSON has it.
///
/// # Errors
/// Those of [`account`](crate::zoo::Architecture::account).
pub(super) fn as_json(model: &Model, bytes: u64) -> Result<serde_json::Value> {
    let header = &model.header;
    let row = |l: &LayerSize| {
        let mut row = json!({"name": l.name, "shape": l.shape, "bits": l.bits, "bytes": l.bytes});
        if let Some(packed) = header.quantization.get(&l.name) {
            row["scheme"] = json!(packed.scheme.scheme);
        }
        row
    };
    let layers: Vec<_> = layer_sizes(model).iter().map(row).collect();
    let activations = header.activations.as_ref().map(|a| {
        let (utterances, layers) = (a.utterances, a.layers.len());
        json!({"bits": a.bits, "method": a.method, "utterances": utterances, "layers": layers})
    });
    Ok(json!({
        "arch": header.arch,
        "parameters": header.arch.layout()?.parameters(),
        "bytes": bytes,
        "frontend": header.frontend,
        "embedding_dim": header.embedding_dim,
        "training": header.training,
        "scoring": header.scoring,
        "activations": activations,
        "layers": layers,
    }))
}
