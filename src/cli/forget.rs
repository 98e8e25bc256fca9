//! `revox forget`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Global;
use super::values::{counted, misuse};
use crate::error::Result;
use crate::scoring::{Store, Voice};
use crate::terminal::{errln, outln};

/// Remove voices from a store for good.
///
/// What is removed is overwritten, and the file is built anew. Copies of the file, such as backups,
/// stay as they are. Where values of a store are damaged its voices can be removed all the same; if
/// the file itself is, delete it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox forget voices.db anna bert
  revox forget voices.db anna --recording anna3.flac")]
pub struct Args {
    /// The store.
    store: PathBuf,
    /// Names of the voices.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Remove only this recording of one voice. `revox speakers --json` names the recordings.
    #[arg(long, value_name = "FILE")]
    recording: Option<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let mut store = Store::open(&args.store)?;
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let removed: Vec<Voice> = match (&args.recording, &names[..]) {
        (None, names) => store.forget(names)?,
        (Some(file), [name]) => vec![of_recording(store.forget_recording(name, file)?, file)],
        (Some(_), _) => {
            return Err(misuse("--recording is of one voice: give one NAME"));
        }
    };
    // Recordings of others may be damaged: their names are enough.
    let left = store.names()?;
    let is_gone = |voice: &Voice| left.iter().all(|other| *other != voice.name);
    for voice in removed.iter().filter(|voice| !voice.intact) {
        let name = &voice.name;
        errln!("warning: {name}: its recordings were damaged; their seconds may be wrong");
    }
    if global.json {
        let removed: Vec<Value> = removed
            .iter()
            .map(|voice| {
                json!({
                    "name": voice.name,
                    "recordings": voice.recordings.len(),
                    "speech_seconds": voice.seconds(),
                    "gone": is_gone(voice),
                })
            })
            .collect();
        outln!("{}", json!({"forgotten": removed, "voices": left.len()}));
        return Ok(());
    }
    for voice in &removed {
        let (count, seconds) = (counted(voice.recordings.len(), "recording"), voice.seconds());
        let rest = if is_gone(voice) { "" } else { "; the voice has others" };
        outln!("{}: {count} removed, {seconds:.1} s of speech{rest}", voice.name);
    }
    outln!("{} left in {}", counted(left.len(), "voice"), args.store.display());
    Ok(())
}

/// A voice with nothing but the recording of this file.
fn of_recording(voice: Voice, file: &str) -> Voice {
    let recordings = voice.recordings.into_iter().filter(|one| one.file == file).collect();
    Voice { recordings, ..voice }
}
