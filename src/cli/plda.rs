//! `revox plda`.

mod adapt;
mod convert;
mod measured;
mod train;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Global, outputs, shown, tell};
use crate::error::Result;
use crate::scoring::Plda;

/// Models of voices for scoring (PLDA): train, adapt to another domain, convert.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox plda train train.safetensors --utt2spk utt2spk -o plda.safetensors
  revox plda adapt plda.safetensors new.safetensors -o adapted.safetensors
  revox plda convert plda.h5 -o plda.safetensors")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Train(train::Args),
    Adapt(adapt::Args),
    Convert(convert::Args),
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    match &args.what {
        What::Train(args) => train::run(args, global),
        What::Adapt(args) => adapt::run(args, global),
        What::Convert(args) => convert::run(args, global),
    }
}

/// Refuses an output's name that says none of the forms.
fn named(output: &Path) -> Result<()> {
    Plda::check_name(output)
}

/// Refuses an output before any work: one that cannot be written, an input.
fn check_output(output: &Path, inputs: &[PathBuf]) -> Result<()> {
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    outputs::check(&[output], &inputs)
}

/// Says what was written: `said` in words, or a model's facts and `more` as JSON.
fn report(plda: &Plda, output: &Path, said: &str, more: Value, global: &Global) {
    if !global.json {
        tell(output, &format!("{said} in {}", output.display()));
        return;
    }
    let mut facts = json!({
        "dim": plda.dim(),
        "input_dim": plda.input_dim(),
        "length_norm": plda.length_norm(),
        "subtracts_mean": plda.has_mean(),
        "lacks_mean": plda.lacks_mean(),
        "output": shown(output),
    });
    if let (Value::Object(facts), Value::Object(more)) = (&mut facts, more) {
        facts.extend(more);
    }
    tell(output, &facts.to_string());
}
