//! The command line: one file per verb, no logic of its own.

mod bench;
mod compare;
mod doctor;
mod embed;
mod eval;
mod fbank;
mod import;
mod info;
mod memory;
mod prepare;
mod quantize;
mod score;
mod synth;
mod train;
mod zoo;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use clap::{Parser, Subcommand};

use crate::backend::BackendKind;
use crate::error::{Error, Result};

/// Speaker verification: features, training, embeddings, scores.
#[derive(Debug, Parser)]
#[command(
    name = "revox",
    version,
    max_term_width = 110,
    after_help = "Example:\n  revox train recipes/quickstart.toml"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Debug, Clone, clap::Args)]
struct Global {
    #[arg(long, global = true, value_enum, default_value = "flex", help = backend_help())]
    backend: BackendKind,
    /// Which device of the backend.
    #[arg(long, global = true, default_value_t = 0)]
    device: usize,
    /// Seed of everything random (a recipe's own seed holds unless this is given).
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// No progress on stderr.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// One JSON object on stdout.
    #[arg(long, global = true)]
    json: bool,
}

fn backend_help() -> String {
    let compiled: Vec<&str> = BackendKind::ALL.iter().filter(|b| b.is_compiled()).map(|b| b.name()).collect();
    format!("Where tensors are computed; this build has {}", compiled.join(", "))
}

impl Global {
    fn open(&self) -> Result<Device> {
        self.backend.device(self.device)
    }

    /// Bytes free on the device now, where its driver tells.
    fn free(&self) -> Option<u64> {
        (self.backend == BackendKind::Cuda).then(|| crate::memory::free_by_driver(self.device)).flatten()
    }

    /// Several devices, at least the one of `--device`.
    fn open_all(&self, indices: &[usize]) -> Result<Vec<Device>> {
        if let Some(twice) = indices.iter().enumerate().find(|(i, n)| indices[..*i].contains(n)) {
            return Err(Error::Invalid(format!("--devices names device {} twice", twice.1)));
        }
        match indices {
            [] => Ok(vec![self.open()?]),
            several => several.iter().map(|&n| self.backend.device(n)).collect(),
        }
    }
}

/// A flag that the first Ctrl-C sets, for verbs that have something to put in order before they end. The second does not wait.
fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let pressed = stop.clone();
    ctrlc::set_handler(move || {
        if pressed.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nstopping as soon as nothing is lost by it; press Ctrl-C again to stop at once");
    })
    .map_err(|e| Error::Undefined(format!("cannot watch for Ctrl-C: {e}")))?;
    Ok(stop)
}

#[derive(Debug, Subcommand)]
enum Verb {
    Synth(synth::Args),
    Prepare(prepare::Args),
    Fbank(fbank::Args),
    Train(train::Args),
    Embed(embed::Args),
    Score(score::Args),
    Eval(eval::Args),
    Compare(compare::Args),
    Import(import::Args),
    Info(info::Args),
    Quantize(quantize::Args),
    Memory(memory::Args),
    Bench(bench::Args),
    Doctor(doctor::Args),
    Zoo(zoo::Args),
}

/// Runs the program: 0 done, 1 the work failed, 2 usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // SAFETY: nothing has started a thread.
    unsafe { cli.global.backend.make_default() };
    let result = match &cli.verb {
        Verb::Synth(args) => synth::run(args, &cli.global),
        Verb::Prepare(args) => prepare::run(args, &cli.global),
        Verb::Fbank(args) => fbank::run(args, &cli.global),
        Verb::Train(args) => train::run(args, &cli.global),
        Verb::Embed(args) => embed::run(args, &cli.global),
        Verb::Score(args) => score::run(args, &cli.global),
        Verb::Eval(args) => eval::run(args, &cli.global),
        Verb::Compare(args) => compare::run(args, &cli.global),
        Verb::Import(args) => import::run(args, &cli.global),
        Verb::Info(args) => info::run(args, &cli.global),
        Verb::Quantize(args) => quantize::run(args, &cli.global),
        Verb::Bench(args) => bench::run(args, &cli.global),
        Verb::Memory(args) => memory::run(args, &cli.global),
        Verb::Doctor(args) => doctor::run(args, &cli.global),
        Verb::Zoo(args) => zoo::run(args, &cli.global),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("revox: {e}");
            ExitCode::FAILURE
        }
    }
}
