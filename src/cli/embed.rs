//! `revox embed`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Global;
use crate::audio::{FbankConfig, subtract_mean};
use crate::corpus::{locate, read_wav_scp};
use crate::error::{Error, Result};
use crate::inference::{Extractor, Features, embed, extract_files};
use crate::model_file::{Frontend, Model, read_safetensors};
use crate::progress::Progress;
use crate::scoring::Embeddings;

/// Embeddings of utterances.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  revox embed model.safetensors --wav-scp dev/wav.scp -o dev.safetensors\n  revox embed model.safetensors a.wav b.flac -o ab.safetensors"
)]
#[command(group = clap::ArgGroup::new("input").required(true).args(["files", "wav_scp", "features"]))]
pub struct Args {
    /// The model.
    model: PathBuf,
    /// Audio files; their stems are the utterance ids.
    files: Vec<PathBuf>,
    /// List of utterances: `id path` a line.
    #[arg(long)]
    wav_scp: Option<PathBuf>,
    /// Features by utterance id, as `revox fbank` writes them.
    #[arg(long)]
    features: Option<PathBuf>,
    /// Output: one tensor `[dim]` an utterance.
    #[arg(long, short)]
    output: PathBuf,
    /// Channel, from 0, of files that have several.
    #[arg(long)]
    channel: Option<usize>,
}

/// Utterances whose features are in memory at a time.
const CHUNK: usize = 512;

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let device = global.open()?;
    let model = Model::load(&args.model, &device)?;
    let mels = model.header.arch.mels;
    let mut all = Embeddings::new(model.header.embedding_dim);
    if let Some(path) = &args.features {
        let (ids, features) = read_features(path, &model.header.frontend)?;
        let progress = RefCell::new(Progress::new("embedding", ids.len(), global.quiet));
        let rows = embed(&model.network, &features, mels, &device, &|n| progress.borrow_mut().add(n));
        push(&mut all, &ids, rows)?;
    } else {
        let list = inputs(args)?;
        let extractor = Extractor::new(&model.header.frontend)?;
        let progress = RefCell::new(Progress::new("embedding", list.len(), global.quiet));
        for chunk in list.chunks(CHUNK) {
            let paths: Vec<&Path> = chunk.iter().map(|x| x.1.as_path()).collect();
            // The first failing file is named; with a list, by its line.
            let extracted = extract_files(&extractor, &paths, args.channel).map_err(|e| at_line(args, chunk, e))?;
            let mut features = Vec::with_capacity(chunk.len());
            for ((_, path, _), (audio, f)) in chunk.iter().zip(extracted) {
                if audio.is_silent() {
                    eprintln!("warning: {}: silent; its embedding tells nothing", path.display());
                }
                if let Some(warning) = audio.narrowband_warning() {
                    eprintln!("warning: {}: {warning}", path.display());
                }
                features.push(f);
            }
            let ids: Vec<String> = chunk.iter().map(|x| x.0.clone()).collect();
            push(&mut all, &ids, embed(&model.network, &features, mels, &device, &|n| progress.borrow_mut().add(n)))?;
        }
    }
    all.save(&args.output)?;
    match global.json {
        true => println!("{}", json!({"utterances": all.len(), "dim": all.dim(), "output": args.output})),
        false => println!("{} embeddings of {} values in {}", all.len(), all.dim(), args.output.display()),
    }
    Ok(())
}

/// Id, path and line of each utterance.
fn inputs(args: &Args) -> Result<Vec<(String, PathBuf, usize)>> {
    if let Some(scp) = &args.wav_scp {
        let entries = read_wav_scp(scp)?;
        return Ok(entries.into_iter().map(|(id, file, line)| (id, locate(scp, &file), line)).collect());
    }
    let stem = |p: &PathBuf| p.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(args.files.iter().map(|p| (stem(p), p.clone(), 0)).collect())
}

fn at_line(args: &Args, chunk: &[(String, PathBuf, usize)], error: Error) -> Error {
    let text = error.to_string();
    let line = chunk.iter().find(|(_, path, _)| text.starts_with(&path.display().to_string())).map(|x| x.2);
    match (&args.wav_scp, line) {
        (Some(scp), Some(line)) => Error::line(scp, line, text),
        _ => error,
    }
}

fn push(all: &mut Embeddings, ids: &[String], rows: Vec<Vec<f32>>) -> Result<()> {
    for (id, row) in ids.iter().zip(rows) {
        if row.iter().any(|x| !x.is_finite()) {
            return Err(Error::Undefined(format!("the embedding of `{id}` is not finite")));
        }
        all.push(id, &row)?;
    }
    Ok(())
}

/// Features by utterance id. Those that `revox fbank` made say how; they must have been made as the model wants them.
fn read_features(path: &Path, wanted: &Frontend) -> Result<(Vec<String>, Vec<Features>)> {
    let (tensors, metadata) = read_safetensors(path)?;
    if let Some(text) = metadata.get("frontend") {
        let made: Frontend =
            serde_json::from_str(text).map_err(|e| Error::file(path, format!("damaged metadata: {e}")))?;
        // Dither belongs to training, and the mean is subtracted below whether it has been or not.
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
            let message = format!("features `{id}` have shape {shape:?}; the model wants [frames, {mels}]");
            return Err(Error::file(path, message));
        }
        let mut values = data.try_to_vec::<f32>().map_err(|e| Error::file(path, format!("{id}: {e:?}")))?;
        if values.iter().any(|x| !x.is_finite()) {
            return Err(Error::file(path, format!("features `{id}` hold values that are not numbers")));
        }
        if wanted.cmn {
            subtract_mean(&mut values, mels);
        }
        ids.push(id);
        all.push(Features { values, frames: shape[0] });
    }
    match ids.is_empty() {
        true => Err(Error::file(path, "holds no features")),
        false => Ok((ids, all)),
    }
}
