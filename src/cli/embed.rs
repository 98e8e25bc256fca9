//! `revox embed`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::remedy::told;
use super::values::{counted, within};
use super::{Global, chosen, shown, tell};
use crate::audio::{FbankConfig, subtract_mean};
use crate::corpus::{locate, read_wav_scp};
use crate::error::{Error, Result};
use crate::fs;
use crate::inference::{Embedder, Facts, Features, WINDOW};
use crate::model_file::{Frontend, Scoring, read_safetensors, update_header};
use crate::progress::Progress;
use crate::scoring::Embeddings;
use crate::terminal::{errln, note};

/// Embeddings of utterances.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "revox embed [OPTIONS] -o OUTPUT [MODEL] FILE...\n       \
                      revox embed [OPTIONS] -o OUTPUT [MODEL] --wav-scp LIST\n       \
                      revox embed [OPTIONS] -o OUTPUT [MODEL] --features FEATURES",
    after_help = "Examples:
  revox embed a.wav b.flac -o ab.safetensors
  revox embed model.safetensors a.wav b.flac -o ab.safetensors
  revox embed model.safetensors --wav-scp dev/wav.scp -o dev.safetensors"
)]
#[command(group = clap::ArgGroup::new("input")
    .required(true)
    .multiple(true)
    .args(["files", "wav_scp", "features"]))]
pub struct Args {
    /// The model, if the first file is one: its name ends in .safetensors, or its content is that
    /// of such a file. Without one, the model inside the program is used (`revox zoo --details
    /// default`). All other files are audio; their names without folder and ending are the
    /// utterance ids.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// List of utterances: `id path` a line.
    #[arg(long, value_name = "LIST", conflicts_with = "features")]
    wav_scp: Option<PathBuf>,
    /// Features by utterance id, as `revox fbank` writes them.
    #[arg(long)]
    features: Option<PathBuf>,
    /// Output: a matrix `embeddings` and the utterances' `ids`; `-` is standard output.
    #[arg(long, short)]
    output: PathBuf,
    /// Channel, from 0, to read of every file. Files of several channels need it.
    #[arg(long)]
    channel: Option<usize>,
    /// Leave out files that cannot be read, with a warning for each.
    #[arg(long, conflicts_with = "features")]
    skip_errors: bool,
    /// Store the mean of these embeddings in the model, or in a copy of it (`--mean=COPY`).
    /// `compare` subtracts it from then on. Thresholds measured without it are dropped.
    #[arg(long, value_name = "COPY", num_args = 0..=1, require_equals = true)]
    mean: Option<Option<PathBuf>>,
    /// Seconds that the network takes at once. A longer recording is cut into equal windows, and
    /// its embedding is the mean of theirs.
    #[arg(long, value_name = "SECONDS", default_value_t = WINDOW, value_parser = window)]
    window: f64,
}

fn window(text: &str) -> Result<f64, String> {
    within(text, 1.0..=36_000.0, "1 to 36000 seconds")
}

/// An utterance to be read.
struct Input {
    id: String,
    path: PathBuf,
    line: usize,
}

impl Args {
    /// The model's file, if one is named, and the recordings that are named.
    ///
    /// # Errors
    /// Recordings beside a list or features, or a model alone.
    fn split(&self) -> Result<(Option<&Path>, &[PathBuf])> {
        let listed = self.wav_scp.as_ref().or(self.features.as_ref());
        let none: &[PathBuf] = &[];
        match (listed, self.files.as_slice()) {
            (Some(_), []) => Ok((None, none)),
            (Some(_), [model]) => Ok((Some(model.as_path()), none)),
            (Some(list), [_, more, ..]) => {
                let list = list.display();
                let message = format!("is named beside {list}: give files or a list, not both");
                Err(Error::file(more, message))
            }
            (None, [model]) if chosen::is_model(model) => Err(Error::file(
                model,
                "is a model: name recordings behind it, or give --wav-scp or --features",
            )),
            (None, [model, files @ ..]) if chosen::is_model(model) => {
                Ok((Some(model.as_path()), files))
            }
            (None, files) => Ok((None, files)),
        }
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let (named, files) = args.split()?;
    if named.is_none() && args.mean.is_some() {
        return Err(Error::invalid(
            "--mean stores the mean in a model's file: name one in front of the recordings",
        ));
    }
    let list = inputs(args, files)?;
    let lists = [&args.wav_scp, &args.features].into_iter().flatten().map(PathBuf::as_path);
    let read: Vec<&Path> =
        lists.chain(named).chain(list.iter().map(|x| x.path.as_path())).collect();
    let copy = args.mean.iter().flatten().map(PathBuf::as_path).filter(|copy| Some(*copy) != named);
    let outputs: Vec<&Path> = std::iter::once(args.output.as_path()).chain(copy).collect();
    fs::check_outputs(&outputs, &read)?;
    let device = global.open()?;
    let model = chosen::load(named, &device)?;
    let embedder = Embedder::of(&model, &device)?.window(args.window).channel(args.channel);
    let mut all = Embeddings::new(model.header.embedding_dim);
    let mut skipped = 0;
    if let Some(path) = &args.features {
        let (ids, features) = read_features(path, &model.header.frontend)?;
        let progress = RefCell::new(Progress::new("embedding", ids.len(), global.quiet));
        let features: Vec<&Features> = features.iter().collect();
        let rows = embedder.features(&features, &|n| progress.borrow_mut().add(n));
        ids.iter().zip(rows).try_for_each(|(id, row)| push(&mut all, id, &row))?;
    } else {
        let mut progress = Progress::new("embedding", list.len(), global.quiet);
        let paths: Vec<&Path> = list.iter().map(|x| x.path.as_path()).collect();
        embedder.files(&paths, &mut |i, result| {
            progress.add(1);
            let first = i == 0 && named.is_none();
            match result.map_err(|e| at_line(args, &list[i], e, first)) {
                Ok((facts, row)) => {
                    warn(&list[i].path, &facts);
                    push(&mut all, &list[i].id, &row)
                }
                Err(e) if args.skip_errors => {
                    errln!("warning: {}; left out", told(&e));
                    skipped += 1;
                    Ok(())
                }
                Err(e) => Err(e),
            }
        })?;
        if all.is_empty() {
            return Err(Error::Undefined(format!("none of {} files could be read", list.len())));
        }
    }
    if let Some(padding) = embedder.padding() {
        note!("{padding}");
    }
    all.save(&args.output)?;
    let mut stored = String::new();
    if let Some((copy, from)) = args.mean.as_ref().zip(named) {
        let model = copy.as_deref().unwrap_or(from);
        stored = format!("; their mean is in {}, without thresholds", model.display());
        let mean: Vec<f32> = all.mean().into_iter().map(|x| x as f32).collect();
        let scoring = Scoring { embedding_mean: Some(mean), ..Scoring::default() };
        update_header(from, model, |header| header.scoring = scoring)?;
    }
    let left_out = match skipped {
        0 => String::new(),
        n => format!("; {} left out", counted(n, "file")),
    };
    let (count, dim) = (all.len(), all.dim());
    let text = match global.json {
        true => {
            let output = shown(&args.output);
            let default_model = chosen::json(named, &model);
            json!({
                "utterances": count,
                "dim": dim,
                "skipped": skipped,
                "output": output,
                "default_model": default_model,
            })
            .to_string()
        }
        false => {
            let output = args.output.display();
            let embeddings = counted(count, "embedding");
            format!("{embeddings} of {dim} values in {output}{left_out}{stored}")
        }
    };
    tell(&args.output, &text);
    Ok(())
}

fn warn(path: &Path, facts: &Facts) {
    if facts.silent {
        errln!("warning: {}: silent; its embedding tells nothing", path.display());
    }
    for warning in &facts.warnings {
        errln!("warning: {}: {warning}", path.display());
    }
}

/// The utterances of the list, or the files that were named.
fn inputs(args: &Args, files: &[PathBuf]) -> Result<Vec<Input>> {
    if let Some(scp) = &args.wav_scp {
        let entries = read_wav_scp(scp)?;
        return Ok(entries
            .into_iter()
            .map(|(id, file, line)| Input { id, path: locate(scp, &file), line })
            .collect());
    }
    let ids = ids_of(files)?;
    Ok(ids
        .into_iter()
        .zip(files)
        .map(|(id, path)| Input { id, path: path.clone(), line: 0 })
        .collect())
}

/// The ids of files: their names without folder and ending.
///
/// # Errors
/// Two files of one id; a name that is not UTF-8, which no list could name.
pub(super) fn ids_of(files: &[PathBuf]) -> Result<Vec<String>> {
    let mut seen: HashMap<&str, &PathBuf> = HashMap::new();
    for path in files {
        let stem = path.file_stem().unwrap_or_default();
        let Some(id) = stem.to_str().filter(|id| !id.is_empty() && !id.contains('\n')) else {
            return Err(Error::file(
                path,
                "its name cannot be an id: UTF-8 without line breaks is wanted",
            ));
        };
        if let Some(other) = seen.insert(id, path) {
            let message = format!(
                "has the id `{id}`, as {} has; a list (wav.scp) can give them two",
                other.display()
            );
            return Err(Error::file(path, message));
        }
    }
    Ok(files
        .iter()
        .map(|path| path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned())
        .collect())
}

/// An error about a listed file, at its line. The first of the files that are named might have been
/// meant as the model.
fn at_line(args: &Args, input: &Input, error: Error, first: bool) -> Error {
    let audio = |e: &OsStr| ["wav", "flac"].iter().any(|known| e.eq_ignore_ascii_case(known));
    match &args.wav_scp {
        Some(scp) => error.retold(|text| Error::line(scp, input.line, text)),
        None if first && !input.path.extension().is_some_and(audio) => {
            error.and("nor is it a model, which would be a safetensors file")
        }
        None => error,
    }
}

fn push(all: &mut Embeddings, id: &str, row: &[f32]) -> Result<()> {
    match row.iter().all(|x| x.is_finite()) {
        true => all.push(id, row),
        false => Err(Error::Undefined(format!("the embedding of `{id}` is not finite"))),
    }
}

/// Features by utterance id. A file of `revox fbank` says how its features were made, which must be
/// what the model wants.
fn read_features(path: &Path, wanted: &Frontend) -> Result<(Vec<String>, Vec<Features>)> {
    let (tensors, metadata) = read_safetensors(path)?;
    if let Some(text) = metadata.get("frontend") {
        let made: Frontend = serde_json::from_str(text)
            .map_err(|e| Error::file(path, format!("damaged metadata: {e}")))?;
        // Dither is for training only. The mean is subtracted below in any case.
        let comparable = |f: &Frontend| FbankConfig { dither: 0.0, ..f.fbank.clone() };
        if comparable(&made) != comparable(wanted) {
            let json = |f: &Frontend| serde_json::to_string(&comparable(f)).unwrap_or_default();
            let message = format!("made with {}, the model wants {}", json(&made), json(wanted));
            return Err(Error::file(path, message));
        }
    }
    let mels = wanted.fbank.mels;
    let (mut ids, mut all) = (Vec::new(), Vec::new());
    for (id, data) in tensors.0 {
        let shape = data.shape().to_vec();
        if shape.len() != 2 || shape[1] != mels || shape[0] == 0 {
            let message =
                format!("features `{id}` have shape {shape:?}; the model wants [frames, {mels}]");
            return Err(Error::file(path, message));
        }
        let mut values =
            data.try_to_vec::<f32>().map_err(|e| Error::file(path, format!("{id}: {e:?}")))?;
        if values.iter().any(|x| !x.is_finite()) {
            return Err(Error::file(
                path,
                format!("features `{id}` hold values that are not numbers"),
            ));
        }
        if wanted.cmn {
            subtract_mean(&mut values, mels);
        }
        ids.push(id);
        all.push(Features { values, frames: shape[0], mels });
    }
    match ids.is_empty() {
        true => Err(Error::file(path, "holds no features")),
        false => Ok((ids, all)),
    }
}
