//! `revox fbank`.

use std::path::{Path, PathBuf};

use safetensors::tensor::Dtype;
use serde_json::json;

use super::embed::ids_of;
use super::values::counted;
use super::{Global, shown, tell};
use crate::archive::{self, Output, View};
use crate::audio::{Fbank, FbankConfig, Source, Window, subtract_mean};
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::Frontend;
use crate::progress::Progress;
use crate::rng::{Stream, fnv1a64};
use crate::tensor_file::{self, Part};
use crate::terminal::errln;

/// Kaldi log-mel filter banks of audio files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox fbank a.wav b.flac -o features.safetensors --mels 80 --cmn
  revox fbank a.wav b.flac -o ark,scp:feats.ark,feats.scp")]
pub struct Args {
    /// Audio files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Output: one tensor `[frames, mels]` a file, named as the file without its ending. `-` is
    /// standard output. `F.ark`, `ark:F`, `ark,t:F` (text) and `ark,scp:F.ark,F.scp` are Kaldi's
    /// archives, which do not keep how the features were made.
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
    let inputs: Vec<&Path> = args.files.iter().map(PathBuf::as_path).collect();
    // What names an input is refused as such, whatever else is wrong with it.
    let kaldi = Output::parse(&args.output);
    let parsed = kaldi.as_ref().ok().and_then(Option::as_ref);
    let outputs = parsed.map_or_else(|| vec![args.output.as_path()], Output::files);
    fs::check_outputs(&outputs, &inputs)?;
    let first = outputs[0].to_owned();
    let kaldi = kaldi?;
    let names = ids_of(&args.files)?;
    if kaldi.is_some() {
        let checked = args.files.iter().zip(&names).try_for_each(|(path, name)| {
            archive::check_key(name).map_err(|e| Error::file(path, e.to_string()))
        });
        checked?;
    }
    let mut all: Vec<(String, Vec<f32>)> = Vec::with_capacity(args.files.len());
    let mut progress = Progress::new("fbank", args.files.len(), global.quiet);
    for (path, name) in args.files.iter().zip(names) {
        let mut source = Source::open(path, args.sample_rate, args.channel)?;
        let mut noise =
            Stream::new(global.seed.unwrap_or(0), "dither", &[fnv1a64(name.as_bytes())]);
        let mut features = fbank.features_of(&mut source, Some(&mut noise))?;
        if let Some(warning) = source.narrowband_warning() {
            errln!("warning: {}: {warning}", path.display());
        }
        if args.cmn {
            subtract_mean(&mut features, args.mels);
        }
        all.push((name, features));
        progress.add(1);
    }
    let frames_of = |features: &[f32]| features.len() / args.mels;
    match &kaldi {
        Some(output) => {
            let matrix = |i: usize| View::Matrix { values: &all[i].1, columns: args.mels };
            output.write(all.len(), &|i| all[i].0.as_str(), &matrix)?;
        }
        None => {
            let frontend = Frontend { fbank: fbank.config().clone(), cmn: args.cmn };
            let settings = serde_json::to_string(&frontend).expect("settings are plain data");
            let parts = all.iter().map(|(name, features)| Part {
                name: name.as_str().into(),
                dtype: Dtype::F32,
                shape: vec![frames_of(features), args.mels],
                bytes: features.as_slice().into(),
            });
            let parts: Vec<Part> = parts.collect();
            tensor_file::write(&args.output, &[("frontend", settings.as_str())], &parts)?;
        }
    }
    let frames: usize = all.iter().map(|(_, features)| frames_of(features)).sum();
    let text = match global.json {
        true => {
            json!({"files": all.len(), "frames": frames, "output": shown(&args.output)}).to_string()
        }
        false => {
            let files = counted(all.len(), "file");
            format!("{} of {files} in {}", counted(frames, "frame"), args.output.display())
        }
    };
    tell(&first, &text);
    Ok(())
}
