//! `revox bench`.

mod data;
mod embed;

use std::path::PathBuf;

use clap::Subcommand;

use super::Global;
use super::values::{ArchitectureName, architecture, at_least, count, counted, memory};
use crate::backend::reversible::Execution;
use crate::backend::{BackendKind, is_gpu};
use crate::bench::{Figure, OptimBench, TrainBench, optim, train};
use crate::error::{Error, Result};
use crate::memory::{Setting, nvidia};
use crate::nn::Precision;
use crate::terminal::{errln, out, outln};
use crate::train::OptimizerConfig;

/// The project's own measurements on this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox bench train resnet34 rev2-resnet34 --batch 8
  revox bench optim --parameters 6.63M,50.3M
  revox bench embed resnet34
  revox bench data recipes/voxceleb/resnet.toml")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Train(Train),
    Optim(Optim),
    Embed(embed::Args),
    Data(data::Args),
    Report(Report),
}

/// Time and memory of training steps on noise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox bench train resnet34 rev1-resnet34 --batch 8
  revox bench train resnet34 --batch 16 --checkpointed --memory 1GB
  revox bench train resnet34 --optimizer sgd,sgd8bit --backend cuda --json")]
struct Train {
    /// Architectures (see `revox zoo`).
    #[arg(default_values = ["resnet34"], value_name = "ARCH", value_parser = ArchitectureName,
          hide_possible_values = true)]
    architectures: Vec<String>,
    /// Optimizers, with their default settings.
    #[arg(long, value_delimiter = ',', value_parser = OptimizerConfig::NAMES,
          default_values = ["sgd"])]
    optimizer: Vec<String>,
    /// Crops of a step.
    #[arg(long, default_value_t = 128, value_parser = at_least::<2>)]
    batch: usize,
    /// Frames of a crop (200 are 2 s).
    #[arg(long, default_value_t = 200)]
    frames: usize,
    /// Classes of the head (VoxCeleb2's training set has 5994).
    #[arg(long, default_value_t = 5994)]
    speakers: usize,
    /// What convolutions compute in.
    #[arg(long, value_enum, default_value_t)]
    precision: Precision,
    /// Time ordinary networks also checkpointed, with the fewest bytes or within --memory.
    #[arg(long)]
    checkpointed: bool,
    /// Bytes that a step of a checkpointed network may take (train.memory): `11GB`.
    #[arg(long, value_name = "SIZE", requires = "checkpointed", value_parser = memory)]
    memory: Option<u64>,
    /// Steps timed.
    #[arg(long, default_value_t = 5, value_parser = at_least::<1>)]
    steps: usize,
}

/// Tables (Markdown) of the figures in a file that `bench ... --json` or benches/gpu.sh wrote.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  revox bench report gpu.json")]
struct Report {
    /// The file.
    figures: PathBuf,
}

/// Time a parameter of optimizer steps.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  RAYON_NUM_THREADS=1 revox bench optim
  revox bench optim --optimizer adamw,adamw8bit --parameters 11.2M --json")]
struct Optim {
    /// Optimizers, with their default settings.
    #[arg(long, value_delimiter = ',', value_parser = OptimizerConfig::NAMES,
          default_values = OptimizerConfig::NAMES)]
    optimizer: Vec<String>,
    /// Sizes of the tensor; K, M and G are understood.
    #[arg(long, value_delimiter = ',', value_parser = count, default_values = ["6.63M", "50.3M"])]
    parameters: Vec<usize>,
    /// Steps timed.
    #[arg(long, default_value_t = 21, value_parser = at_least::<1>)]
    steps: usize,
}

/// The steps of ordinary networks, checkpointed.
fn checkpointed(settings: &[Setting], budget: Option<u64>) -> Result<Vec<Setting>> {
    let ordinary = settings.iter().filter(|s| s.arch.reversible_type().is_none());
    let execution = Some(Execution::Checkpointed);
    let all: Vec<Setting> = ordinary.map(|s| Setting { execution, budget, ..s.clone() }).collect();
    match all.is_empty() {
        true => Err(Error::invalid("--checkpointed is for architectures without rev1- and rev2-")),
        false => Ok(all),
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let backend = global.backend.name();
    let mut report = |line: &str| {
        if !global.quiet {
            errln!("{line}");
        }
    };
    match &args.what {
        What::Train(args) => {
            let setting = |name: &String, optimizer: &String| {
                Ok(Setting {
                    batch: args.batch,
                    frames: args.frames,
                    speakers: args.speakers,
                    ..Setting::new(architecture(name)?, OptimizerConfig::named(optimizer)?)
                })
            };
            let pairs =
                args.architectures.iter().flat_map(|a| args.optimizer.iter().map(move |o| (a, o)));
            let mut settings = pairs.map(|(a, o)| setting(a, o)).collect::<Result<Vec<_>>>()?;
            if args.checkpointed {
                settings.extend(checkpointed(&settings, args.memory)?);
            }
            let nvidia = (global.backend == BackendKind::Cuda).then(|| nvidia(global.device));
            let bench = TrainBench {
                settings,
                precision: args.precision,
                steps: args.steps,
                backend: global.backend,
                nvidia,
            };
            let device = global.open()?;
            let figures = train(&bench, &device, &mut report)?;
            show(&figures, global, || {
                let middle = match is_gpu(&device) {
                    true => "mean",
                    false => "median",
                };
                outln!(
                    "backend {backend}, {}, {middle} of {}",
                    counted(rayon::current_num_threads(), "thread"),
                    counted(args.steps, "step")
                );
                figures.iter().for_each(|f| outln!("{:50} {:16.4} {}", f.name, f.value, f.unit));
            })
        }
        What::Report(Report { figures }) => {
            out!("{}", crate::bench::report(figures)?);
            Ok(())
        }
        What::Optim(Optim { optimizer, parameters, steps }) => {
            let (optimizers, parameters) = (optimizer.clone(), parameters.clone());
            let bench = OptimBench { optimizers, parameters, steps: *steps, backend };
            let figures = optim(&bench, &global.open()?, &mut report)?;
            show(&figures, global, || {
                outln!(
                    "backend {backend}, {}, median of {}",
                    counted(rayon::current_num_threads(), "thread"),
                    counted(*steps, "step")
                );
                table(&bench, &figures);
            })
        }
        What::Data(args) => data::run(args, global, &mut report),
        What::Embed(args) => embed::run(args, global, &mut report),
    }
}

/// The figures as JSON, or as a table.
fn show(figures: &[Figure], global: &Global, table: impl FnOnce()) -> Result<()> {
    if global.json {
        let json = serde_json::to_string(figures).map_err(|e| Error::Undefined(e.to_string()))?;
        outln!("{json}");
    } else {
        table();
    }
    Ok(())
}

fn table(bench: &OptimBench, figures: &[Figure]) {
    let sizes = bench.parameters.iter().map(|n| (n.to_string(), format!("{n} parameters")));
    let network = (OptimBench::NETWORK.to_owned(), "all tensors of resnet34".to_owned());
    for (set, title) in sizes.chain([network]) {
        let value = |name: &str| {
            let name = format!("optim/{name}/{set}");
            figures.iter().find(|f| f.name == name).expect("every figure is there").value
        };
        let pass = value("pass");
        outln!("\n{title}; one pass over them, in place, moves {pass:.1} GB/s");
        outln!(
            "{:12} {:>9} {:>9} {:>10} {:>8} {:>8}",
            "optimizer",
            "ns/param",
            "CPU ns",
            "state B",
            "GB/s",
            "of pass"
        );
        for name in &bench.optimizers {
            let traffic = value(&format!("{name}/traffic"));
            outln!(
                "{name:12} {:9.2} {:9.2} {:10.3} {traffic:8.1} {:7.0}%",
                value(name),
                value(&format!("{name}/cpu")),
                value(&format!("{name}/state")),
                100.0 * traffic / pass,
            );
        }
    }
}
