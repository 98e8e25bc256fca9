//! `revox prepare`.

mod checking;
mod help;
mod report;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use self::checking::Checking;
use self::help::{CNCELEB, FOLDER, KALDI, LIBRISPEECH, MUSAN, RIRS, VOXCELEB};
use self::report::tell;
use super::Global;
use crate::corpus::prepare::{
    VoxCeleb, prepare_cnceleb, prepare_folder, prepare_kaldi, prepare_librispeech, prepare_musan,
    prepare_rirs, prepare_voxceleb,
};
use crate::error::Result;
use crate::progress::reporting;

/// Make lists (wav.scp, utt2spk, spk2utt) of a corpus, checking every file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  revox prepare folder recordings lists")]
pub struct Args {
    #[command(subcommand)]
    kind: Kind,
}

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
        override_usage = "revox prepare voxceleb [OPTIONS] [--vox1 <DIR>] [--vox2 <DIR>] <OUT> \
                          [--trials <FILE>...]",
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
