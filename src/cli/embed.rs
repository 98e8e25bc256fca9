//! `revox embed`.

mod collected;
mod description;
mod features;
mod heard;
mod left_out;
mod list;
mod log;
mod mean;
mod report;
mod sharded;
mod shares;
mod speech;
mod together;
mod work;

use std::path::{Path, PathBuf};
use std::time::Duration;

use burn::tensor::Device;

use self::collected::Collected;
use self::description::description;
use self::features::of_features;
pub(super) use self::left_out::{LeftOut, Warnings};
pub(super) use self::list::List;
use self::log::Log;
use self::report::Report;
use self::sharded::Sharded;
use self::speech::{check_words, write_speech};
use self::work::{Done, Work};
use super::departing::end_work;
use super::train::minutes;
use super::values::{misuse, misused, within};
use super::{Global, chosen, outputs};
use crate::archive::{Output, check_key, input_files};
use crate::backend::collective;
use crate::error::{Error, Result};
use crate::fs;
use crate::inference::{Embedder, WINDOW};
use crate::model_file::Model;
use crate::scoring::Embeddings;
use crate::terminal::note;

/// Embeddings of utterances.
///
/// Embeddings of a long list are kept in OUTPUT.part while the work lasts. If it ends early, the
/// same command goes on from there, and the output is the same to the bit. Several processes
/// (`mpirun`, `srun`) divide the list among them, and write the output of one.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "revox embed [OPTIONS] -o OUTPUT [MODEL] FILE...\n       \
                      revox embed [OPTIONS] -o OUTPUT [MODEL] --wav-scp LIST\n       \
                      revox embed [OPTIONS] -o OUTPUT [MODEL] --data CORPUS\n       \
                      revox embed [OPTIONS] -o OUTPUT [MODEL] --features FEATURES",
    after_help = "Examples:
  revox embed a.wav b.flac -o ab.safetensors
  revox embed model.safetensors a.wav b.flac -o ab.safetensors
  revox embed model.safetensors --wav-scp dev/wav.scp -o dev.safetensors
  revox embed --data train --mean-by train/utt2spk -o cohort.safetensors
  revox embed --data train --shard 3/16 -o train-3.safetensors
  revox embed --wav-scp wav.scp --speech utt2speech -o e.safetensors
  mpirun -n 4 revox embed model.safetensors --data train -o train.safetensors"
)]
#[command(group = clap::ArgGroup::new("input")
    .required(true)
    .multiple(true)
    .args(["files", "wav_scp", "data", "features"]))]
pub struct Args {
    /// The model, if the first file is one: its name ends in .safetensors, or its content is that
    /// of such a file. Without one, the model inside the program is used (`revox zoo --details
    /// default`). All other files are audio; their names without folder and ending are the
    /// utterance ids.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// List of utterances: `id path` a line; `-` is standard input.
    #[arg(long, value_name = "LIST", conflicts_with_all = ["data", "features"])]
    wav_scp: Option<PathBuf>,
    /// A corpus: a folder with wav.scp and utt2spk, or WeSpeaker's raw.list or shard.list.
    #[arg(long, value_name = "CORPUS", conflicts_with = "features")]
    data: Option<PathBuf>,
    /// Features by utterance id, as `revox fbank` writes them, or Kaldi's (`F.scp`, `F.ark`,
    /// `ark:F`), which do not say how they were made.
    #[arg(long)]
    features: Option<PathBuf>,
    /// Output: a matrix `embeddings` and the utterances' `ids`; `-` is standard output. `E.npz` has
    /// the same for NumPy. `E.ark`, `ark:E`, `ark,t:E` (text) and `ark,scp:E.ark,E.scp` are Kaldi's
    /// archives.
    #[arg(long, short)]
    output: PathBuf,
    /// Channel, from 0, to read of every file. Files of several channels need it.
    #[arg(long, conflicts_with = "features")]
    channel: Option<usize>,
    /// Leave out files that cannot be read or whose embedding is not finite, with a warning for
    /// each of the first. A damaged tar file ends the work in any case.
    #[arg(long, conflicts_with = "features")]
    skip_errors: bool,
    /// Where to list what was left out: `id reason` a line.
    #[arg(long, value_name = "FILE", requires = "skip_errors")]
    skipped: Option<PathBuf>,
    /// Where to list the seconds of speech of each utterance, as `compare` measures them: `id
    /// seconds` a line, for `--durations` of `calibrate` and `score`.
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    speech: Option<PathBuf>,
    /// Write one mean embedding a speaker, named by the speaker, such as for a cohort of AS-norm.
    /// The list has `utterance speaker` a line.
    #[arg(long, value_name = "UTT2SPK", conflicts_with = "mean")]
    mean_by: Option<PathBuf>,
    /// Store the mean of these embeddings in the model, or in a copy of it (`--mean=COPY`).
    /// `compare` subtracts it from then on. That file loses its calibration and all thresholds,
    /// also those with names: they are of scores without this mean.
    #[arg(long, value_name = "COPY", num_args = 0..=1, require_equals = true)]
    mean: Option<Option<PathBuf>>,
    /// Seconds that the network takes at once. A longer recording is cut into equal windows, and
    /// its embedding is the mean of theirs.
    #[arg(long, value_name = "SECONDS", default_value_t = WINDOW, value_parser = window)]
    window: f64,
    /// Leave out frames that are no speech, by their energy, as Kaldi's recipes do. A recording
    /// without speech is an error.
    #[arg(long, conflicts_with = "features")]
    vad: bool,
    #[command(flatten)]
    sharded: Sharded,
    /// Devices of the backend for several processes (`mpirun`, `srun`): of those on a machine, each
    /// takes the one at its place.
    #[arg(long, value_delimiter = ',', value_name = "N,N", conflicts_with = "device")]
    devices: Vec<usize>,
    /// Of several processes (`mpirun`, `srun`): how long one may be silent before the others give
    /// up, in minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 5.0, value_parser = minutes)]
    timeout: f64,
}

fn window(text: &str) -> Result<f64, String> {
    within(text, 1.0..=36_000.0, "1 to 36000 seconds")
}

impl Args {
    /// The model's file, if one is named, and the recordings that are named.
    ///
    /// # Errors
    /// Recordings beside a list or features, or a model alone.
    fn split(&self) -> Result<(Option<&Path>, &[PathBuf])> {
        let listed = self.wav_scp.as_ref().or(self.data.as_ref()).or(self.features.as_ref());
        let none: &[PathBuf] = &[];
        match (listed, self.files.as_slice()) {
            (Some(_), []) => Ok((None, none)),
            (Some(_), [model]) if fs::is_stdin(model) => {
                Err(Error::file(model, "a model cannot be standard input; name its file"))
            }
            (Some(_), [model]) => Ok((Some(model.as_path()), none)),
            (Some(list), [_, more, ..]) => {
                let list = list.display();
                let message = format!("is named beside {list}: give files or a list, not both");
                Err(misused(more, message))
            }
            (None, [model]) if chosen::is_model(model) => Err(misused(
                model,
                "is a model: name recordings behind it, or give --wav-scp, --data or --features",
            )),
            (None, [model, files @ ..]) if chosen::is_model(model) => {
                Ok((Some(model.as_path()), files))
            }
            (None, files) => Ok((None, files)),
        }
    }

    /// What computes the embeddings.
    ///
    /// # Errors
    /// Those of [`Embedder::of`].
    fn embedder<'a>(&self, model: &'a Model, device: &Device) -> Result<Embedder<'a>> {
        let embedder = Embedder::of(model, device)?.window(self.window).vad(self.vad);
        Ok(embedder.channel(self.channel))
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let timeout = Duration::from_secs_f64(60.0 * args.timeout);
    let ranks = collective::connect(&collective::Options { timeout })?;
    let done = match ranks.size() {
        1 => alone(args, global),
        _ => together::run(args, global, &*ranks),
    };
    end_work(ranks, done)
}

/// Embeds as the only process.
fn alone(args: &Args, global: &Global) -> Result<()> {
    let (named, files) = args.split()?;
    if !args.devices.is_empty() {
        return Err(misuse(
            "--devices is for several processes (mpirun, srun); --device names that of one",
        ));
    }
    if named.is_none() && args.mean.is_some() {
        return Err(misuse(
            "--mean stores the mean in a model's file: name one in front of the recordings",
        ));
    }
    let mut list = match &args.features {
        Some(_) => None,
        None => Some(List::of(args, files)?),
    };
    // What names an input is refused as such, whatever else is wrong with it.
    let archive = Output::parse(&args.output);
    let parsed = archive.as_ref().ok().and_then(Option::as_ref);
    check_outputs(args, parsed, named, list.as_ref())?;
    let archive = archive?;
    Embeddings::check_output(&args.output)?;
    // The first file that is written: an archive comes before its list.
    let output = archive.as_ref().and_then(|archive| archive.files().first().copied());
    let output = output.unwrap_or(&args.output);
    let device = global.open()?;
    let model = chosen::load(named, &device)?;
    let embedder = args.embedder(&model, &device)?;
    let described = |list: &List| description(args, list, named, global);
    let part = args.sharded.divide(list.as_mut(), described)?;
    let collected = Collected::new(model.header.embedding_dim, args.mean_by.as_deref())?;
    let done = match (&list, &args.features) {
        (Some(list), _) => {
            collected.check(list)?;
            let mut work = Work::new(args, list, collected, named.is_none(), global.quiet);
            let described = move || description(args, list, named, global);
            work.run(&embedder, output, Box::new(described))?;
            work.results()?
        }
        (None, Some(path)) => {
            let collected = of_features(path, &model, &embedder, collected, global)?;
            let (count, all) = (collected.count(), collected.finish()?);
            Done { all, count, speech: Vec::new(), left_out: LeftOut::default(), log: None }
        }
        (None, None) => return Err(Error::invalid("nothing to embed")),
    };
    if let Some(padding) = embedder.padding() {
        note!("{padding}");
    }
    let Done { all, count, speech, left_out, log } = done;
    match list.as_ref().zip(part.as_ref()) {
        Some((list, part)) => all.save_shard(&args.output, &part.origin(list, &all))?,
        None => all.save_as(&args.output)?,
    }
    if let Some(list) = &args.skipped {
        left_out.write(list)?;
    }
    if let Some((file, list)) = args.speech.as_ref().zip(list.as_ref()) {
        let lines: Vec<_> = speech.iter().map(|(place, x)| (list.id(*place), *x)).collect();
        write_speech(file, &lines)?;
    }
    log.map_or(Ok(()), Log::end)?;
    shares::warn(output);
    let mut stored = String::new();
    if let Some((copy, from)) = args.mean.as_ref().zip(named) {
        let to = copy.as_deref().unwrap_or(from);
        mean::store(&all.mean(), from, to, &model.header.scoring)?;
        stored = format!("; their mean is in {}", to.display());
    }
    let report = Report {
        utterances: count,
        written: all.len(),
        dim: all.dim(),
        part,
        left_out: &left_out,
        stored,
        default_model: chosen::json(named, &model),
    };
    report.show(args, output, global);
    Ok(())
}

/// Refuses outputs that cannot be written or that are inputs, and ids that an archive cannot keep.
fn check_outputs(
    args: &Args,
    archive: Option<&Output>,
    named: Option<&Path>,
    list: Option<&List>,
) -> Result<()> {
    let listed = list.map(List::inputs).unwrap_or_default();
    let features = args.features.as_deref().map(input_files).unwrap_or_default();
    let mut read: Vec<&Path> = features.iter().map(PathBuf::as_path).collect();
    read.extend([args.mean_by.as_deref(), named].into_iter().flatten());
    read.extend(listed.iter().map(|path| &**path));
    let copy = args.mean.iter().flatten().map(PathBuf::as_path).filter(|copy| Some(*copy) != named);
    let mut files = archive.map_or_else(|| vec![args.output.as_path()], Output::files);
    files.extend([args.skipped.as_deref(), args.speech.as_deref()].into_iter().flatten());
    outputs::check_with_models(&files, &copy.collect::<Vec<_>>(), &read)?;
    let are_keys = archive.is_some() && args.mean_by.is_none();
    match list {
        Some(list) if are_keys => (0..list.len())
            .try_for_each(|place| check_key(list.id(place)).map_err(|e| list.at(place, e, false))),
        Some(list) if args.speech.is_some() => check_words(list),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
