//! Embeddings of a list, from one place at which work may begin anew to the next.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Args;
use super::collected::Collected;
use super::heard::Heard;
use super::left_out::{LeftOut, Warnings};
use super::list::List;
use super::log::{Log, Outcome};
use crate::cli::part_file::{Description, PartFile};
use crate::cli::remedy::told;
use crate::cli::values::counted;
use crate::corpus::Words;
use crate::error::{Error, Result};
use crate::inference::{Embedder, Facts, Receiver};
use crate::progress::Progress;
use crate::scoring::Embeddings;
use crate::terminal::{errln, note};

/// The work on a list.
pub(super) struct Work<'a> {
    args: &'a Args,
    list: &'a List,
    /// The first file might have been meant as the model: none was named.
    or_model: bool,
    progress: Progress,
    /// Where no log holds the embeddings, they are here. So are their means.
    collected: Collected,
    /// Ids of the utterances with an embedding.
    ids: Words,
    /// Utterances with an embedding, by their places in the list, and their seconds of speech, if
    /// these are wanted.
    speech: Vec<(usize, f64)>,
    left_out: LeftOut,
    /// Of recordings that were read.
    warnings: Warnings,
    heard: Heard,
    /// What is done is kept here, if the output is a file.
    log: Option<Log<'a>>,
    /// Number of utterances that are done, and of those that have an embedding.
    done: usize,
    embedded: usize,
    /// Set when another process, which does another part, has failed.
    stop: Option<&'a AtomicBool>,
}

/// What came out of the work.
pub(super) struct Done<'a> {
    /// The embeddings, or their means by speaker.
    pub all: Embeddings,
    /// Number of utterances with an embedding.
    pub count: usize,
    /// Their places in the list and their seconds of speech, if these are wanted.
    pub speech: Vec<(usize, f64)>,
    pub left_out: LeftOut,
    pub log: Option<Log<'a>>,
}

impl<'a> Work<'a> {
    /// The work before it begins. `or_model` says that no model was named.
    pub fn new(
        args: &'a Args,
        list: &'a List,
        collected: Collected,
        or_model: bool,
        quiet: bool,
    ) -> Self {
        Self {
            args,
            list,
            or_model,
            progress: Progress::new("embedding", list.len(), quiet),
            collected,
            ids: Words::default(),
            speech: Vec::new(),
            left_out: LeftOut::default(),
            warnings: Warnings::default(),
            heard: Heard::default(),
            log: None,
            done: 0,
            embedded: 0,
            stop: None,
        }
    }

    /// The same work, which ends with an error when this is set.
    pub fn stopped_by(self, stop: &'a AtomicBool) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// Embeds the list, or what an earlier process has left of it beside the `output`. `described`
    /// says what work it is.
    ///
    /// # Errors
    /// An utterance that cannot be read, unless such ones may be left out; those of [`Log::open`].
    pub fn run(
        &mut self,
        embedder: &Embedder,
        output: &Path,
        described: Box<Description<'a>>,
    ) -> Result<()> {
        if let Some(path) = PartFile::path_of(output) {
            let dim = self.collected.dim();
            let take = &mut |outcome: Outcome| self.again(&path, outcome);
            self.log = Some(Log::open(path.clone(), dim, described, take)?);
            if self.done > 0 {
                let (done, path) = (counted(self.done, "utterance"), path.display());
                note!("{path} holds {done} of {}: going on there", self.list.len());
            }
        }
        let (list, places) = (self.list, self.done..self.list.len());
        let open =
            |place: usize, rate: u32, channel: Option<usize>| list.open(place, rate, channel);
        embedder.utterances(places, &open, self).map_err(|e| match &self.log {
            Some(log) => goes_on(log, e),
            None => e,
        })
    }

    /// What came out of it.
    ///
    /// # Errors
    /// Not one utterance could be embedded; those of [`Log::embeddings`].
    pub fn results(self) -> Result<Done<'a>> {
        if self.embedded == 0 {
            // This list alone has all reasons. One of several processes knows only its own.
            if let (Some(list), None) = (&self.args.skipped, self.stop) {
                self.left_out.write(list)?;
            }
            let all = self.list.len();
            return Err(Error::Undefined(format!("none of {all} files could be embedded")));
        }
        let unprinted = self.warnings.unprinted();
        if unprinted > 0 {
            errln!("warning: {unprinted} more warnings of recordings");
        }
        // An earlier process may have done them all.
        if self.args.vad && self.heard.is_some() {
            note!("{}", self.heard.left_out());
        }
        let Self { collected, ids, speech, left_out, mut log, embedded: count, .. } = self;
        let all = match (collected, &mut log) {
            (Collected::Each(_), Some(log)) => log.embeddings(ids).map_err(|e| goes_on(log, e))?,
            (collected, _) => collected.finish()?,
        };
        Ok(Done { all, count, speech, left_out, log })
    }

    /// Takes the next outcome of an earlier process.
    fn again(&mut self, path: &Path, outcome: Outcome) -> Result<()> {
        if self.done == self.list.len() {
            return Err(Error::file(path, "is damaged; remove it to begin anew"));
        }
        let list = self.list;
        let id = list.id(self.done);
        match outcome {
            Outcome::Row(row, speech) => {
                self.note(self.done, id, speech)?;
                if let Collected::BySpeaker(_) = self.collected {
                    self.collected.push(id, &row)?;
                }
            }
            Outcome::LeftOut(reason) if self.args.skip_errors => self.left_out.again(id, &reason),
            Outcome::LeftOut(reason) => {
                let message = format!(
                    "left out `{id}` ({reason}); give --skip-errors again, or remove the file to \
                     begin anew"
                );
                return Err(Error::file(path, message));
            }
        }
        self.done += 1;
        self.progress.add(1);
        Ok(())
    }

    /// Refuses an embedding that is not finite, as if its recording could not be read.
    fn finite(&self, place: usize, found: (Facts, Vec<f32>)) -> Result<(Facts, Vec<f32>)> {
        if found.1.iter().all(|x| x.is_finite()) {
            return Ok(found);
        }
        let error = Error::file(&*self.list.shown(place), "its embedding is not finite");
        Err(self.list.at(place, error, false))
    }

    /// Takes the embedding of the utterance at a place.
    fn push(&mut self, place: usize, id: &str, row: &[f32], speech: f64) -> Result<()> {
        self.note(place, id, speech)?;
        if let Some(log) = &mut self.log {
            log.row(row, speech);
            if let Collected::Each(_) = self.collected {
                return Ok(());
            }
        }
        self.collected.push(id, row)
    }

    /// Notes that the utterance at a place has an embedding.
    fn note(&mut self, place: usize, id: &str, speech: f64) -> Result<()> {
        if self.ids.intern(id, place + 1) != Some(self.embedded as u32) {
            return Err(Error::invalid(format!("two embeddings of `{id}`, or too many")));
        }
        self.embedded += 1;
        if self.args.speech.is_some() {
            self.speech.push((place, speech));
        }
        Ok(())
    }

    fn warn(&mut self, place: usize, facts: &Facts) {
        let list = self.list;
        let name = list.shown(place);
        if facts.silent {
            self.warnings.add(&format!("{name}: silent; its embedding tells nothing"));
        }
        for warning in &facts.warnings {
            self.warnings.add(&format!("{name}: {warning}"));
        }
    }
}

/// An error that ends work, of which a part is kept.
fn goes_on(log: &Log, error: Error) -> Error {
    match log.kept() {
        Some(path) => error.and(&format!(
            "what was done before is in {}: the same command goes on there",
            path.display()
        )),
        None => error,
    }
}

impl Receiver for Work<'_> {
    fn take(&mut self, place: usize, result: Result<(Facts, Vec<f32>)>) -> Result<()> {
        if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Error::Training("another process has failed".into()));
        }
        self.progress.add(1);
        self.done += 1;
        let list = self.list;
        let id = list.id(place);
        let result = result.map_err(|e| list.at(place, e, self.or_model));
        match result.and_then(|found| self.finite(place, found)) {
            Ok((facts, row)) => {
                self.warn(place, &facts);
                self.heard.add(&facts);
                self.push(place, id, &row, facts.quality.speech_seconds)?;
            }
            Err(e) if self.args.skip_errors => {
                let reason = told(&e);
                self.left_out.add(id, &reason);
                if let Some(log) = &mut self.log {
                    log.left_out(&reason);
                }
            }
            Err(e) if self.list.len() > 1 => {
                return Err(e.and("--skip-errors leaves out what cannot be read"));
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn reached(&mut self, place: usize) -> Result<()> {
        match &mut self.log {
            // The output is written next.
            Some(log) if place < self.list.len() => log.keep(),
            _ => Ok(()),
        }
    }
}
