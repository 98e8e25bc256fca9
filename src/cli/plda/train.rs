//! `revox plda train`.

use std::path::PathBuf;

use serde_json::json;

use super::{check_output, named, report};
use crate::archive::input_files;
use crate::cli::Global;
use crate::cli::values::{at_least, counted, path};
use crate::corpus::read_utt2spk;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::scoring::{Embeddings, Groups, Plda, PldaTraining};
use crate::terminal::{errln, note};

/// Train a model on embeddings of known speakers.
///
/// The two-covariance model by expectation maximisation, as WeSpeaker trains it. The model keeps
/// the mean and the LDA, and scoring applies them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox plda train train.safetensors --utt2spk utt2spk -o plda.safetensors
  revox plda train e.safetensors --utt2spk utt2spk --mean e.safetensors \\
    --length-norm --lda 128 -o plda.safetensors
  revox plda train train.safetensors --utt2spk utt2spk -o plda.kaldi")]
pub(super) struct Args {
    /// Embeddings by utterance id.
    embeddings: PathBuf,
    /// Speakers of the utterances.
    #[arg(long)]
    utt2spk: PathBuf,
    /// Output: .safetensors, .kaldi or .plda (Kaldi's form), .h5 (WeSpeaker's).
    #[arg(long, short, value_parser = path(named))]
    output: PathBuf,
    /// Subtract the mean of these embeddings first.
    #[arg(long)]
    mean: Option<PathBuf>,
    /// Make lengths equal: before the LDA, before the model, and after its transform.
    #[arg(long)]
    length_norm: bool,
    /// Project to so many values by an LDA first.
    #[arg(long, value_name = "DIM", value_parser = at_least::<1>)]
    lda: Option<usize>,
    /// Passes of expectation maximisation.
    #[arg(long, default_value_t = 5, value_parser = at_least::<1>)]
    iterations: usize,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let embeddings = [Some(&args.embeddings), args.mean.as_ref()].into_iter().flatten();
    let mut inputs: Vec<PathBuf> = embeddings.flat_map(|path| input_files(path)).collect();
    inputs.push(args.utt2spk.clone());
    check_output(&args.output, &inputs)?;
    let embeddings = Embeddings::load(&args.embeddings)?;
    let speakers = read_utt2spk(&args.utt2spk)?;
    let groups = Groups::new(&embeddings, &|id| speakers.get(id).map(|s| s.0.clone()))
        .map_err(|e| Error::file(&args.utt2spk, e.to_string()))?;
    let mean = args.mean.as_ref().map(|path| Embeddings::load(path).map(|e| e.mean()));
    let training = PldaTraining {
        iterations: args.iterations,
        mean: mean.transpose()?,
        lda: args.lda,
        length_norm: args.length_norm,
    };
    remark(&groups, embeddings.dim());
    let mut progress = Progress::new("EM", args.iterations, global.quiet);
    let plda = Plda::train(&embeddings, &groups, &training, &mut || progress.add(1))
        .map_err(|e| Error::file(&args.embeddings, e.to_string()))?;
    drop(progress);
    plda.save(&args.output)?;
    let (count, utterances) = (groups.speakers(), groups.utterances());
    let trace = |matrix: Vec<f64>| matrix.iter().step_by(plda.dim() + 1).sum::<f64>();
    let (within, between) = (trace(plda.within()), trace(plda.between()));
    let said = format!(
        "PLDA of {} values from {} of {} (variance within speakers {within:.3}, between them \
         {between:.3})",
        plda.dim(),
        counted(utterances, "utterance"),
        counted(count, "speaker")
    );
    let more = json!({
        "speakers": count,
        "speakers_of_one_utterance": groups.alone(),
        "utterances": utterances,
        "iterations": args.iterations,
        "trace_within": within,
        "trace_between": between,
    });
    report(&plda, &args.output, &said, more, global);
    Ok(())
}

/// Fewer speakers than this tell little of how speakers vary.
const FEW: usize = 100;

/// Says what is poor in a set.
fn remark(groups: &Groups, dim: usize) {
    let (alone, all) = (groups.alone(), groups.speakers());
    if alone > 0 && alone < all {
        note!("{alone} of {all} speakers have one utterance, which tells nothing of its variation");
    }
    if all < FEW {
        errln!(
            "warning: {}: the variance between speakers of so few is a guess; thousands are usual",
            counted(all, "speaker")
        );
    }
    let utterances = groups.utterances();
    if utterances < dim {
        errln!(
            "warning: {} for embeddings of {dim} values: the model will fit them too well",
            counted(utterances, "utterance")
        );
    }
}
