//! What a store holds.

use rusqlite::{Connection, Row};

use super::digest::digest;
use super::failure::failure;
use super::{Recording, Store, StoredRecording, Voice, VoiceIndex};
use crate::bytes;
use crate::error::{Error, Result};

/// Voices outside, so that their recordings come one behind the other without being sorted.
const EMBEDDINGS: &str = "
    SELECT v.id, v.name, r.file, r.seconds, r.embedding, r.digest
    FROM voices v CROSS JOIN recordings r ON r.voice = v.id";

/// A recording of a voice as the file holds it.
struct Entry {
    voice: i64,
    name: String,
    recording: Recording,
}

impl Store {
    /// The voices, by name.
    ///
    /// # Errors
    /// A damaged or locked store.
    pub fn voices(&self) -> Result<Vec<Voice>> {
        let all = listed(&self.connection, None).map_err(|error| failure(&self.path, error))?;
        Ok(all.into_iter().map(|(_, voice)| voice).collect())
    }

    /// A voice by its name, if it is enrolled.
    ///
    /// # Errors
    /// A damaged or locked store.
    pub fn voice(&self, name: &str) -> Result<Option<Voice>> {
        let found =
            listed(&self.connection, Some(name)).map_err(|error| failure(&self.path, error))?;
        Ok(found.into_iter().next().map(|(_, voice)| voice))
    }

    /// The recordings of a voice with their embeddings; none if it is not enrolled.
    ///
    /// # Errors
    /// A damaged or locked store.
    pub fn recordings(&self, name: &str) -> Result<Vec<Recording>> {
        let mut all = Vec::new();
        self.each_recording(Some(name), &mut |entry| {
            all.push(entry.recording);
            Ok(())
        })?;
        Ok(all)
    }

    /// All voices in memory, to be searched. `mean` is `[dim]`, and is subtracted before embeddings
    /// are compared.
    ///
    /// # Errors
    /// A damaged or locked store; a mean of another dimension; a voice whose mean embedding has no
    /// direction.
    pub fn index(&self, mean: Option<&[f32]>) -> Result<VoiceIndex> {
        self.index_of(None, mean)
    }

    /// The same with one voice, or with none if it is not enrolled.
    ///
    /// # Errors
    /// Those of [`index`](Self::index).
    pub fn index_of_voice(&self, name: &str, mean: Option<&[f32]>) -> Result<VoiceIndex> {
        self.index_of(Some(name), mean)
    }

    fn index_of(&self, only: Option<&str>, mean: Option<&[f32]>) -> Result<VoiceIndex> {
        let mut index = VoiceIndex::new(self.model.dim, mean)?;
        let mut sum = Sum::default();
        self.each_recording(only, &mut |entry| {
            if sum.voice != Some(entry.voice) {
                sum.finish(&mut index).map_err(|e| self.told(e))?;
                sum.begin(&entry, self.model.dim);
            }
            sum.add(&entry.recording);
            Ok(())
        })?;
        sum.finish(&mut index).map_err(|e| self.told(e))?;
        Ok(index)
    }

    fn told(&self, error: Error) -> Error {
        error.retold(|text| Error::file(&self.path, text))
    }

    /// Gives each recording to `take`: those of a voice one behind the other, the voices in the
    /// order of their enrolment.
    fn each_recording(
        &self,
        only: Option<&str>,
        take: &mut dyn FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        let fail = |error| failure(&self.path, error);
        // What is counted at the end must be of the same moment as the rows.
        let _moment = self.connection.unchecked_transaction().map_err(fail)?;
        let which = if only.is_some() { "v.name = ?1" } else { "?1 IS NULL" };
        let query = format!("{EMBEDDINGS} WHERE {which} ORDER BY v.id, r.file");
        let mut statement = self.connection.prepare(&query).map_err(fail)?;
        let mut rows = statement.query([only]).map_err(fail)?;
        let (mut recordings, mut voices, mut last) = (0, 0, None);
        while let Some(row) = rows.next().map_err(fail)? {
            let (entry, stored) = entry(row).map_err(fail)?;
            let Entry { name, recording, .. } = &entry;
            if recording.embedding.len() != self.model.dim || stored[..] != digest(name, recording)
            {
                let file = &recording.file;
                let what = format!("is a damaged store: recording `{file}` of `{name}`");
                return Err(Error::file(&self.path, what));
            }
            recordings += 1;
            voices += i64::from(last != Some(entry.voice));
            last = Some(entry.voice);
            take(entry)?;
        }
        // What a damaged index hides would be a voice that nobody finds.
        let is_whole = only.is_some()
            || (self.rows_of("recordings")? == recordings && self.rows_of("voices")? == voices);
        match is_whole {
            true => Ok(()),
            false => Err(Error::file(
                &self.path,
                "is a damaged store: some of its voices or recordings cannot be found",
            )),
        }
    }

    /// Rows of a table, counted without its indices.
    fn rows_of(&self, table: &str) -> Result<i64> {
        let query = format!("SELECT count(*) FROM {table} NOT INDEXED");
        let count = self.connection.query_row(&query, [], |row| row.get(0));
        count.map_err(|error| failure(&self.path, error))
    }
}

/// The mean embedding of a voice on its way into the index.
#[derive(Default)]
struct Sum {
    voice: Option<i64>,
    name: String,
    seconds: f64,
    values: Vec<f64>,
    count: usize,
}

impl Sum {
    fn begin(&mut self, entry: &Entry, dim: usize) {
        self.voice = Some(entry.voice);
        self.name.clone_from(&entry.name);
        (self.seconds, self.count) = (0.0, 0);
        self.values.clear();
        self.values.resize(dim, 0.0);
    }

    fn add(&mut self, recording: &Recording) {
        let values = self.values.iter_mut().zip(&recording.embedding);
        values.for_each(|(sum, &x)| *sum += f64::from(x));
        self.seconds += recording.seconds;
        self.count += 1;
    }

    fn finish(&mut self, index: &mut VoiceIndex) -> Result<()> {
        if self.voice.is_none() {
            return Ok(());
        }
        let mean: Vec<f32> =
            self.values.iter().map(|sum| (sum / self.count as f64) as f32).collect();
        index.push(&self.name, self.seconds, &mean)
    }
}

/// A row of [`EMBEDDINGS`], and the checksum that it holds.
fn entry(row: &Row) -> rusqlite::Result<(Entry, Vec<u8>)> {
    let embedding: Vec<u8> = row.get(4)?;
    let recording =
        Recording { file: row.get(2)?, seconds: row.get(3)?, embedding: bytes::to_f32(&embedding) };
    Ok((Entry { voice: row.get(0)?, name: row.get(1)?, recording }, row.get(5)?))
}

/// The voices with their numbers, by name: all, or the one of this name.
pub(super) fn listed(
    connection: &Connection,
    only: Option<&str>,
) -> rusqlite::Result<Vec<(i64, Voice)>> {
    let which = if only.is_some() { "v.name = ?1" } else { "?1 IS NULL" };
    let query = format!(
        "SELECT v.id, v.name, v.created, r.file, r.seconds, r.created
         FROM voices v JOIN recordings r ON r.voice = v.id
         WHERE {which} ORDER BY v.name, r.id"
    );
    let mut statement = connection.prepare(&query)?;
    let mut rows = statement.query([only])?;
    let mut all: Vec<(i64, Voice)> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if all.last().is_none_or(|(last, _)| *last != id) {
            let (name, created) = (row.get(1)?, time(row.get(2)?));
            all.push((id, Voice { name, created, recordings: Vec::new() }));
        }
        let (file, seconds, created) = (row.get(3)?, row.get(4)?, time(row.get(5)?));
        if let Some((_, voice)) = all.last_mut() {
            voice.recordings.push(StoredRecording { file, seconds, created });
        }
    }
    Ok(all)
}

/// A time that is not before 1970.
fn time(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0)
}
