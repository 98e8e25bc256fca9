//! `revox plda adapt`.

use std::path::PathBuf;

use serde_json::json;

use super::measured::Measured;
use super::{check_output, named, report};
use crate::archive::input_files;
use crate::cli::Global;
use crate::cli::values::{counted, misuse, path, within};
use crate::error::{Error, Result};
use crate::scoring::{Adapted, Eer, Embeddings, Plda, PldaAdaptation};
use crate::terminal::errln;

/// Adapt a model to embeddings of another domain, whose speakers need not be known.
///
/// Where they vary more than the model expects, its covariances grow. The adapted model subtracts
/// their mean when it scores, and does not make lengths equal, as WeSpeaker's.
///
/// It helps where the model was trained on other recordings than it meets (another language,
/// channel or age), and where many speakers of the new domain are in EMBEDDINGS, thousands of
/// utterances or more. It may harm where they are few, where the model fits the domain already, and
/// where the model relied on equal lengths. --trials tells which.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox plda adapt plda.safetensors new.safetensors -o adapted.safetensors
  revox plda adapt plda.h5 new.safetensors --within 0.7 --between 0.3 -o a.h5
  revox plda adapt plda.h5 new.safetensors --trials trials.txt -o a.h5")]
pub(super) struct Args {
    /// The model.
    plda: PathBuf,
    /// Embeddings of the new domain.
    embeddings: PathBuf,
    /// Output: .safetensors, .kaldi or .plda (Kaldi's form), .h5 (WeSpeaker's).
    #[arg(long, short, value_parser = path(named))]
    output: PathBuf,
    /// Share of the excess variance that goes to the covariance within speakers, 0 to 1.
    #[arg(long, default_value_t = PldaAdaptation::default().within, value_parser = share)]
    within: f64,
    /// Share that goes to the covariance between speakers, 0 to 1; both are 1 together at most.
    #[arg(long, default_value_t = PldaAdaptation::default().between, value_parser = share)]
    between: f64,
    /// Trials with labels, of utterances in EMBEDDINGS: the equal error rates of the model before
    /// and after are reported, with a warning if it got worse. The adaptation does not see the
    /// labels.
    #[arg(long)]
    trials: Option<PathBuf>,
}

/// With fewer embeddings for each of their values, covariances are not well known.
const MANY: usize = 10;

fn share(text: &str) -> Result<f64, String> {
    within(text, 0.0..=1.0, "0 to 1 is possible")
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if args.within + args.between > 1.0 + 1e-9 {
        return Err(misuse(format!(
            "--within {} --between {}: 1 together at most, which is the whole excess variance",
            args.within, args.between
        )));
    }
    let mut inputs = input_files(&args.embeddings);
    inputs.push(args.plda.clone());
    inputs.extend(args.trials.clone());
    check_output(&args.output, &inputs)?;
    let plda = Plda::load(&args.plda)?;
    let embeddings = Embeddings::load(&args.embeddings)?;
    let adaptation = PldaAdaptation { within: args.within, between: args.between };
    let trials =
        args.trials.as_ref().map(|list| Measured::read(list, &args.embeddings, &embeddings));
    let trials = trials.transpose()?;
    warn_of_few(&embeddings);
    let Adapted { plda: adapted, directions } = plda
        .adapt(&embeddings, &adaptation)
        .map_err(|e| Error::file(&args.embeddings, e.to_string()))?;
    let rates = |trials: Measured| -> Result<([Eer; 2], PathBuf)> {
        let of = |plda: &Plda| trials.eer(plda, &embeddings);
        Ok(([of(&plda)?, of(&adapted)?], trials.path().to_owned()))
    };
    let rates = trials.map(rates).transpose()?;
    adapted.save(&args.output)?;
    let mut said = format!(
        "PLDA adapted to {}, which vary more in {directions} of {} directions,",
        counted(embeddings.len(), "embedding"),
        adapted.dim()
    );
    let mut more = json!({"embeddings": embeddings.len(), "directions": directions});
    if let Some(([before, after], trials)) = rates {
        more["eer_before"] = json!(before.rate);
        more["eer"] = json!(after.rate);
        said = format!("EER {before} before, {after} after\n{said}");
        if after.rate > before.rate {
            errln!(
                "warning: the adapted model is worse on {}: EER {after}, before {before}; use the \
                 model as it is, or smaller shares (--within, --between)",
                trials.display()
            );
        }
    }
    report(&adapted, &args.output, &said, more, global);
    Ok(())
}

/// Warns of a domain that is poorly known.
fn warn_of_few(embeddings: &Embeddings) {
    let (count, dim) = (embeddings.len(), embeddings.dim());
    if count < MANY * dim {
        errln!(
            "warning: {} of {dim} values: from fewer than {MANY} a value, what is taken for the \
             domain's variance is partly chance; --trials tells whether it helps",
            counted(count, "embedding")
        );
    }
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
