//! `revox import`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::values::{ArchitectureName, pooling, pooling_name};
use super::{Global, outputs, shown, tell};
use crate::error::{Error, Remedy, Result};
use crate::fs;
use crate::model_file::{ImportOptions, import_noted};
use crate::nn::PoolingKind;
use crate::terminal::note;

/// Make a model file of a WeSpeaker checkpoint or ONNX file, or of a file of `revox export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox import exp/ECAPA_TDNN_GLOB_c512 -o model.safetensors
  revox import avg_model.pt --config config.yaml -o model.safetensors
  revox import avg_model.pt --arch resnet34 -o model.safetensors
  revox import avg_model.pt --arch ecapa-tdnn-glob-512 -o model.safetensors
  revox import voxceleb_resnet34.onnx -o model.safetensors
  revox import exported.onnx -o model.safetensors")]
pub struct Args {
    /// A state_dict, alone or in a training's checkpoint: .pt, .ckpt or .safetensors; an exported
    /// .onnx file; or a folder with avg_model.pt.
    checkpoint: PathBuf,
    /// Architecture (`revox zoo` lists them). Most .onnx files tell it; those of `revox export` say
    /// their front-end and thresholds too.
    #[arg(long, value_parser = ArchitectureName, hide_possible_values = true)]
    arch: Option<String>,
    /// WeSpeaker's config.yaml of the training. One beside the checkpoint is found, unless --arch
    /// is given.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Mel filters, where shapes leave it open.
    #[arg(long)]
    mels: Option<usize>,
    /// Pooling, where shapes leave it open: TSTP, TAP, TSDP, ASTP, ASTP-GLOBAL, MQMHASTP or ASP.
    #[arg(long, value_parser = pooling)]
    pooling: Option<PoolingKind>,
    /// Key or prefix of the weights, where the checkpoint holds the network more than once.
    #[arg(long)]
    key: Option<String>,
    /// Leave the training head (projection) out.
    #[arg(long)]
    without_projection: bool,
    /// The model file; `-` is standard output.
    #[arg(long, short)]
    output: PathBuf,
}

/// The error of a key that several networks have: it asks for more of the key, not for a key.
fn more_of_the_key(args: &Args, error: Error) -> Error {
    match error {
        Error::Remedied { error, remedy: Remedy::ChooseNetwork } if args.key.is_some() => {
            error.and("give more of --key")
        }
        other => other,
    }
}

/// The checkpoint and the configuration. Of a training's folder, the averaged model. Where no other
/// choice was made, a configuration beside the checkpoint is taken, or one folder up, where
/// WeSpeaker's trainings leave it.
fn found(args: &Args) -> (PathBuf, Option<PathBuf>) {
    let given = &args.checkpoint;
    let averaged = ["avg_model.pt", "models/avg_model.pt"].map(|name| given.join(name));
    let checkpoint = averaged.into_iter().find(|path| path.is_file());
    let checkpoint = checkpoint.unwrap_or_else(|| given.clone());
    let mut folders = checkpoint.ancestors().skip(1).take(2);
    let beside = folders.find_map(|folder| {
        Some(folder.join("config.yaml")).filter(|path| args.arch.is_none() && path.is_file())
    });
    (checkpoint, args.config.clone().or(beside))
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let (checkpoint, config) = found(args);
    let inputs: Vec<&Path> =
        [Some(checkpoint.as_path()), config.as_deref()].into_iter().flatten().collect();
    outputs::check_with_models(&[], &[&args.output], &inputs)?;
    fs::check_ending(&args.output, &["safetensors"])?;
    if checkpoint.is_dir() {
        return Err(Error::file(&checkpoint, "is a folder, not a file, and has no avg_model.pt"));
    }
    let options = ImportOptions {
        arch: args.arch.clone(),
        config: config.clone(),
        mels: args.mels,
        pooling: args.pooling,
        key: args.key.clone(),
        layers: None,
    };
    let mut imported = import_noted(&checkpoint, &options, &global.open()?)
        .map_err(|e| more_of_the_key(args, e))?;
    if args.without_projection {
        imported.head.0.clear();
    }
    let beside = config.as_deref().filter(|_| args.config.is_none() && !imported.own);
    if let Some(beside) = beside {
        imported.notes.push(format!("{} was read", shown(beside)));
    }
    if config.is_none() && !imported.own {
        let frontend = &imported.model.header.frontend;
        let rate = f64::from(frontend.fbank.sample_rate) / 1000.0;
        let mean = if frontend.cmn { "CMN" } else { "no CMN" };
        imported.notes.push(format!(
            "front-end taken as WeSpeaker's default ({rate} kHz, hamming, 25/10 ms, {mean}); \
             --config reads the training's own"
        ));
        if imported.model.header.arch.name.starts_with("redimnet") {
            imported.notes.push(
                "the weights that ReDimNet's authors publish were trained on other features, with \
                 which revox computes wrong embeddings; WeSpeaker's trainings on fbank fit"
                    .into(),
            );
        }
    }
    let (model, notes, parts) = (imported.model, imported.notes, imported.head.0.len());
    model.save(&args.output, imported.head)?;
    let arch = &model.header.arch;
    let parameters = arch.layout()?.parameters();
    if global.json {
        let found = json!({
            "arch": arch,
            "frontend": model.header.frontend,
            "parameters": parameters,
            "projection": parts > 0,
            "output": shown(&args.output),
            "notes": notes,
        });
        tell(&args.output, &found.to_string());
        return Ok(());
    }
    let head = if parts > 0 { " and the training head" } else { "" };
    tell(
        &args.output,
        &format!(
            "{} (width {}, {} mels, {}-d, {}): {parameters} parameters{head} in {}",
            arch.name,
            arch.width,
            arch.mels,
            arch.embedding_dim,
            pooling_name(arch.pooling),
            args.output.display()
        ),
    );
    for text in notes {
        note!("{text}");
    }
    Ok(())
}
