//! `revox merge`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::values::counted;
use super::{Global, outputs, shown, tell};
use crate::error::Result;
use crate::scoring::{Merged, merge};
use crate::terminal::note;

/// Joins files of embeddings, such as those of `revox embed --shard`.
///
/// The shards of a list become the file, byte for byte, of one run over the whole list. Shards of
/// other models, lists or settings are refused, and a missing one. Scores of trial lists in parts
/// are lines: `cat` joins them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox merge train-*.safetensors -o train.safetensors
  revox merge a.safetensors b.safetensors --order wav.scp -o ab.safetensors")]
pub struct Args {
    /// Files of embeddings (safetensors).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Output: a safetensors file of embeddings; `-` is standard output.
    #[arg(long, short)]
    output: PathBuf,
    /// List of utterances, the id first in each line. It gives the order of the embeddings, and
    /// must name all of them and no others. Without it, shards come in the order of their list,
    /// other files as they are named here.
    #[arg(long, value_name = "LIST")]
    order: Option<PathBuf>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let Args { files, output, order } = args;
    let inputs: Vec<&Path> = files.iter().chain(order).map(PathBuf::as_path).collect();
    outputs::check(&[output.as_path()], &inputs)?;
    let merged = merge(files, order.as_deref(), output)?;
    let Merged { embeddings, dim, left_out, are_shards } = merged;
    if !are_shards {
        note!(
            "these files are no shards: nobody can tell whether they are of one model, and whether \
             one is missing"
        );
    }
    let text = match global.json {
        true => json!({
            "embeddings": embeddings,
            "dim": dim,
            "files": files.len(),
            "skipped": left_out,
            "shards": are_shards,
            "output": shown(output),
        })
        .to_string(),
        false => {
            let (count, files) = (counted(embeddings, "embedding"), counted(files.len(), "file"));
            let left_out = match left_out {
                0 => String::new(),
                n => format!("; {} left out", counted(n, "utterance")),
            };
            format!("{count} of {dim} values in {}, of {files}{left_out}", output.display())
        }
    };
    tell(output, &text);
    Ok(())
}
