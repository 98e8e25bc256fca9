//! `revox zoo`.

mod details;

use serde_json::{Value, json};

use super::Global;
use super::values::{ArchitectureName, mels};
use crate::error::Result;
use crate::terminal::{note, outln};
use crate::zoo::{Account, Architecture, Row, names};

/// Every architecture: parameters, multiplications and activation bytes of one utterance.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox zoo --details resnet34
  revox zoo --frames 200")]
pub struct Args {
    /// Frames of the utterance (200 are 2 s).
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(8..1_000_000))]
    frames: u32,
    /// Mel filters; the network's default unless given.
    #[arg(long, value_parser = mels)]
    mels: Option<usize>,
    /// Describe one network: paper, published weights and error rates, sizes. `default` is the
    /// model inside the program.
    #[arg(
        long,
        value_name = "NAME",
        value_parser = ArchitectureName,
        hide_possible_values = true,
        conflicts_with = "mels"
    )]
    details: Option<String>,
}

/// A network and its figures.
struct Line {
    arch: Architecture,
    account: Account,
    row: &'static Row,
}

impl Line {
    fn of(name: &str, args: &Args) -> Result<Self> {
        let mut arch = Architecture::named(name)?;
        arch.mels = args.mels.unwrap_or(arch.mels);
        let account = arch.account(args.frames as usize)?;
        let row = Row::of(arch.base_name()).expect("every name is that of a row");
        Ok(Self { arch, account, row })
    }

    /// Bytes that reversible training keeps, if the network can be trained so.
    fn held(&self) -> Option<usize> {
        self.arch.reversible_type().map(|_| self.account.held_bytes())
    }

    /// For programs. The published count is of the ordinary network.
    fn json(&self) -> Value {
        let Self { arch, account, row } = self;
        let millions = row.published.filter(|_| arch.reversible_type().is_none());
        json!({
            "arch": arch.name,
            "paper": row.paper,
            "parameters": account.parameters(),
            "published_parameters": millions.map(|m| (1e6 * m).round() as u64),
            "macs": account.macs(),
            "activation_bytes": account.activation_bytes(),
            "held_bytes": self.held().unwrap_or_else(|| account.activation_bytes()),
        })
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if let Some(name) = &args.details {
        return details::run(name, args.frames as usize, global.json);
    }
    // A network may be unable to take so few frames, or these mel filters.
    let line = |name: String| match Line::of(&name, args) {
        Ok(line) => Some(line),
        Err(e) => {
            note!("{name} is left out: {e}");
            None
        }
    };
    let lines: Vec<Line> = names().filter_map(line).collect();
    if global.json {
        outln!("{}", Value::from_iter(lines.iter().map(Line::json)));
        return Ok(());
    }
    outln!(
        "{:<26} {:>12} {:>9} {:>16} {:>9}",
        "architecture",
        "parameters",
        "GMACs",
        "activations MiB",
        "held MiB"
    );
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    for line in &lines {
        let Line { arch, account, .. } = line;
        outln!(
            "{:<26} {:>12} {:>9.2} {:>16.1} {:>9}",
            arch.name,
            account.parameters(),
            account.macs() as f64 / 1e9,
            mib(account.activation_bytes()),
            line.held().map_or("-".to_owned(), |held| format!("{:.1}", mib(held)))
        );
    }
    outln!(
        "one utterance of {} frames; width, mels, embedding and pooling are this project's \
         defaults (`revox zoo --details NAME` tells what was published); activations: f32 kept by \
         an ordinary tape; held: by reversible training",
        args.frames
    );
    Ok(())
}
