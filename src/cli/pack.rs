//! `revox pack`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde_json::json;

use super::values::counted;
use super::{Global, shown};
use crate::bytes::human;
use crate::corpus::Corpus;
use crate::corpus::shards::{Packing, pack};
use crate::error::Result;
use crate::progress::reporting;
use crate::terminal::{errln, outln};

const ABOUT: &str = "\
OUT gets shards_000000000.tar and so on, shard.list, utt2spk, spk2utt, and an index of
where each utterance is. Training reads it when data.train names OUT or its shard.list,
and so does WeSpeaker, if the recordings are wav, flac, mp3, m4a, ogg, opus or wma.

The order is random, and --seed decides it. Equal corpora and seeds make equal files.
shard.list has absolute paths. OUT may be moved: tar files that are not where the list
says are looked for beside it.

OUT appears when it is finished. What is stopped leaves nothing.

Example:
  revox pack lists shards --per-shard 1000";

/// Pack a corpus into tar files (shards), which are read faster than many small files.
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub struct Args {
    /// Folder with wav.scp and utt2spk, or one of WeSpeaker's lists.
    lists: PathBuf,
    /// Folder to make.
    out: PathBuf,
    /// Utterances of each tar file.
    #[arg(long, value_name = "COUNT", default_value = "1000")]
    per_shard: NonZeroUsize,
    /// Turn recordings of 16 bits into FLAC, without loss, where that is shorter. All others keep
    /// their bytes.
    #[arg(long)]
    flac: bool,
    /// Leave out recordings that cannot be read, and list them.
    #[arg(long)]
    skip_errors: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let corpus = Corpus::load(&args.lists)?;
    let packing = Packing {
        per_shard: args.per_shard.get(),
        seed: global.seed.unwrap_or(Packing::default().seed),
        flac: args.flac,
        skip_errors: args.skip_errors,
    };
    let stop = super::signals::watch()?;
    let report = pack(&corpus, &args.out, &packing, &stop, &reporting("packing", global.quiet))?;
    for problem in &report.problems {
        errln!("warning: {problem}");
    }
    if global.json {
        let all = json!({
            "out": shown(&args.out),
            "utterances": report.utterances,
            "speakers": report.speakers,
            "shards": report.shards,
            "bytes": report.bytes,
            "encoded": report.encoded,
            "problems": report.problems,
        });
        outln!("{all}");
        return Ok(());
    }
    outln!(
        "{} of {} in {} ({}); the list is {}",
        counted(report.utterances, "utterance"),
        counted(report.speakers, "speaker"),
        counted(report.shards, "tar file"),
        human(report.bytes),
        args.out.join("shard.list").display()
    );
    if args.flac {
        outln!("{} became FLAC", counted(report.encoded, "recording"));
    }
    if !report.problems.is_empty() {
        outln!("{} left out", counted(report.problems.len(), "recording"));
    }
    Ok(())
}
