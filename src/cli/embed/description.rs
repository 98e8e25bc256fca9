//! What tells one work on a list from another.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Args;
use super::list::List;
use crate::bytes::hex;
use crate::cli::Global;
use crate::error::Result;
use crate::fs;
use crate::model_card::DefaultCard;

/// Says what work it is, for the next process. What only decides how it is reported is not part of
/// it.
///
/// # Errors
/// A model that cannot be read.
pub(super) fn description(
    args: &Args,
    list: &List,
    model: Option<&Path>,
    global: &Global,
) -> Result<Value> {
    let model = match model {
        Some(path) => hex(Sha256::new().chain_update(fs::read(path)?)),
        None => DefaultCard::get().sha256,
    };
    Ok(json!({
        "model": model,
        "list": list.digest(),
        "window": args.window,
        "channel": args.channel,
        "vad": args.vad,
        "backend": global.backend.name(),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}
