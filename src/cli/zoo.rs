//! `revox zoo`.

use serde_json::json;

use super::Global;
use crate::error::Result;
use crate::terminal::outln;
use crate::zoo::{Architecture, names};

/// Every architecture: parameters, multiplications and activation bytes of one utterance.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  revox zoo --frames 200")]
pub struct Args {
    /// Frames of the utterance (200 are 2 s).
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(8..1_000_000))]
    frames: u32,
    /// Mel filters.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(8..1024))]
    mels: u32,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let mut rows = Vec::new();
    for name in names() {
        let arch = Architecture { mels: args.mels as usize, ..Architecture::named(&name)? };
        let account = arch.account(args.frames as usize)?;
        rows.push((
            name,
            account.parameters(),
            account.macs(),
            account.activation_bytes(),
            account.held_bytes(),
            arch.reversible_type(),
        ));
    }
    if global.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|r| {
                let held = r.5.map_or(r.3, |_| r.4);
                json!({"arch": r.0, "parameters": r.1, "macs": r.2, "activation_bytes": r.3, "held_bytes": held})
            })
            .collect();
        outln!("{}", serde_json::Value::from(rows));
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
    for (name, parameters, macs, bytes, held, kind) in rows {
        let held = kind.map_or("-".to_owned(), |_| format!("{:.1}", mib(held)));
        outln!(
            "{name:<26} {parameters:>12} {:>9.2} {:>16.1} {held:>9}",
            macs as f64 / 1e9,
            mib(bytes)
        );
    }
    outln!(
        "one utterance of {} frames, width 32, {} mels, 256-d, TSTP; activations: f32 kept by an ordinary tape; held: by \
         reversible training",
        args.frames,
        args.mels
    );
    Ok(())
}
