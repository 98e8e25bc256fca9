//! `revox synth`.

use std::path::PathBuf;

use serde_json::json;

use super::{Global, shown};
use crate::corpus::synth::{SynthConfig, make};
use crate::error::Result;
use crate::progress::reporting;
use crate::terminal::outln;

/// Write a synthetic corpus: voices that differ, with lists and trials.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  revox synth corpus --speakers 40 --utterances 10 --seconds 2.5"
)]
pub struct Args {
    /// Folder to make.
    out: PathBuf,
    /// Training speakers.
    #[arg(long, default_value_t = 40)]
    speakers: usize,
    /// Utterances of each speaker.
    #[arg(long, default_value_t = 10)]
    utterances: usize,
    /// Mean length of an utterance.
    #[arg(long, default_value_t = 2.5)]
    seconds: f64,
    /// Further speakers, for the dev trials.
    #[arg(long, default_value_t = 20)]
    dev_speakers: usize,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let config = SynthConfig {
        speakers: args.speakers,
        utterances: args.utterances,
        seconds: args.seconds,
        dev_speakers: args.dev_speakers,
        seed: global.seed.unwrap_or(1),
        ..SynthConfig::new(&args.out)
    };
    let stop = super::signals::watch()?;
    make(&config, &stop, &reporting("synthesizing", global.quiet))?;
    let files = (args.speakers + args.dev_speakers) * args.utterances;
    match global.json {
        true => {
            let all = json!({
                "out": shown(&args.out),
                "speakers": args.speakers,
                "dev_speakers": args.dev_speakers,
                "files": files,
            });
            outln!("{all}");
        }
        false => outln!(
            "{files} files of {} training and {} dev speakers in {}",
            args.speakers,
            args.dev_speakers,
            args.out.display()
        ),
    }
    Ok(())
}
