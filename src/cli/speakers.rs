//! `revox speakers`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Global;
use super::values::counted;
use super::voices::date;
use crate::error::Result;
use crate::scoring::{Store, Voice};
use crate::terminal::outln;

/// The voices of a store: recordings, seconds of speech, time of enrolment.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox speakers voices.db
  revox speakers voices.db --json")]
pub struct Args {
    /// The store.
    store: PathBuf,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let store = Store::open(&args.store)?;
    let voices = store.voices()?;
    let model = store.model();
    if global.json {
        let all = json!({
            "voices": voices.iter().map(described).collect::<Vec<_>>(),
            "model": {
                "arch": model.arch,
                "hash": model.hash,
                "embedding_dim": model.dim,
                "frontend": serde_json::from_str::<Value>(&model.frontend).ok(),
                "path": store.model_path()?,
            },
        });
        outln!("{all}");
        return Ok(());
    }
    let width = voices.iter().map(|voice| voice.name.chars().count()).max().unwrap_or(0);
    for voice in &voices {
        let count = counted(voice.recordings.len(), "recording");
        let (name, seconds, created) = (&voice.name, voice.seconds(), date(voice.created));
        outln!("{name:width$}  {count:>13}  {seconds:8.1} s  {created}");
    }
    outln!("{} of the model {}", counted(voices.len(), "voice"), model.title());
    Ok(())
}

/// A voice as JSON.
fn described(voice: &Voice) -> Value {
    let files = voice.recordings.iter().map(|recording| {
        json!({
            "path": recording.file,
            "speech_seconds": recording.seconds,
            "created": date(recording.created),
        })
    });
    json!({
        "name": voice.name,
        "recordings": voice.recordings.len(),
        "speech_seconds": voice.seconds(),
        "created": date(voice.created),
        "files": files.collect::<Vec<_>>(),
    })
}
