//! `revox fbank`.

mod work;

use std::path::{Path, PathBuf};

use safetensors::tensor::Dtype;
use serde_json::json;

use self::work::{Done, Work};
use super::embed::List;
use super::values::counted;
use super::{Global, outputs, shown, tell};
use crate::archive::{self, Output, View};
use crate::audio::{Fbank, FbankConfig, Window};
use crate::error::Result;
use crate::fs;
use crate::model_file::Frontend;
use crate::scoring::npz::{self, Member};
use crate::tensor_file::{self, Part};

/// Kaldi log-mel filter banks of audio files.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "revox fbank [OPTIONS] -o OUTPUT FILE...\n       \
                      revox fbank [OPTIONS] -o OUTPUT --wav-scp LIST",
    after_help = "Examples:
  revox fbank a.wav b.flac -o features.safetensors --mels 80 --cmn
  revox fbank --wav-scp data/wav.scp -o ark,scp:feats.ark,feats.scp"
)]
pub struct Args {
    /// Audio files. Their names without folder and ending are the ids.
    #[arg(value_name = "FILE", required_unless_present = "wav_scp")]
    files: Vec<PathBuf>,
    /// List of utterances in the place of files: `id path` a line; `-` is standard input.
    #[arg(long, value_name = "LIST", conflicts_with = "files")]
    wav_scp: Option<PathBuf>,
    /// Output: one tensor `[frames, mels]` an utterance, named by its id; `-` is standard output.
    /// `F.npz` has the same arrays for NumPy, but does not keep how the features were made.
    /// All features are in memory until it is written. `F.ark`, `ark:F`, `ark,t:F` (text) and
    /// `ark,scp:F.ark,F.scp` are Kaldi's archives: they are written as features come, so a list may
    /// have any length, and do not keep how the features were made.
    #[arg(long, short)]
    output: PathBuf,
    /// Mel filters.
    #[arg(long, default_value_t = 80)]
    mels: usize,
    /// Analysis window.
    #[arg(long, value_enum, default_value = "hamming")]
    window: Window,
    /// Dither in 16-bit steps, drawn under --seed.
    #[arg(long, default_value_t = 0.0)]
    dither: f64,
    /// Full scale of the samples.
    #[arg(long, default_value_t = 32768.0)]
    scale: f64,
    /// Rate to resample to.
    #[arg(long, default_value_t = 16000)]
    sample_rate: u32,
    /// Channel, from 0, to read of every file. Files of several channels need it.
    #[arg(long)]
    channel: Option<usize>,
    /// Subtract each file's mean.
    #[arg(long)]
    cmn: bool,
    /// Leave out files that cannot be read, with a warning for each of the first.
    #[arg(long)]
    skip_errors: bool,
    /// Where to list what was left out: `id reason` a line.
    #[arg(long, value_name = "FILE", requires = "skip_errors")]
    skipped: Option<PathBuf>,
}

/// Endings of the files that are written, without a dot.
const WRITTEN: [&str; 3] = ["safetensors", "npz", "ark"];

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let fbank = Fbank::new(FbankConfig {
        sample_rate: args.sample_rate,
        mels: args.mels,
        window: args.window,
        dither: args.dither,
        scale: args.scale,
        ..FbankConfig::default()
    })?;
    let list = List::of_files(args.wav_scp.as_deref(), &args.files)?;
    // What names an input is refused as such, whatever else is wrong with it.
    let kaldi = Output::parse(&args.output);
    let parsed = kaldi.as_ref().ok().and_then(Option::as_ref);
    let mut outputs = parsed.map_or_else(|| vec![args.output.as_path()], Output::files);
    let first = outputs[0].to_owned();
    outputs.extend(args.skipped.as_deref());
    let inputs = list.inputs();
    let inputs: Vec<&Path> = inputs.iter().map(|path| &**path).collect();
    outputs::check(&outputs, &inputs)?;
    let kaldi = kaldi?;
    if kaldi.is_none() {
        fs::check_ending(&args.output, &WRITTEN)?;
    }
    let work = Work { args, list: &list, fbank: &fbank, seed: global.seed.unwrap_or(0) };
    let done = match &kaldi {
        Some(output) => into_archive(output, &work, global)?,
        None => into_arrays(args, &work, global)?,
    };
    if let Some(skipped) = &args.skipped {
        done.left_out.write(skipped)?;
    }
    tell(&first, &report(args, &done, global));
    Ok(())
}

/// Writes features as they come.
fn into_archive(output: &Output, work: &Work, global: &Global) -> Result<Done> {
    let list = work.list;
    (0..list.len()).try_for_each(|place| {
        archive::check_key(list.id(place)).map_err(|e| list.at(place, e, false))
    })?;
    let (columns, mut done) = (work.args.mels, Done::default());
    output.stream(|entries| {
        done = work.run(global, &mut |id, features| {
            entries.add(id, &View::Matrix { values: &features, columns })
        })?;
        Ok(())
    })?;
    Ok(done)
}

/// Writes features when all of them are there: the header of a safetensors file needs all sizes.
fn into_arrays(args: &Args, work: &Work, global: &Global) -> Result<Done> {
    let mut all: Vec<(String, Vec<f32>)> = Vec::new();
    let done = work.run(global, &mut |id, features| {
        all.push((id.to_owned(), features));
        Ok(())
    })?;
    if args.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz")) {
        let members = all.iter().map(|(name, features)| {
            let shape = [features.len() / args.mels, args.mels];
            Member::of_values(name, &shape, vec![features.as_slice()])
        });
        npz::write(&args.output, &members.collect::<Vec<_>>())?;
        return Ok(done);
    }
    let frontend = Frontend { fbank: work.fbank.config().clone(), cmn: args.cmn };
    let settings = serde_json::to_string(&frontend).expect("settings are plain data");
    let parts = all.iter().map(|(name, features)| Part {
        name: name.as_str().into(),
        dtype: Dtype::F32,
        shape: vec![features.len() / args.mels, args.mels],
        bytes: features.as_slice().into(),
    });
    let parts: Vec<Part> = parts.collect();
    tensor_file::write(&args.output, &[("frontend", settings.as_str())], &parts)?;
    Ok(done)
}

/// What was done, as text or JSON.
fn report(args: &Args, done: &Done, global: &Global) -> String {
    let left_out = done.left_out.entries();
    if global.json {
        let reasons: Vec<_> =
            left_out.iter().map(|(id, reason)| json!({"id": id, "error": reason})).collect();
        return json!({
            "files": done.files,
            "frames": done.frames,
            "skipped": reasons.len(),
            "left_out": reasons,
            "output": shown(&args.output),
        })
        .to_string();
    }
    let (frames, files) = (counted(done.frames, "frame"), counted(done.files, "file"));
    let skipped = match left_out.len() {
        0 => String::new(),
        n => format!("; {} left out", counted(n, "file")),
    };
    format!("{frames} of {files} in {}{skipped}", args.output.display())
}
