//! A model file written anew.

use std::path::Path;

use serde_json::json;

use super::Args;
use crate::cli::values::misused;
use crate::cli::{Global, outputs, shown, tell};
use crate::error::Result;
use crate::fs;
use crate::infer::onnx::{Input, WeightForm};
use crate::model_file::{read_header, write_anew};

/// Whether a name is that of a model file.
pub(super) fn is_meant(output: &Path) -> bool {
    output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors"))
}

/// Refuses an output that must not be replaced: a model file may replace a model, an ONNX file not.
///
/// # Errors
/// Those of [`outputs::check`].
pub(super) fn check_output(output: &Path, inputs: &[&Path]) -> Result<()> {
    match is_meant(output) {
        true => outputs::check_with_models(&[], &[output], inputs),
        false => outputs::check(&[output], inputs),
    }
}

/// Writes the file.
///
/// # Errors
/// Options of ONNX files; those of [`write_anew`].
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if args.input != Input::Features || args.weights != WeightForm::F32 || args.target.is_some() {
        let message = "--input, --weights and --for are about ONNX files; a model file is the \
                       model as it is";
        return Err(misused(&args.output, message));
    }
    write_anew(&args.model, &args.output)?;
    let name = read_header(&args.output)?.arch.name;
    let bytes = fs::read(&args.output)?.len();
    match global.json {
        true => {
            let told = json!({"output": shown(&args.output), "arch": name, "bytes": bytes});
            tell(&args.output, &told.to_string());
        }
        false => {
            let output = args.output.display();
            tell(&args.output, &format!("{name}: {bytes} bytes in {output}, with its graph"));
        }
    }
    Ok(())
}
