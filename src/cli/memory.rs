//! `revox memory`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::values::{ArchitectureName, mels};
use super::{Global, tell, wants_svg};
use crate::backend::reversible::Execution;
use crate::backend::{failure, quietly};
use crate::error::{Error, Result};
use crate::fs;
use crate::memory::{Breakdown, Measured, Row, Setting, account, advised, measure, svg, table};
use crate::terminal::outln;
use crate::train::OptimizerConfig;
use crate::zoo::Architecture;

/// Where the bytes of a training step go. A reversible network is put beside the ordinary one,
/// 8-bit optimizer states beside 32-bit ones.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox memory rev2-resnet293 --batch 128
  revox memory rev1-resnet34 --batch 8 --measure --svg bars.svg")]
pub struct Args {
    /// Architectures (see `revox zoo`).
    #[arg(required = true, value_name = "ARCH", value_parser = ArchitectureName,
          hide_possible_values = true)]
    archs: Vec<String>,
    /// Crops of a step.
    #[arg(long, default_value_t = 128)]
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
    /// How reversible networks run.
    #[arg(long, value_enum)]
    execution: Option<Execution>,
    /// Run a step on the chosen backend and count.
    #[arg(long)]
    measure: bool,
    /// Draw it as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// A step on the device.
///
/// # Errors
/// A step that fails. If memory was short, the error says what would fit.
fn counted(setting: &Setting, global: &Global) -> Result<Measured> {
    let (free, device) = (global.free(), global.open()?);
    quietly(|| measure(setting, &device))
        .unwrap_or_else(|panic| Err(failure(&panic)))
        .map_err(|e| advised(e, setting, free))
}

/// Prints the report, beside the drawing.
fn print(args: &Args, text: &str) {
    match &args.svg {
        Some(path) => tell(path, text),
        None => outln!("{text}"),
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    args.svg.as_ref().map_or(Ok(()), |path| wants_svg("--svg", path))?;
    let optimizer = OptimizerConfig::named(&args.optimizer)?;
    let mut settings: Vec<Setting> = Vec::new();
    for name in &args.archs {
        let named = Architecture::named(name)?;
        let arch = Architecture {
            width: args.width.unwrap_or(named.width),
            mels: args.mels.unwrap_or(named.mels),
            ..named
        };
        let setting = Setting {
            execution: arch.reversible_type().and(args.execution),
            arch,
            batch: args.batch,
            frames: args.frames,
            speakers: args.speakers,
            optimizer: optimizer.clone(),
        };
        for setting in [setting.baseline()?, setting] {
            if !settings.contains(&setting) {
                settings.push(setting);
            }
        }
    }
    if args.execution.is_some() && settings.iter().all(|s| s.execution.is_none()) {
        return Err(Error::invalid("--execution is a choice of rev1- and rev2- architectures"));
    }
    let rows = settings
        .into_iter()
        .map(|setting| {
            let breakdown = account(&setting)?;
            let measured = args.measure.then(|| counted(&setting, global)).transpose()?;
            Ok((setting, breakdown, measured))
        })
        .collect::<Result<Vec<Row>>>()?;
    if let Some(path) = &args.svg {
        let title = format!(
            "one training step, batch {} x {} frames, {}",
            args.batch, args.frames, args.optimizer
        );
        fs::write_bytes(path, svg(&rows, &title)?.as_bytes())?;
    }
    if global.json {
        let asked: Vec<Value> = args
            .archs
            .iter()
            .map(|name| {
                let asked = |s: &Setting| s.arch.name == *name && s.optimizer == optimizer;
                let row = rows.iter().find(|r| asked(&r.0)).expect("every name has a row");
                let mut value = object(row);
                let base = row.0.baseline()?;
                if base != row.0 {
                    value["baseline"] = object(
                        rows.iter().find(|r| r.0 == base).expect("every baseline has a row"),
                    );
                }
                Ok(value)
            })
            .collect::<Result<_>>()?;
        match <[Value; 1]>::try_from(asked) {
            Ok([one]) => print(args, &one.to_string()),
            Err(all) => print(args, &Value::from(all).to_string()),
        }
        return Ok(());
    }
    let (batch, frames, speakers) = (args.batch, args.frames, args.speakers);
    let setting = format!(
        "one training step, batch {batch} x {frames} frames, {speakers} classes, {}, f32",
        args.optimizer
    );
    print(args, &format!("{setting}\n{}", table(&rows).trim_end()));
    if let Some(path) = args.svg.as_ref().filter(|path| !fs::is_stdout(path)) {
        outln!("drawing {}", path.display());
    }
    Ok(())
}

fn object((setting, b, measured): &Row) -> Value {
    let Breakdown {
        weights,
        optimizer,
        gradients,
        activations,
        stages,
        at_peak,
        place,
        head,
        peak,
    } = b;
    let stages: Vec<Value> =
        stages.iter().map(|(name, bytes)| json!({"name": name, "bytes": bytes})).collect();
    let mut value = json!({
        "arch": setting.arch.name,
        "optimizer_name": setting.optimizer.name(),
        "reversible": setting.is_reversible(),
        "batch": setting.batch,
        "frames": setting.frames,
        "weights": weights,
        "optimizer": optimizer,
        "gradients": gradients,
        "activations": activations,
        "workspace": at_peak.workspace,
        "peak": peak,
        "measured_peak": measured.map(|m| m.peak),
        "head": head,
        "stages": stages,
        "at_peak": {
            "place": place,
            "gradients": at_peak.gradients,
            "activations": at_peak.activations,
            "workspace": at_peak.workspace,
        },
    });
    if let Some(Measured { resident, held, peak, reserved }) = measured {
        value["measured"] =
            json!({"resident": resident, "held": held, "peak": peak, "reserved": reserved});
    }
    value
}
