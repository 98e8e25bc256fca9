//! `revox pack`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde_json::json;

use super::embed::Warnings;
use super::values::counted;
use super::{Global, shown};
use crate::bytes::human;
use crate::corpus::Corpus;
use crate::corpus::shards::{Packing, SCANNING, pack};
use crate::error::Result;
use crate::progress::reporting;
use crate::terminal::outln;

const ABOUT: &str = "\
OUT gets shards_000000000.tar and so on, shard.list, utt2spk, spk2utt, and an index of
where each utterance is. Training reads it when data.train names OUT or its shard.list,
and so does WeSpeaker, if the recordings are wav, flac, mp3, m4a, ogg, opus or wma.

The order is random, and --seed decides it. Equal corpora and seeds make equal files.
shard.list has absolute paths, for WeSpeaker. OUT may be moved and copied: training here
takes the tar files beside the list, and those that are not there from where the list
says.

Bytes are copied unread: a damaged recording is packed as it is. Only files that are
missing or empty, or whose format neither name nor first bytes tell, are errors. With
--flac, every recording that may become FLAC is decoded, and damage is an error, too.
`revox prepare` checks recordings of every format.

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
    /// Leave out recordings that are errors, and list them in OUT/left-out.txt: `id reason` a line.
    #[arg(long)]
    skip_errors: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let corpus = Corpus::load_all_with(&args.lists, &reporting(SCANNING, global.quiet))?;
    if !args.skip_errors
        && let Some((_, error)) = corpus.missing().next()
    {
        return Err(error);
    }
    let packing = Packing {
        per_shard: args.per_shard.get(),
        seed: global.seed.unwrap_or(Packing::default().seed),
        flac: args.flac,
        skip_errors: args.skip_errors,
    };
    let stop = super::signals::watch()?;
    let report = pack(&corpus, &args.out, &packing, &stop, &reporting("packing", global.quiet))?;
    let mut warnings = Warnings::default();
    for (_, reason) in &report.left_out {
        warnings.add(&format!("{reason}; left out"));
    }
    if global.json {
        let reasons = report.left_out.iter();
        let reasons: Vec<_> =
            reasons.map(|(id, reason)| json!({"id": id, "error": reason})).collect();
        let all = json!({
            "out": shown(&args.out),
            "utterances": report.utterances,
            "speakers": report.speakers,
            "shards": report.shards,
            "bytes": report.bytes,
            "encoded": report.encoded,
            "skipped": reasons.len(),
            "left_out": reasons,
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
    if !report.left_out.is_empty() {
        let list = args.out.join("left-out.txt");
        outln!("{} left out: {}", counted(report.left_out.len(), "recording"), list.display());
    }
    Ok(())
}
