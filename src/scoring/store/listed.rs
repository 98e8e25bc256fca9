//! Voices without their embeddings.

use std::path::Path;

use rusqlite::Connection;

use super::entry::{Entry, scan};
use super::{Recording, StoreModel, StoredRecording, Voice};
use crate::error::Result;

/// A voice and its number, if it is enrolled. Its recordings may be damaged.
///
/// # Errors
/// A row that cannot be read; a locked store.
pub(super) fn found(
    path: &Path,
    connection: &Connection,
    model: &StoreModel,
    name: &str,
) -> Result<Option<(i64, Voice)>> {
    let mut all = Listed::default();
    scan(path, connection, model, Some(name), &mut |entry| {
        all.add(entry);
        Ok(())
    })?;
    Ok(all.finish().pop())
}

/// Voices on their way into a list.
#[derive(Default)]
pub(super) struct Listed(Vec<OneListed>);

/// A voice by its number, with its recordings by theirs.
struct OneListed {
    number: i64,
    voice: Voice,
    recordings: Vec<(i64, StoredRecording)>,
}

impl Listed {
    /// Adds a recording. Those of a voice come one behind the other.
    pub fn add(&mut self, entry: Entry) {
        let Entry { voice: number, name, enrolled, id, recording, created, intact } = entry;
        if self.0.last().is_none_or(|last| last.number != number) {
            let recordings = Vec::new();
            let voice = Voice { name, created: time(enrolled), recordings, intact: true };
            self.0.push(OneListed { number, voice, recordings: Vec::new() });
        }
        if let Some(last) = self.0.last_mut() {
            let Recording { file, seconds, .. } = recording;
            let one = StoredRecording { file, seconds, created: time(created) };
            last.recordings.push((id, one));
            last.voice.intact &= intact;
        }
    }

    /// The voices with their numbers, by name, each with its recordings in the order of their
    /// enrolment.
    pub fn finish(self) -> Vec<(i64, Voice)> {
        let of = |one: OneListed| {
            let OneListed { number, voice, mut recordings } = one;
            recordings.sort_unstable_by_key(|(id, _)| *id);
            let recordings = recordings.into_iter().map(|(_, recording)| recording).collect();
            (number, Voice { recordings, ..voice })
        };
        let mut all: Vec<(i64, Voice)> = self.0.into_iter().map(of).collect();
        all.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        all
    }
}

/// A time that is not before 1970.
fn time(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0)
}
