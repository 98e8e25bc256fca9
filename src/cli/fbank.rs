//! `revox fbank`.

use std::path::PathBuf;

use burn::tensor::TensorData;
use serde_json::json;

use super::Global;
use crate::audio::{Fbank, FbankConfig, Window, load, subtract_mean};
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::{Frontend, NamedTensors};
use crate::progress::Progress;
use crate::rng::{Stream, fnv1a64};

/// Kaldi log-mel filter banks of audio files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  revox fbank a.wav b.flac -o features.safetensors --mels 80 --cmn")]
pub struct Args {
    /// WAV or FLAC files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Output: one tensor `[frames, mels]` a file, named by the file's stem.
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
    /// Channel, from 0, of files that have several.
    #[arg(long)]
    channel: Option<usize>,
    /// Subtract each file's mean.
    #[arg(long)]
    cmn: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let fbank = Fbank::new(FbankConfig {
        sample_rate: args.sample_rate,
        mels: args.mels,
        window: args.window,
        dither: args.dither,
        scale: args.scale,
        ..FbankConfig::default()
    })?;
    let mut tensors = NamedTensors::default();
    let mut progress = Progress::new("fbank", args.files.len(), global.quiet);
    for path in &args.files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if tensors.0.iter().any(|(n, _)| *n == name) {
            return Err(Error::file(
                path,
                format!("another input is called `{name}` too; outputs are named by the stem"),
            ));
        }
        let audio = load(path, args.sample_rate, args.channel)?;
        if let Some(warning) = audio.narrowband_warning() {
            eprintln!("warning: {}: {warning}", path.display());
        }
        let mut noise = Stream::new(global.seed.unwrap_or(0), "dither", &[fnv1a64(name.as_bytes())]);
        let mut features = fbank.compute(&audio.samples, Some(&mut noise));
        if features.is_empty() {
            return Err(Error::file(path, format!("{} samples are shorter than one frame", audio.samples.len())));
        }
        if args.cmn {
            subtract_mean(&mut features, args.mels);
        }
        let shape = [features.len() / args.mels, args.mels];
        tensors.0.push((name, TensorData::new(features, shape)));
        progress.add(1);
    }
    let frontend = Frontend { fbank: fbank.config().clone(), cmn: args.cmn };
    let settings = serde_json::to_string(&frontend).expect("settings are plain data");
    fs::write_bytes(&args.output, &tensors.to_safetensors(&args.output, "frontend", settings)?)?;
    let frames: usize = tensors.0.iter().map(|(_, d)| d.shape()[0]).sum();
    match global.json {
        true => println!("{}", json!({"files": tensors.0.len(), "frames": frames, "output": args.output})),
        false => println!("{frames} frames of {} files in {}", tensors.0.len(), args.output.display()),
    }
    Ok(())
}
