//! `revox doctor`.

use serde_json::json;

use super::Global;
use crate::backend::BackendKind;
use crate::error::Result;

/// Which backends are compiled in and work, and why one does not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  revox doctor")]
pub struct Args {}

pub(super) fn run(_args: &Args, global: &Global) -> Result<()> {
    let rows: Vec<_> = BackendKind::ALL
        .iter()
        .map(|kind| match kind.device(0) {
            Ok(device) => (kind.name(), kind.is_compiled(), true, format!("{device:?}")),
            Err(e) => (kind.name(), kind.is_compiled(), false, e.to_string()),
        })
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    if global.json {
        let backends: Vec<_> =
            rows.iter().map(|r| json!({"name": r.0, "compiled": r.1, "works": r.2, "detail": r.3})).collect();
        println!("{}", json!({"version": env!("CARGO_PKG_VERSION"), "threads": threads, "backends": backends}));
        return Ok(());
    }
    println!("revox {}, {threads} threads", env!("CARGO_PKG_VERSION"));
    for (name, _, works, detail) in rows {
        println!("{name:<8} {}  {detail}", if works { "works" } else { "off  " });
    }
    Ok(())
}
