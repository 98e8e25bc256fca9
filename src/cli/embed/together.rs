//! A list that several processes embed together. Each embeds its shard into a file beside the
//! output. Rank 0 joins them to the file of one process, and these files go.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::collected::Collected;
use super::description::description;
use super::log::Log;
use super::report::Report;
use super::sharded::{Part, Sharded};
use super::speech::write_speech;
use super::work::Work;
use super::{Args, LeftOut, List, check_outputs, shares};
use crate::archive::Output;
use crate::backend::collective::{Communicator, agree, apart};
use crate::cli::part_file::PartFile;
use crate::cli::train::devices_of;
use crate::cli::values::{misuse, misused};
use crate::cli::{Global, chosen, outputs};
use crate::corpus::Shard;
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::Model;
use crate::scoring::{Merged, merge};
use crate::terminal::{self, note};

/// What a rank needs for its share.
struct Ready<'a> {
    /// The model's file, if one is named.
    named: Option<&'a Path>,
    /// This rank's shard of it.
    list: List,
    part: Part,
    /// Where its embeddings wait for those of the others.
    share: PathBuf,
    device: Device,
    model: Model,
}

/// Utterances' places in the whole list, their ids, and something of each.
type Told<T> = Vec<(usize, String, T)>;

/// An utterance that was left out, with the reason.
type Absent = (usize, String, String);

/// An utterance's seconds of speech.
type Spoken = (usize, String, f64);

/// What came of a share.
struct Done<'a> {
    left_out: Vec<Absent>,
    /// If it is wanted.
    speech: Vec<Spoken>,
    log: Option<Log<'a>>,
}

/// Embeds as one of these ranks. The first one speaks for all; warnings come from the rank that
/// reads the recording.
///
/// # Errors
/// Those of any rank, on all of them.
pub(super) fn run(args: &Args, global: &Global, ranks: &dyn Communicator) -> Result<()> {
    let is_first = ranks.rank() == 0;
    if !is_first {
        terminal::show_notes(false);
    }
    let ready = agree(ranks, ready(args, global, ranks))?;
    same_work(ranks, &args.output, ready.part.work())?;
    let stop = AtomicBool::new(false);
    let quiet = global.quiet || !is_first;
    let done = apart(ranks, &stop, || embedded(args, global, &ready, quiet, &stop))?;
    let left_out = all_left_out(ranks, &done.left_out)?;
    let speech = gathered(ranks, &done.speech)?;
    let joined = apart(ranks, &AtomicBool::new(false), || match is_first {
        true => joined(args, ranks.size(), &left_out, &speech).map(Some),
        false => Ok(None),
    })?;
    // The output is there, so what led to it can go.
    agree(ranks, done.end(&ready.share))?;
    let Some(Merged { embeddings, dim, .. }) = joined else { return Ok(()) };
    shares::warn(&args.output);
    let report = Report {
        utterances: embeddings,
        written: embeddings,
        dim,
        part: None,
        left_out: &left_out,
        stored: String::new(),
        default_model: chosen::json(ready.named, &ready.model),
    };
    report.show(args, &args.output, global);
    Ok(())
}

/// Refuses what several processes do not do.
fn check(args: &Args, ranks: usize) -> Result<()> {
    let alone = [
        ("--shard", args.sharded.shard.is_some()),
        ("--features", args.features.is_some()),
        ("--mean", args.mean.is_some()),
        ("--mean-by", args.mean_by.is_some()),
    ];
    if let Some((option, _)) = alone.iter().find(|(_, is_given)| *is_given) {
        return Err(misuse(format!(
            "{option} is for one process: these {ranks} divide a list among them"
        )));
    }
    // Neither standard output nor a device has room beside it.
    let is_file = PartFile::path_of(&args.output).is_some()
        && matches!(Output::parse(&args.output), Ok(None))
        && fs::check_ending(&args.output, &["safetensors"]).is_ok();
    match is_file {
        true => Ok(()),
        false => {
            let message = "several processes write one safetensors file, and nothing else";
            Err(misused(&args.output, message))
        }
    }
}

/// Refuses a share that cannot be written or that is an input.
fn check_share(share: &Path, named: Option<&Path>, list: &List) -> Result<()> {
    let inputs = list.inputs();
    let inputs: Vec<&Path> = inputs.iter().map(|path| &**path).chain(named).collect();
    outputs::check(&[share], &inputs)
}

/// Everything before the work.
fn ready<'a>(args: &'a Args, global: &Global, ranks: &dyn Communicator) -> Result<Ready<'a>> {
    check(args, ranks.size())?;
    let (named, files) = args.split()?;
    let mut list = List::of(args, files)?;
    check_outputs(args, None, named, Some(&list))?;
    let shard = Shard::of(ranks.rank(), ranks.size());
    let share = shares::of(&args.output, shard);
    check_share(&share, named, &list)?;
    let device = global.open_all(&devices_of(&args.devices, ranks)?)?.remove(0);
    let model = chosen::load(named, &device)?;
    let described = |list: &List| description(args, list, named, global);
    let part = Sharded { shard: Some(shard) }.divide(Some(&mut list), described)?;
    let part = part.ok_or_else(|| Error::invalid("nothing to embed"))?;
    Ok(Ready { named, list, part, share, device, model })
}

/// Refuses ranks that do other work than rank 0, or write elsewhere.
fn same_work(ranks: &dyn Communicator, output: &Path, work: &Value) -> Result<()> {
    let ours = json!({"work": work, "output": output.to_string_lossy()});
    let all = ranks.gather(ours.to_string().into_bytes())?;
    let mut read = all.iter().map(|text| {
        // Another version may tell other things.
        serde_json::from_slice::<Value>(text).unwrap_or_default()
    });
    let first = read.next().unwrap_or_default();
    for (i, theirs) in read.enumerate() {
        let names = first["work"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        let mut differ: Vec<&str> =
            names.filter(|name| theirs["work"][name] != first["work"][name]).collect();
        differ.extend((theirs["output"] != first["output"]).then_some("output"));
        if !differ.is_empty() {
            let (rank, what) = (i + 1, differ.join(", "));
            return Err(Error::Invalid(format!("rank {rank} differs from rank 0: {what}")));
        }
    }
    Ok(())
}

/// Embeds this rank's share, and writes it into its file.
fn embedded<'a>(
    args: &'a Args,
    global: &'a Global,
    ready: &'a Ready<'a>,
    quiet: bool,
    stop: &'a AtomicBool,
) -> Result<Done<'a>> {
    let Ready { named, list, part, share, device, model } = ready;
    let embedder = args.embedder(model, device)?;
    let collected = Collected::new(model.header.embedding_dim, None)?;
    let mut work = Work::new(args, list, collected, named.is_none(), quiet).stopped_by(stop);
    let described = move || description(args, list, *named, global);
    work.run(&embedder, share, Box::new(described))?;
    let super::Done { all, speech, left_out, log, .. } = work.results()?;
    if let Some(padding) = embedder.padding() {
        note!("{padding}");
    }
    let origin = part.origin(list, &all);
    all.save_shard(share, &origin)?;
    let absent = origin.left_out.iter().zip(left_out.entries());
    let absent = absent.map(|(&place, (id, reason))| (place, id.clone(), reason.clone()));
    let places = part.places();
    let speech = speech.into_iter().map(|(i, x)| (places[i], list.id(i).to_owned(), x)).collect();
    Ok(Done { left_out: absent.collect(), speech, log })
}

/// What all ranks tell of utterances, in the order of the list.
fn gathered<T>(ranks: &dyn Communicator, ours: &[(usize, String, T)]) -> Result<Told<T>>
where
    T: Serialize + DeserializeOwned,
{
    let bad = |e: serde_json::Error| Error::Training(e.to_string());
    let mut all = Vec::new();
    for text in ranks.gather(serde_json::to_vec(ours).map_err(bad)?)? {
        all.extend(serde_json::from_slice::<Told<T>>(&text).map_err(bad)?);
    }
    all.sort_unstable_by_key(|(place, ..)| *place);
    Ok(all)
}

/// What all ranks have left out, in the order of the list.
fn all_left_out(ranks: &dyn Communicator, ours: &[Absent]) -> Result<LeftOut> {
    let mut left_out = LeftOut::default();
    gathered(ranks, ours)?.iter().for_each(|(_, id, reason)| left_out.again(id, reason));
    Ok(left_out)
}

/// Joins the shares of so many ranks.
fn joined(args: &Args, ranks: usize, left_out: &LeftOut, speech: &[Spoken]) -> Result<Merged> {
    let share = |rank: usize| shares::of(&args.output, Shard::of(rank, ranks));
    let merged = merge(&(0..ranks).map(share).collect::<Vec<_>>(), None, &args.output)?;
    if let Some(list) = &args.skipped {
        left_out.write(list)?;
    }
    if let Some(file) = &args.speech {
        let lines: Vec<_> = speech.iter().map(|(_, id, seconds)| (id.as_str(), *seconds)).collect();
        write_speech(file, &lines)?;
    }
    Ok(merged)
}

impl Done<'_> {
    /// Removes what the output was made of.
    fn end(self, share: &Path) -> Result<()> {
        fs::remove_file(share)?;
        self.log.map_or(Ok(()), Log::end)
    }
}

#[cfg(test)]
mod tests;
