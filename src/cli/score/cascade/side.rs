//! One of the two models: embeddings of the recordings that it is asked for, and calibrated scores.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rayon::prelude::*;

use super::How;
use super::kept::{Entry, Kept};
use super::named::Named;
use crate::cli::embed::Warnings;
use crate::error::{Error, Result};
use crate::inference::{Embedder, Facts, Receiver};
use crate::model_file::{Header, Model};
use crate::progress::Progress;
use crate::scoring::{Calibration, Embeddings, Evidence, Made, Quantity, Scorer};
use crate::terminal::{errln, note};

/// A calibrated model.
pub(super) struct Side {
    what: &'static str,
    path: PathBuf,
    model: Model,
    calibration: Calibration,
    device: Device,
}

/// The embeddings of some recordings.
pub(super) struct Embedded {
    /// Their places in the list, ascending.
    places: Vec<usize>,
    rows: Embeddings,
    evidence: Vec<Evidence>,
    /// Their lengths.
    seconds: Vec<f64>,
}

impl Embedded {
    /// The row of the recording at a place of the list, which must be one of these.
    pub fn row(&self, place: usize) -> usize {
        self.places.binary_search(&place).expect("every recording of the trials was embedded")
    }

    /// The lengths of the recordings in seconds, row by row.
    pub fn seconds(&self) -> &[f64] {
        &self.seconds
    }
}

impl Side {
    /// Loads a model; `what` says which one it is.
    ///
    /// # Errors
    /// Those of [`Model::load`]; a model without a calibration of cosines.
    pub fn load(what: &'static str, path: &Path, device: &Device) -> Result<Self> {
        let model = Model::load(path, device)?;
        let calibration = usable(&model.header).map_err(|message| Error::file(path, message))?;
        Ok(Self { what, path: path.to_owned(), model, calibration, device: device.clone() })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.model.header
    }

    /// The LLRs of these trials, and the embeddings of their recordings.
    ///
    /// # Errors
    /// A recording that cannot be read or whose embedding has no direction; a measure that the
    /// calibration weighs and a recording lacks.
    pub fn llrs(
        &self,
        named: &Named,
        trials: &[usize],
        how: &How,
        kept: &mut Kept,
    ) -> Result<(Vec<f64>, Embedded)> {
        let at_fault = |e: Error| e.retold(|text| Error::file(&self.path, text));
        let embedded = self.embed(named, named.used(trials), how, kept)?;
        let mean = self.mean();
        let (calibration, evidence) = (&self.calibration, &embedded.evidence);
        let llrs: Result<Vec<f64>> = {
            let scorer = Scorer::new(&embedded.rows, mean).map_err(at_fault)?;
            let llr = |&trial: &usize| {
                let [a, b] = named.sides(trial).map(|place| embedded.row(place));
                calibration.llr(scorer.score(a, b), &evidence[a], &evidence[b])
            };
            trials.par_iter().map(llr).collect()
        };
        Ok((llrs.map_err(at_fault)?, embedded))
    }

    /// The mean embedding that its scores are without, `[dim]`.
    fn mean(&self) -> Option<Vec<f64>> {
        let mean = self.model.header.scoring.embedding_mean.as_ref();
        mean.map(|mean| mean.iter().map(|&x| f64::from(x)).collect())
    }

    /// Embeds the recordings at these places, or what an earlier process has left of them.
    fn embed(
        &self,
        named: &Named,
        places: Vec<usize>,
        how: &How,
        kept: &mut Kept,
    ) -> Result<Embedded> {
        let embedder = Embedder::of(&self.model, &self.device)?.channel(how.channel);
        let list = named.recordings();
        let mut taking = Taking {
            named,
            mean: self.mean(),
            progress: Progress::new(self.what, places.len(), how.quiet),
            warnings: Warnings::default(),
            kept,
            embedded: Embedded {
                rows: Embeddings::new(self.model.header.embedding_dim),
                evidence: Vec::with_capacity(places.len()),
                seconds: Vec::with_capacity(places.len()),
                places,
            },
        };
        let places = taking.embedded.places.clone();
        let open =
            |i: usize, rate: u32, channel: Option<usize>| list.open(places[i], rate, channel);
        let mut done = 0;
        while done < places.len()
            && let Some(entry) = taking.kept.again(self.model.header.embedding_dim)?
        {
            taking.push(done, &entry)?;
            done += 1;
        }
        if done > 0 {
            let (what, all) = (self.what, places.len());
            note!("{done} of {all} embeddings of the {what} were kept: going on there");
        }
        let ran = embedder.utterances(done..places.len(), &open, &mut taking);
        ran.map_err(|e| match taking.kept.file() {
            Some(path) => e.and(&format!(
                "what was done before is in {}: the same command goes on there",
                path.display()
            )),
            None => e,
        })?;
        if let Some(padding) = embedder.padding() {
            note!("{padding}");
        }
        let unprinted = taking.warnings.unprinted();
        if unprinted > 0 {
            errln!("warning: {unprinted} more warnings of recordings");
        }
        Ok(taking.embedded)
    }
}

/// A model's calibration, if it fits scores that are cosines.
fn usable(header: &Header) -> Result<Calibration, String> {
    let calibration = header.scoring.calibration.clone().ok_or(
        "holds no calibration, and two models' scores have one scale only when they are \
         calibrated: `revox calibrate` stores one",
    )?;
    if !calibration.fitted.cosines {
        return Err("its calibration is not one of cosines, which a cascade has".into());
    }
    let made = Made::cosines(header.scoring.embedding_mean.as_deref());
    if let Err(error) = calibration.fitted.check_scores(&made) {
        return Err(format!("its calibration does not fit the mean that the model holds: {error}"));
    }
    if calibration.weighs(Quantity::Cohort) {
        return Err("its calibration weighs cosines with a cohort, which a cascade has not".into());
    }
    Ok(calibration)
}

/// Takes embeddings as they come.
struct Taking<'a, 'k> {
    named: &'a Named,
    mean: Option<Vec<f64>>,
    progress: Progress,
    warnings: Warnings,
    kept: &'a mut Kept<'k>,
    embedded: Embedded,
}

impl Taking<'_, '_> {
    /// Takes what is known of a recording, by its number among those that are asked for.
    fn push(&mut self, i: usize, entry: &Entry) -> Result<()> {
        self.progress.add(1);
        let Entry { seconds, speech, row } = entry;
        let id = self.named.recordings().id(self.embedded.places[i]);
        if row.iter().any(|x| !x.is_finite()) {
            return Err(Error::Undefined(format!("the embedding of `{id}` is not finite")));
        }
        self.embedded.rows.push(id, row)?;
        self.embedded.evidence.push(evidence(*speech, row, self.mean.as_deref()));
        self.embedded.seconds.push(*seconds);
        Ok(())
    }
}

impl Receiver for Taking<'_, '_> {
    fn take(&mut self, i: usize, result: Result<(Facts, Vec<f32>)>) -> Result<()> {
        let (list, place) = (self.named.recordings(), self.embedded.places[i]);
        let (facts, row) = result.map_err(|e| list.at(place, e, false))?;
        let name = list.shown(place);
        if facts.silent {
            self.warnings.add(&format!("{name}: silent; its embedding tells nothing"));
        }
        for warning in &facts.warnings {
            self.warnings.add(&format!("{name}: {warning}"));
        }
        let entry = Entry { seconds: facts.seconds, speech: facts.quality.speech_seconds, row };
        self.push(i, &entry)?;
        self.kept.add(&entry);
        Ok(())
    }

    fn reached(&mut self, _: usize) -> Result<()> {
        self.kept.keep()
    }
}

/// What a calibration may weigh of a recording with so many seconds of speech.
fn evidence(speech: f64, row: &[f32], mean: Option<&[f64]>) -> Evidence {
    let norm = Some(Evidence::norm_of(row, mean));
    Evidence { seconds: Some(speech), norm, cohort: None }
}
