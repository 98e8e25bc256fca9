//! What a store holds. Every row is compared with its checksum.

use std::path::Path;

use rusqlite::Connection;

use super::entry::{Entry, scan};
use super::failure::{damaged, failure};
use super::listed::Listed;
use super::{Recording, Store, StoreModel, Voice, VoiceIndex};
use crate::error::{Error, Result};

impl Store {
    /// The voices, by name.
    ///
    /// # Errors
    /// A damaged or locked store.
    pub fn voices(&self) -> Result<Vec<Voice>> {
        let mut all = Listed::default();
        self.each_recording(None, &mut |entry| {
            all.add(entry);
            Ok(())
        })?;
        Ok(all.finish().into_iter().map(|(_, voice)| voice).collect())
    }

    /// A voice by its name, if it is enrolled. All of them are read, so that a damaged store hides
    /// none.
    ///
    /// # Errors
    /// A damaged or locked store.
    pub fn voice(&self, name: &str) -> Result<Option<Voice>> {
        Ok(self.voices()?.into_iter().find(|voice| voice.name == name))
    }

    /// The names, in order. Recordings are not looked at, so they may be damaged.
    ///
    /// # Errors
    /// A store whose names cannot be read; a locked one.
    pub fn names(&self) -> Result<Vec<String>> {
        let fail = |error| failure(&self.path, error);
        let query = "SELECT name FROM voices NOT INDEXED";
        let mut statement = self.connection.prepare(query).map_err(fail)?;
        let names = statement.query_map([], |row| row.get(0)).map_err(fail)?;
        let mut names = names.collect::<rusqlite::Result<Vec<String>>>().map_err(fail)?;
        names.sort_unstable();
        Ok(names)
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

    /// The same with one voice, or with none if it is not enrolled. All recordings are read: one
    /// that a damaged store hides would change the score.
    ///
    /// # Errors
    /// Those of [`index`](Self::index).
    pub fn index_of_voice(&self, name: &str, mean: Option<&[f32]>) -> Result<VoiceIndex> {
        self.index_of(Some(name), mean)
    }

    fn index_of(&self, only: Option<&str>, mean: Option<&[f32]>) -> Result<VoiceIndex> {
        let mut index = VoiceIndex::new(self.model.dim, mean)?;
        let mut sum = Sum::default();
        self.each_recording(None, &mut |entry| {
            if only.is_some_and(|only| only != entry.name) {
                return Ok(());
            }
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

    /// Gives each recording to `take`, as [`verified`] does.
    fn each_recording(
        &self,
        only: Option<&str>,
        take: &mut dyn FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        let fail = |error| failure(&self.path, error);
        // What is counted at the end must be of the same moment as the rows.
        let moment = self.connection.unchecked_transaction().map_err(fail)?;
        verified(&self.path, &moment, &self.model, only, take)
    }
}

/// Gives each recording to `take`: those of a voice one behind the other, the voices in the order
/// of their enrolment. `only` is a voice's name. The caller has begun a transaction.
///
/// # Errors
/// A damaged or locked store; those of `take`.
pub(super) fn verified(
    path: &Path,
    connection: &Connection,
    model: &StoreModel,
    only: Option<&str>,
    take: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let (mut recordings, mut voices, mut last) = (0, 0, None);
    scan(path, connection, model, only, &mut |entry| {
        if !entry.intact {
            let what = format!("recording `{}` of `{}`", entry.recording.file, entry.name);
            return Err(damaged(path, &what));
        }
        recordings += 1;
        voices += i64::from(last != Some(entry.voice));
        last = Some(entry.voice);
        take(entry)
    })?;
    // What a damaged index hides would be a voice that nobody finds.
    let rows = |table: &str| -> Result<i64> {
        let query = format!("SELECT count(*) FROM {table} NOT INDEXED");
        let count = connection.query_row(&query, [], |row| row.get(0));
        count.map_err(|error| failure(path, error))
    };
    match only.is_some() || (rows("recordings")? == recordings && rows("voices")? == voices) {
        true => Ok(()),
        false => Err(damaged(path, "some of its voices or recordings cannot be found")),
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
