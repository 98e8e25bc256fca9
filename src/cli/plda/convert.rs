//! `revox plda convert`.

use std::path::PathBuf;

use serde_json::json;

use super::{check_output, named, report};
use crate::cli::Global;
use crate::cli::values::path;
use crate::error::Result;
use crate::scoring::Plda;

/// Write a model in another form: revox's own, Kaldi's, WeSpeaker's.
///
/// The content of the input tells its form, the ending of the output the other one. Kaldi's and
/// WeSpeaker's files hold no LDA.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox plda convert plda.h5 -o plda.safetensors
  revox plda convert plda -o plda.h5
  revox plda convert plda.safetensors -o plda.kaldi")]
pub(super) struct Args {
    /// The model.
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Output: .safetensors, .kaldi or .plda (Kaldi's form), .h5 (WeSpeaker's).
    #[arg(long, short, value_parser = path(named))]
    output: PathBuf,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    check_output(&args.output, std::slice::from_ref(&args.input))?;
    let plda = Plda::load(&args.input)?;
    plda.save(&args.output)?;
    let said = format!("PLDA of {} values", plda.dim());
    report(&plda, &args.output, &said, json!({}), global);
    Ok(())
}
