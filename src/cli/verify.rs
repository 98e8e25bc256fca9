//! `revox verify`.

use std::path::PathBuf;

use serde_json::json;

use super::Global;
use super::decision::Wanted;
use super::voices::{HINT, Listener, numbers, numbers_json};
use crate::error::{Error, Result};
use crate::scoring::Store;
use crate::terminal::{errln, note, outln};

/// Is it the voice of this name?
///
/// The answer is in the output: the exit code is 0 for both.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox verify voices.db anna call.wav
  revox verify voices.db anna call.wav --cost 1:10 --json")]
pub struct Args {
    /// The store.
    store: PathBuf,
    /// Name of the voice.
    name: String,
    /// The recording.
    file: PathBuf,
    /// The store's model. Without this option it is that of the last enrolment.
    #[arg(long)]
    model: Option<PathBuf>,
    #[command(flatten)]
    wanted: Wanted,
    /// Channel, from 0, to read of the file. A file of several channels needs it.
    #[arg(long)]
    channel: Option<usize>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let Args { name, file, .. } = args;
    let store = Store::open(&args.store)?;
    store.check_voice(name, true)?;
    let listener = Listener::of(Some(&store), args.model.as_deref(), global.open()?)?;
    let decider = listener.decider(&args.wanted)?;
    let index = store.index_of_voice(name, listener.mean())?;
    let mut all = listener.hear(std::slice::from_ref(file), args.channel)?;
    let heard = all.pop().ok_or_else(|| Error::file(file, "has no embedding"))?;
    let found =
        index.search(&heard.embedding, 1).map_err(|e| e.retold(|text| Error::file(file, text)))?;
    // Another process may have removed it meanwhile.
    let found = found
        .first()
        .ok_or_else(|| Error::file(&args.store, format!("`{name}` is not enrolled any more")))?;
    let verdict = listener.verdict(&decider, &index, found, &heard)?;
    let mut warnings = heard.warnings();
    warnings.extend(verdict.warnings.iter().cloned());
    for warning in &warnings {
        errln!("warning: {warning}");
    }
    if global.json {
        let mut all = numbers_json(name, &verdict);
        all["threshold"] = json!(verdict.threshold);
        all["basis"] = json!(verdict.basis);
        all["prior"] = json!(decider.is_calibrated().then(|| decider.prior()));
        all["files"] = json!([heard.json()]);
        all["warnings"] = json!(warnings);
        all["default_model"] = listener.json();
        outln!("{all}");
        return Ok(());
    }
    let decision = match verdict.same {
        Some(true) => format!("the voice of {name}"),
        Some(false) => format!("not the voice of {name}"),
        None => "no decision".to_owned(),
    };
    outln!("{}   {decision}", numbers(&verdict, decider.prior()));
    match verdict.same {
        Some(_) => outln!("decided by {}", verdict.basis),
        None => note!("{HINT}"),
    }
    outln!("{}: {}", file.display(), heard.text());
    Ok(())
}
