//! `revox prepare`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::values::{counted, within};
use super::{Global, shown};
use crate::corpus::prepare::{
    PrepareReport, PrepareSettings, Problems, VoxCeleb, prepare_cnceleb, prepare_folder,
    prepare_kaldi, prepare_librispeech, prepare_musan, prepare_rirs, prepare_voxceleb,
};
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
Every file is decoded. What is unreadable, short or silent, and copies of other files
of the speaker (equal samples) are left out and reported, also in OUT/problems.txt. The
same audio under two speakers is reported, and stays; so is audio of a lower rate. Names
that begin with a dot are left out.

Ids are the paths below ROOT: ann/day 1/2.wav is ann/day_1/2.wav. Names that would
become equal are refused.

Example:
  revox prepare folder recordings lists";

const VOXCELEB: &str = "\
OUT gets the folders vox1_dev, vox1_test, vox2_dev and vox2_test, as far as their files
are there, and vox1, all of VoxCeleb1, which the trials E and H need. Ids are those of
the official trials, such as id10004/1zcIwhmdeo4/00002.wav, whatever the format.

The lists of --trials are checked against VoxCeleb1 and written to OUT: veri_test.txt
as vox1_O.txt, veri_test2.txt as vox1_O_cleaned.txt, list_test_all*.txt as vox1_E*.txt,
list_test_hard*.txt as vox1_H*.txt. Speakers of dev sets that occur in them are
reported.

Examples:
  revox prepare voxceleb --vox1 V1 --vox2 V2 data --trials veri_test2.txt
  revox prepare voxceleb --vox2 VoxCeleb2 data";

const MUSAN: &str = "\
OUT/wav.scp is what recipes name as augment.noise. Ids begin with music/, speech/ or
noise/.

Example:
  revox prepare musan musan data/musan";

const RIRS: &str = "\
OUT/wav.scp is what recipes name as augment.reverb. It has the responses of simulated
rooms; with --all also the measured ones that have a single channel.

Example:
  revox prepare rirs RIRS_NOISES data/rirs";

const CNCELEB: &str = "\
OUT/dev has the speakers to train on: those of dev/dev.lst, or all that are not in the
test set. OUT/eval has the test set and its trials, trials.txt.

Example:
  revox prepare cnceleb CN-Celeb_flac data/cnceleb";

const LIBRISPEECH: &str = "\
OUT gets a folder for each part, such as train-clean-100. DIR is the whole corpus or a
part of it. Ids are those of LibriSpeech, 19-198-0000.

Example:
  revox prepare librispeech LibriSpeech data/librispeech";

const KALDI: &str = "\
Lines that cannot be used, utterances in two lines, without speaker or file, and
commands in place of files are left out and reported. Lists are sorted, paths become
absolute, and spk2utt is made anew.

Example:
  revox prepare kaldi egs/data/train lists/train";

#[derive(Debug, Subcommand)]
enum Kind {
    /// A folder with one sub-folder a speaker, audio anywhere below.
    #[command(after_help = FOLDER)]
    Folder {
        /// The folder.
        root: PathBuf,
        /// Where wav.scp, utt2spk, spk2utt and problems.txt go.
        out: PathBuf,
        #[command(flatten)]
        checking: Checking,
    },
    /// VoxCeleb1 and VoxCeleb2 as they unpack, and the trials O, E and H.
    #[command(
        after_help = VOXCELEB,
        group = clap::ArgGroup::new("corpora")
            .required(true)
            .multiple(true)
            .args(["vox1", "vox2"])
    )]
    Voxceleb {
        /// The folder of VoxCeleb1.
        #[arg(long, value_name = "DIR")]
        vox1: Option<PathBuf>,
        /// The folder of VoxCeleb2.
        #[arg(long, value_name = "DIR")]
        vox2: Option<PathBuf>,
        /// Where the folders of lists go.
        out: PathBuf,
        /// Trial lists of VoxCeleb1.
        #[arg(long, value_name = "FILE", num_args = 1..)]
        trials: Vec<PathBuf>,
        #[command(flatten)]
        checking: Checking,
    },
    /// MUSAN: music, speech and noise to mix into recordings.
    #[command(after_help = MUSAN)]
    Musan {
        /// Its folder.
        dir: PathBuf,
        /// Where wav.scp and problems.txt go.
        out: PathBuf,
        #[command(flatten)]
        checking: Checking,
    },
    /// RIRS_NOISES: responses of rooms.
    #[command(after_help = RIRS)]
    Rirs {
        /// Its folder.
        dir: PathBuf,
        /// Where wav.scp and problems.txt go.
        out: PathBuf,
        /// Measured responses, too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        checking: Checking,
    },
    /// CN-Celeb, its test set and trials.
    #[command(after_help = CNCELEB)]
    Cnceleb {
        /// Its folder.
        dir: PathBuf,
        /// Where the folders dev and eval go.
        out: PathBuf,
        #[command(flatten)]
        checking: Checking,
    },
    /// LibriSpeech, whole or in parts.
    #[command(after_help = LIBRISPEECH)]
    Librispeech {
        /// Its folders.
        #[arg(value_name = "DIR", required = true)]
        dirs: Vec<PathBuf>,
        /// Where the folders of lists go.
        out: PathBuf,
        #[command(flatten)]
        checking: Checking,
    },
    /// Lists of Kaldi's form: checks them and writes sound ones.
    #[command(after_help = KALDI)]
    Kaldi {
        /// The folder with wav.scp and utt2spk.
        dir: PathBuf,
        /// Where wav.scp, utt2spk, spk2utt and problems.txt go.
        out: PathBuf,
        #[command(flatten)]
        checking: Checking,
    },
}

/// How files are checked.
#[derive(Debug, Clone, clap::Args)]
struct Checking {
    /// Rate at which the audio will be used.
    #[arg(long, default_value_t = 16000,
          value_parser = clap::value_parser!(u32).range(1000..=768_000))]
    sample_rate: u32,
    /// Leave out shorter files.
    #[arg(long, default_value_t = 0.1, value_parser = seconds)]
    min_seconds: f64,
    /// Only open files, not decode them: damage behind the header, silence and copies stay
    /// unfound, and lengths are what headers say.
    #[arg(long)]
    headers: bool,
    /// Write nothing; print what would be written, and every problem.
    #[arg(long)]
    dry_run: bool,
}

/// A shortest length.
fn seconds(text: &str) -> Result<f64, String> {
    within(text, 0.0..=3600.0, "0 to 3600 seconds are possible")
}

impl Checking {
    fn settings(&self) -> PrepareSettings {
        PrepareSettings {
            sample_rate: self.sample_rate,
            min_seconds: self.min_seconds,
            headers_only: self.headers,
            dry_run: self.dry_run,
        }
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let done = reporting("checking audio", global.quiet);
    let (report, out, checking) = match &args.kind {
        Kind::Folder { root, out, checking } => {
            (prepare_folder(root, out, &checking.settings(), &done)?, out, checking)
        }
        Kind::Voxceleb { vox1, vox2, out, trials, checking } => {
            let voxceleb =
                VoxCeleb { vox1: vox1.clone(), vox2: vox2.clone(), trials: trials.clone() };
            (prepare_voxceleb(&voxceleb, out, &checking.settings(), &done)?, out, checking)
        }
        Kind::Musan { dir, out, checking } => {
            (prepare_musan(dir, out, &checking.settings(), &done)?, out, checking)
        }
        Kind::Rirs { dir, out, all, checking } => {
            (prepare_rirs(dir, *all, out, &checking.settings(), &done)?, out, checking)
        }
        Kind::Cnceleb { dir, out, checking } => {
            (prepare_cnceleb(dir, out, &checking.settings(), &done)?, out, checking)
        }
        Kind::Librispeech { dirs, out, checking } => {
            let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
            (prepare_librispeech(&dirs, out, &checking.settings(), &done)?, out, checking)
        }
        Kind::Kaldi { dir, out, checking } => {
            (prepare_kaldi(dir, out, &checking.settings(), &done)?, out, checking)
        }
    };
    drop(done);
    tell(&report, out, checking.dry_run, global.json);
    Ok(())
}

fn tell(report: &PrepareReport, out: &Path, dry_run: bool, as_json: bool) {
    match dry_run {
        true => report.problems.lines().iter().for_each(|line| errln!("{line}")),
        false => warn(&report.problems, out),
    }
    if as_json {
        outln!("{}", object(report, out, dry_run));
        return;
    }
    let verb = if dry_run { " would be" } else { "" };
    for list in &report.lists {
        let speakers = match list.speakers {
            0 => String::new(),
            count => format!(" of {}", counted(count, "speaker")),
        };
        outln!(
            "{}{speakers}, {}; lists{verb} in {}",
            counted(list.utterances, "utterance"),
            length(list.seconds),
            below(out, &list.name).display()
        );
    }
    for list in &report.trials {
        let left_out = match list.left_out {
            0 => String::new(),
            count => format!(", {count} left out"),
        };
        outln!(
            "{}{left_out};{verb} in {}",
            counted(list.trials, "trial"),
            out.join(&list.name).display()
        );
    }
}

/// The problems in few lines.
fn warn(problems: &Problems, out: &Path) {
    let summary = problems.summary();
    for problem in &summary {
        errln!("warning: {problem}");
    }
    if summary.len() < problems.all().len() {
        errln!("note: {} has all problems", out.join("problems.txt").display());
    }
}

/// A folder of lists, without a `/` at its end.
fn below(out: &Path, name: &str) -> PathBuf {
    out.join(name).components().collect()
}

/// A length in minutes, or in hours if it is long.
fn length(seconds: f64) -> String {
    match seconds < 3.0 * 3600.0 {
        true => format!("{:.1} minutes", seconds / 60.0),
        false => format!("{:.1} hours", seconds / 3600.0),
    }
}

fn object(report: &PrepareReport, out: &Path, dry_run: bool) -> serde_json::Value {
    let lists: Vec<_> = report
        .lists
        .iter()
        .map(|list| {
            json!({
                "folder": shown(&below(out, &list.name)),
                "utterances": list.utterances,
                "speakers": list.speakers,
                "seconds": list.seconds,
            })
        })
        .collect();
    let trials: Vec<_> = report
        .trials
        .iter()
        .map(|list| {
            json!({
                "file": shown(&out.join(&list.name)),
                "trials": list.trials,
                "left_out": list.left_out,
            })
        })
        .collect();
    let problems: Vec<_> = report
        .problems
        .groups()
        .iter()
        .map(|group| {
            let mut told = json!(group);
            // Without a dry run, problems.txt has them.
            if dry_run {
                told["all"] = report.problems.of(group.kind).collect();
            }
            told
        })
        .collect();
    json!({
        "utterances": report.utterances,
        "speakers": report.speakers,
        "seconds": report.seconds,
        "lists": lists,
        "trials": trials,
        "problems": problems,
        "dry_run": dry_run,
    })
}
