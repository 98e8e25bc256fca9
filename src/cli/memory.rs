//! `revox memory`.

mod counter;
mod kinds;
mod object;
mod options;
mod ranks;

use std::path::PathBuf;

use serde_json::Value;

use self::counter::Counter;
use self::kinds::{Kinds, plan_object, plan_of};
use self::object::object;
use self::ranks::Ranks;
use super::values::{self, ArchitectureName, architecture, at_least, mels, memory, misuse};
use super::{Global, tell};
use crate::backend::BackendKind;
use crate::error::Result;
use crate::fs;
use crate::memory::{
    Card, Row, Setting, account_on, alternatives, dry, svg, table, total_by_driver,
};
use crate::terminal::{errln, note, outln};
use crate::train::{OptimizerConfig, Weights};
use crate::zoo::Architecture;

/// Where the bytes of a training step go. A reversible or checkpointed network is put beside the
/// ordinary one, 8-bit optimizer states beside 32-bit ones.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox memory rev2-resnet293 --batch 128
  revox memory rev1-resnet34 --batch 8 --measure --svg bars.svg
  revox memory rev2-resnet293 --optimizer sgd8bit --dry --card 11GiB
  revox memory resnet293 --batch 64 --execution checkpointed --memory 11GB
  revox memory resnet34 --compare
  revox memory resnet34 resnet293 --batch 32 --ranks 8
  revox memory resnet293 --batch 64 --options
  revox memory resnet34 --optimizer adamw --ranks 8 --shard-states")]
pub struct Args {
    /// Architectures (see `revox zoo`).
    #[arg(required = true, value_name = "ARCH", value_parser = ArchitectureName,
          hide_possible_values = true)]
    archs: Vec<String>,
    /// Crops of a step.
    #[arg(long, default_value_t = 128, value_parser = at_least::<2>)]
    batch: usize,
    /// Frames of a crop (200 are 2 s).
    #[arg(long, default_value_t = 200)]
    frames: usize,
    /// Channels of the stem.
    #[arg(long)]
    width: Option<usize>,
    /// Mel filters.
    #[arg(long, value_parser = mels)]
    mels: Option<usize>,
    /// Classes of the head (VoxCeleb2's training set has 5994).
    #[arg(long, default_value_t = 5994)]
    speakers: usize,
    /// The optimizer, with its default settings.
    #[arg(long, default_value = "sgd", value_parser = OptimizerConfig::NAMES)]
    optimizer: String,
    #[command(flatten)]
    kinds: Kinds,
    /// Gradients are released during the backward pass (train.release_gradients).
    #[arg(long, conflicts_with = "ranks")]
    release_gradients: bool,
    /// What weights are held in (train.weights). Other than f32 wants --release-gradients and
    /// reversible networks.
    #[arg(long, value_enum, default_value_t)]
    weights: Weights,
    /// Put the options of training beside each other, with their bytes and multiplications by
    /// arithmetic: a table in Markdown.
    #[arg(long, conflicts_with_all = ["execution", "compare", "budget", "release_gradients",
                                      "weights", "measure", "dry", "svg", "ranks"])]
    options: bool,
    /// Run a step on the chosen backend and count.
    #[arg(long)]
    measure: bool,
    /// Replay two steps for a GPU without one, and tell whether they fit a card. It is a card for
    /// CUDA unless the backend is wgpu. A step that does not fit is no error: scripts read `fits`
    /// of --json.
    #[arg(long, conflicts_with = "measure")]
    dry: bool,
    /// Memory of the card for --dry: `11GiB`, `24GB`; else that of the NVIDIA GPU of this machine.
    #[arg(long, value_name = "SIZE", requires = "dry", value_parser = memory)]
    card: Option<u64>,
    /// Draw it as SVG.
    #[arg(long, value_name = "FILE", value_parser = values::path(values::svg))]
    svg: Option<PathBuf>,
    #[command(flatten)]
    exchanged: Ranks,
}

impl Args {
    /// The backend that the step is accounted for.
    fn backend(&self, global: &Global) -> BackendKind {
        match global.backend {
            BackendKind::Flex | BackendKind::Ndarray if !self.dry => global.backend,
            BackendKind::Flex | BackendKind::Ndarray => BackendKind::Cuda,
            BackendKind::Wgpu | BackendKind::Cuda => global.backend,
        }
    }

    /// The card of a dry run, if one is wanted.
    fn card(&self, global: &Global) -> Result<Option<Card>> {
        if !self.dry {
            return Ok(None);
        }
        let backend = self.backend(global);
        let bytes = self.card.or_else(|| total_by_driver(global.device)).ok_or_else(|| {
            misuse(
                "--card is needed, such as --card 11GiB: no NVIDIA driver tells the card's memory",
            )
        })?;
        Ok(Some(Card { bytes, backend }))
    }
}

/// Prints the report, beside the drawing.
fn print(args: &Args, text: &str) {
    match &args.svg {
        Some(path) => tell(path, text),
        None => outln!("{text}"),
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let (card, backend) = (args.card(global)?, args.backend(global));
    let optimizer = OptimizerConfig::named(&args.optimizer)?;
    let mut settings: Vec<Setting> = Vec::new();
    let mut asked: Vec<Setting> = Vec::new();
    for name in &args.archs {
        let named = architecture(name)?;
        let arch = Architecture {
            width: args.width.unwrap_or(named.width),
            mels: args.mels.unwrap_or(named.mels),
            ..named
        };
        let setting = Setting {
            batch: args.batch,
            frames: args.frames,
            speakers: args.speakers,
            shards: args.exchanged.shards(),
            release_gradients: args.release_gradients,
            weights: args.weights,
            ..Setting::new(arch, optimizer.clone())
        };
        for setting in args.kinds.of(&setting) {
            let (setting, note) = args.kinds.fitting(setting, backend);
            if let Some(note) = note.filter(|_| !global.quiet) {
                note!("{note}");
            }
            asked.push(setting.clone());
            // A dry run is about the networks asked for.
            let baseline = (!args.dry).then(|| setting.baseline()).transpose()?;
            for setting in baseline.into_iter().chain([setting]) {
                if !settings.contains(&setting) {
                    settings.push(setting);
                }
            }
        }
    }
    args.kinds.check(&settings)?;
    if args.options {
        return options::run(&asked, backend, global);
    }
    let counter = args.measure.then(|| Counter::new(global));
    let rows = settings
        .into_iter()
        .map(|setting| {
            let account = account_on(&setting, backend)?;
            let measured = counter.as_ref().map(|c| c.count(&setting)).transpose()?;
            if card.is_some() && !global.quiet {
                errln!("dry run of {}", setting.label());
            }
            let dry = card.map(|card| dry(&setting, card)).transpose()?;
            Ok(Row { setting, account, measured, dry })
        })
        .collect::<Result<Vec<Row>>>()?;
    if let Some(path) = &args.svg {
        let title = format!(
            "one training step, batch {} x {} frames, {}",
            args.batch, args.frames, args.optimizer
        );
        fs::write_bytes(path, svg(&rows, &title)?.as_bytes())?;
    }
    let row = |setting: &Setting| {
        rows.iter().find(|row| row.setting == *setting).expect("every step has a row")
    };
    if global.json {
        let all: Vec<Value> = asked
            .iter()
            .map(|setting| {
                let mut value = object(row(setting), backend);
                value["communication"] = args.exchanged.json(row(setting))?;
                value["plan"] = plan_object(setting, backend)?;
                let base = setting.baseline()?;
                if base != *setting && !args.dry {
                    value["baseline"] = object(row(&base), backend);
                }
                Ok(value)
            })
            .collect::<Result<_>>()?;
        match <[Value; 1]>::try_from(all) {
            Ok([one]) => print(args, &one.to_string()),
            Err(all) => print(args, &Value::from(all).to_string()),
        }
        return Ok(());
    }
    let (batch, frames, speakers) = (args.batch, args.frames, args.speakers);
    let on = match backend {
        BackendKind::Flex | BackendKind::Ndarray => String::new(),
        BackendKind::Wgpu | BackendKind::Cuda => format!(", {}", backend.name()),
    };
    let setting = format!(
        "one training step, batch {batch} x {frames} frames, {speakers} classes, {}{}, f32{on}",
        args.optimizer,
        args.exchanged.divided()
    );
    print(args, &format!("{setting}\n{}", table(&rows).trim_end()));
    let asked: Vec<&Row> = asked.iter().map(row).collect();
    args.exchanged.table(&asked)?.iter().for_each(|text| print(args, text));
    for row in &asked {
        if let Some(plan) = plan_of(&row.setting, backend)? {
            let lines = plan.lines().join("\n");
            print(args, &format!("\n{}\n{lines}", row.setting.label()));
        }
    }
    for line in rows.iter().map(too_large).collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        print(args, &line);
    }
    if let Some(path) = args.svg.as_ref().filter(|path| !fs::is_stdout(path)) {
        outln!("drawing {}", path.display());
    }
    Ok(())
}

/// Why a step does not fit its card, and what does.
fn too_large(row: &Row) -> Result<Option<String>> {
    let Some((dry, lacks)) = row.dry.as_ref().and_then(|dry| Some((dry, dry.lacks()?))) else {
        return Ok(None);
    };
    let room = dry.card.bytes.saturating_sub(dry.card.context());
    let others = alternatives(&row.setting, dry.card.backend, Some(room), dry.needed())?;
    Ok(Some(format!("{} does not fit: {lacks}. These fit: {others}", row.setting.label())))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Verb};
    use super::*;

    fn parse(words: &[&str]) -> Result<(Args, Global), clap::Error> {
        let cli = Cli::try_parse_from([&["revox", "memory", "resnet34"][..], words].concat())?;
        match cli.verb {
            Verb::Memory(args) => Ok((args, cli.global)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_dry_run_is_for_a_card() {
        let card = |words: &[&str]| {
            let (args, global) = parse(words).unwrap();
            args.card(&global).unwrap()
        };
        assert_eq!(card(&[]), None);
        let cuda = Card { bytes: 11 << 30, backend: BackendKind::Cuda };
        assert_eq!(card(&["--dry", "--card", "11GiB"]), Some(cuda));
        let wgpu = Card { bytes: 24_000_000_000, backend: BackendKind::Wgpu };
        assert_eq!(card(&["--dry", "--card", "24GB", "--backend", "wgpu"]), Some(wgpu));
        for bad in [
            &["--dry", "--measure"][..],
            &["--card", "11GiB"],
            &["--dry", "--card", "11"],
            &["--dry", "--card", "large"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        // Without a driver nobody knows the card.
        let (args, global) = parse(&["--dry"]).unwrap();
        if total_by_driver(0).is_none() {
            let error = args.card(&global).unwrap_err().to_string();
            assert!(error.contains("--card is needed"), "{error}");
        }
    }
}
