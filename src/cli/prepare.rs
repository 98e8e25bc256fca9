//! `revox prepare`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Global;
use super::values::counted;
use crate::corpus::prepare::prepare_folder;
use crate::error::Result;
use crate::progress::reporting;
use crate::terminal::{errln, outln};

/// Make lists (wav.scp, utt2spk, spk2utt) of a corpus, checking every file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  revox prepare folder recordings lists")]
pub struct Args {
    #[command(subcommand)]
    kind: Kind,
}

const FOLDER: &str = "\
Every file is decoded. What is unreadable or silent is left out and reported, also in
OUT/problems.txt. Names that begin with a dot are left out.

Ids are the speaker and the path below: ann/day 1/2.wav is ann-day_1-2. Names that
would become equal are refused. Trial lists name utterances by id, or by the end of
the path if it has no blanks.

Example:
  revox prepare folder recordings lists";

#[derive(Debug, Subcommand)]
enum Kind {
    /// A folder with one sub-folder a speaker, WAV or FLAC anywhere below.
    #[command(after_help = FOLDER)]
    Folder {
        /// The folder.
        root: PathBuf,
        /// Where wav.scp, utt2spk, spk2utt and problems.txt go.
        out: PathBuf,
        /// Rate at which the audio will be used.
        #[arg(long, default_value_t = 16000,
              value_parser = clap::value_parser!(u32).range(1000..=768_000))]
        sample_rate: u32,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let Kind::Folder { root, out, sample_rate } = &args.kind;
    let report =
        prepare_folder(root, out, *sample_rate, &reporting("checking audio", global.quiet))?;
    for problem in &report.problems {
        errln!("warning: {problem}");
    }
    if global.json {
        let all = json!({
            "utterances": report.utterances,
            "speakers": report.speakers,
            "seconds": report.seconds,
            "problems": report.problems,
        });
        outln!("{all}");
    } else {
        let minutes = report.seconds / 60.0;
        outln!(
            "{} of {}, {minutes:.1} minutes; lists in {}",
            counted(report.utterances, "utterance"),
            counted(report.speakers, "speaker"),
            out.display()
        );
    }
    Ok(())
}
