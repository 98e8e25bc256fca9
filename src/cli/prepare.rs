//! `revox prepare`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Global;
use crate::corpus::prepare::prepare_folder;
use crate::error::Result;

/// Make lists (wav.scp, utt2spk, spk2utt) of a corpus, checking every file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  revox prepare folder recordings lists")]
pub struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A folder with one sub-folder a speaker, WAV or FLAC anywhere below.
    Folder {
        /// The folder.
        root: PathBuf,
        /// Where the lists go.
        out: PathBuf,
        /// Rate at which the audio will be used.
        #[arg(long, default_value_t = 16000)]
        sample_rate: u32,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let Kind::Folder { root, out, sample_rate } = &args.kind;
    let report = prepare_folder(root, out, *sample_rate, global.quiet)?;
    for problem in &report.problems {
        eprintln!("warning: {problem}");
    }
    if global.json {
        let out = json!({"utterances": report.utterances, "speakers": report.speakers, "seconds": report.seconds, "problems": report.problems});
        println!("{out}");
    } else {
        let minutes = report.seconds / 60.0;
        println!(
            "{} utterances of {} speakers, {minutes:.1} minutes; lists in {}",
            report.utterances,
            report.speakers,
            out.display()
        );
    }
    Ok(())
}
