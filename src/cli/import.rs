//! `revox import`.

use std::path::PathBuf;

use serde_json::json;

use super::Global;
use crate::error::Result;
use crate::model_file::{ImportOptions, import};
use crate::nn::PoolingKind;

/// Make a model file of a WeSpeaker checkpoint.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  revox import avg_model.pt --config config.yaml -o model.safetensors\n  revox import avg_model.pt --arch resnet34 -o model.safetensors"
)]
pub struct Args {
    /// A state_dict: .pt or .safetensors.
    checkpoint: PathBuf,
    /// Architecture (`revox zoo` lists them).
    #[arg(long)]
    arch: Option<String>,
    /// WeSpeaker's config.yaml of the training.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Mel filters, where shapes leave it open.
    #[arg(long)]
    mels: Option<usize>,
    /// Pooling, where shapes leave it open: TSTP, TAP, TSDP or ASTP.
    #[arg(long, value_parser = pooling)]
    pooling: Option<PoolingKind>,
    /// Leave the training head (projection) out.
    #[arg(long)]
    without_projection: bool,
    /// The model file.
    #[arg(long, short)]
    output: PathBuf,
}

fn pooling(text: &str) -> Result<PoolingKind, String> {
    let value = serde_json::Value::String(text.to_uppercase());
    serde_json::from_value(value).map_err(|_| "TSTP, TAP, TSDP or ASTP".to_owned())
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let options =
        ImportOptions { arch: args.arch.clone(), config: args.config.clone(), mels: args.mels, pooling: args.pooling };
    let (model, mut head) = import(&args.checkpoint, &options, &global.open()?)?;
    if args.without_projection {
        head.0.clear();
    }
    let parts = head.0.len();
    model.save(&args.output, head)?;
    let arch = &model.header.arch;
    let parameters = arch.account(200)?.parameters();
    if global.json {
        println!("{}", json!({"arch": arch, "parameters": parameters, "projection": parts > 0, "output": args.output}));
        return Ok(());
    }
    println!(
        "{} (width {}, {} mels, {}-d, {:?}): {parameters} parameters{} in {}",
        arch.name,
        arch.width,
        arch.mels,
        arch.embedding_dim,
        arch.pooling,
        if parts > 0 { " and the training head" } else { "" },
        args.output.display()
    );
    if args.config.is_none() {
        eprintln!(
            "note: front-end taken as WeSpeaker's default (16 kHz, hamming, 25/10 ms, CMN); --config reads the training's own"
        );
    }
    Ok(())
}
