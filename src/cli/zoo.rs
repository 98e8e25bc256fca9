//! `revox zoo`.

use serde_json::json;

use super::Global;
use crate::error::Result;
use crate::zoo::{Architecture, ZOO};

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
    for (name, _) in ZOO {
        let arch = Architecture { mels: args.mels as usize, ..Architecture::named(name)? };
        let account = arch.account(args.frames as usize)?;
        rows.push((name, account.parameters(), account.macs(), account.activation_bytes()));
    }
    if global.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|r| json!({"arch": r.0, "parameters": r.1, "macs": r.2, "activation_bytes": r.3}))
            .collect();
        println!("{}", serde_json::Value::from(rows));
        return Ok(());
    }
    println!("{:<22} {:>12} {:>9} {:>16}", "architecture", "parameters", "GMACs", "activations MiB");
    for (name, parameters, macs, bytes) in rows {
        println!("{name:<22} {parameters:>12} {:>9.2} {:>16.1}", macs as f64 / 1e9, bytes as f64 / f64::from(1 << 20));
    }
    println!(
        "one utterance of {} frames, width 32, {} mels, 256-d, TSTP; activations: f32 kept by an ordinary tape",
        args.frames, args.mels
    );
    Ok(())
}
