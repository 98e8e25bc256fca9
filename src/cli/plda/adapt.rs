//! `revox plda adapt`.

use std::path::PathBuf;

use serde_json::json;

use super::{check_output, report};
use crate::archive::input_files;
use crate::cli::Global;
use crate::cli::values::{counted, within};
use crate::error::{Error, Result};
use crate::scoring::{Adapted, Embeddings, Plda, PldaAdaptation};

/// Adapt a model to embeddings of another domain, whose speakers need not be known.
///
/// Where they vary more than the model expects, its covariances grow. The adapted model subtracts
/// their mean when it scores, and does not make lengths equal, as WeSpeaker's.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox plda adapt plda.safetensors new.safetensors -o adapted.safetensors
  revox plda adapt plda.h5 new.safetensors --within 0.7 --between 0.3 -o a.h5")]
pub(super) struct Args {
    /// The model.
    plda: PathBuf,
    /// Embeddings of the new domain.
    embeddings: PathBuf,
    /// Output: .safetensors, .kaldi or .plda (Kaldi's form), .h5 (WeSpeaker's).
    #[arg(long, short)]
    output: PathBuf,
    /// Share of the excess variance that goes to the covariance within speakers, 0 to 1.
    #[arg(long, default_value_t = PldaAdaptation::default().within, value_parser = share)]
    within: f64,
    /// Share that goes to the covariance between speakers, 0 to 1.
    #[arg(long, default_value_t = PldaAdaptation::default().between, value_parser = share)]
    between: f64,
}

fn share(text: &str) -> Result<f64, String> {
    within(text, 0.0..=1.0, "0 to 1 is possible")
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let mut inputs = input_files(&args.embeddings);
    inputs.push(args.plda.clone());
    check_output(&args.output, &inputs)?;
    let plda = Plda::load(&args.plda)?;
    let embeddings = Embeddings::load(&args.embeddings)?;
    let adaptation = PldaAdaptation { within: args.within, between: args.between };
    let Adapted { plda, directions } = plda
        .adapt(&embeddings, &adaptation)
        .map_err(|e| Error::file(&args.embeddings, e.to_string()))?;
    plda.save(&args.output)?;
    let said = format!(
        "PLDA adapted to {}, which vary more in {directions} of {} directions,",
        counted(embeddings.len(), "embedding"),
        plda.dim()
    );
    let more = json!({"embeddings": embeddings.len(), "directions": directions});
    report(&plda, &args.output, &said, more, global);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parts_of_one() {
        assert_eq!((share("0"), share("0.25"), share("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        assert!(["-0.1", "1.1", "half", "nan"].iter().all(|text| share(text).is_err()));
    }
}
