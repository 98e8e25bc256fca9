//! The quality of recordings that a calibration weighs beside the score.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::kind::Kind;
use crate::archive::input_files;
use crate::cli::cohort;
use crate::cli::eval::sides::{BySide, Named};
use crate::cli::values::{misuse, within};
use crate::corpus::read_utt2dur;
use crate::error::{Error, Result};
use crate::scoring::{
    AsNorm, Column, Embeddings, Evidence, Norm, OtherScores, Quantity, Scorer, parse_columns,
};

/// Columns of a calibration. (A bare list would be several values for clap.)
#[derive(Debug, Clone)]
pub(super) struct Quality(Vec<Column>);

fn quality(text: &str) -> Result<Quality> {
    parse_columns(text).map(Quality)
}

fn seconds(text: &str) -> Result<f64, String> {
    within(text, 0.01..=1e6, "0.01 to 1000000 seconds are possible")
}

fn top(text: &str) -> Result<usize, String> {
    let top: usize = text.parse().map_err(|_| format!("`{text}` is not a whole number"))?;
    if top >= 2 { Ok(top) } else { Err("2 or more are wanted".into()) }
}

/// What is weighed, and where it is found.
#[derive(Debug, clap::Args)]
pub(super) struct Sources {
    /// Weigh the quality of both sides too: `wespeaker-qmf`, `wespeaker-qmf-nodur`, or columns
    /// `FOLD-QUANTITY` with commas between them. FOLD is min, max, difference or ratio, QUANTITY is
    /// seconds, norm or cohort.
    #[arg(long, value_name = "COLUMNS", value_parser = quality)]
    quality: Option<Quality>,
    /// Seconds of each utterance, `utterance seconds` a line, as in Kaldi's utt2dur. They should be
    /// seconds of speech, as `revox embed --speech` writes them. The model keeps their range, and
    /// verbs warn of shorter speech: too often, if these were of whole recordings.
    #[arg(long, value_name = "FILE")]
    durations: Option<PathBuf>,
    /// Utterances and models of more seconds count as this long.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "durations")]
    max_seconds: Option<f64>,
    /// Embeddings of the utterances, for norm and cohort.
    #[arg(long, requires = "quality")]
    embeddings: Option<PathBuf>,
    /// Embeddings of other speakers. For --quality, an utterance's cohort value is the mean of its
    /// largest cosines with them. For --scores-of, the cohort that the scores were normalised with:
    /// the calibration keeps its hash.
    #[arg(long)]
    cohort: Option<PathBuf>,
    /// Speakers of the cohort's utterances: the cohort is then one mean embedding a speaker, as
    /// with `revox score --utt2spk`.
    #[arg(long, value_name = "LIST", requires = "cohort")]
    cohort_utt2spk: Option<PathBuf>,
    /// The scores are less the mean of these embeddings, as `revox score --mean` made them. It is
    /// subtracted for norm and cohort of --quality too. The calibration keeps its hash: `compare`
    /// uses the calibration if the model holds that mean, or neither has one.
    #[arg(long, value_name = "EMBEDDINGS")]
    mean: Option<PathBuf>,
    /// How many of the largest cosines count, at most; for --scores-of, those of `revox score`.
    #[arg(long, default_value_t = 300, value_parser = top, requires = "cohort")]
    top_n: usize,
}

impl Sources {
    /// The columns that are weighed. The score is the first.
    pub(super) fn columns(&self) -> Vec<Column> {
        self.quality.as_ref().map_or_else(|| vec![Column::Score], |quality| quality.0.clone())
    }

    /// Whether any input names utterances by their ids.
    pub(super) fn has_ids(&self) -> bool {
        self.durations.is_some() || self.embeddings.is_some()
    }

    fn weighs(&self, quantity: Quantity) -> bool {
        self.columns().iter().any(|column| column.quantity() == Some(quantity))
    }

    /// What the scores are if they are no cosines, as far as it is known.
    pub(super) fn others(&self, kind: &Kind) -> Result<Option<OtherScores>> {
        kind.others(self.cohort.as_deref(), self.top_n, self.cohort_utt2spk.is_some())
    }

    /// The cohort that is weighed, if one is, told as normalisation by it.
    pub(super) fn measured(&self) -> Result<Option<OtherScores>> {
        if !self.weighs(Quantity::Cohort) {
            return Ok(None);
        }
        let averaged = self.cohort_utt2spk.is_some();
        OtherScores::normalised(Norm::As1, Some(self.top_n), self.cohort.as_deref(), averaged)
            .map(Some)
    }

    /// The mean that was subtracted, `[dim]`.
    pub(super) fn mean(&self) -> Result<Option<Vec<f64>>> {
        self.mean.as_deref().map(cohort::mean).transpose()
    }

    /// Refuses columns without a source and sources without a column. A cohort may also be that of
    /// `normalised` scores.
    pub(super) fn check(&self, normalised: bool) -> Result<()> {
        let weighs = |quantity| self.weighs(quantity);
        let wants = |what: &str, option: &str| {
            Err(misuse(format!("--quality weighs {what}: give {option}")))
        };
        if weighs(Quantity::Seconds) && self.durations.is_none() {
            return wants("seconds", "--durations");
        }
        if weighs(Quantity::Norm) && self.embeddings.is_none() {
            return wants("norms", "--embeddings");
        }
        if weighs(Quantity::Cohort) && (self.cohort.is_none() || self.embeddings.is_none()) {
            return wants("a cohort", "--embeddings and --cohort");
        }
        if self.cohort.is_some() && !weighs(Quantity::Cohort) && !normalised {
            return Err(misuse(
                "--cohort: no column of --quality weighs it, and --scores-of names no form of \
                 normalisation (as1, s, ...)",
            ));
        }
        if self.embeddings.is_some() && !weighs(Quantity::Norm) && !weighs(Quantity::Cohort) {
            return Err(misuse("--embeddings: no column of --quality weighs them"));
        }
        Ok(())
    }

    /// The files that are read.
    pub(super) fn inputs(&self) -> Vec<PathBuf> {
        let embeddings = [&self.embeddings, &self.cohort, &self.mean].into_iter().flatten();
        let embeddings = embeddings.flat_map(|path| input_files(path));
        let lists = [&self.durations, &self.cohort_utt2spk].into_iter().flatten();
        embeddings.chain(lists.cloned()).collect()
    }

    /// What is known of the words of a score file. Models have the seconds of all their utterances,
    /// and no embeddings. `mean` is subtracted from those of utterances and cohort.
    pub(super) fn evidence(
        &self,
        named: &Named,
        mean: Option<Vec<f64>>,
    ) -> Result<BySide<Evidence>> {
        let seconds = self.durations.as_deref().map(|path| seconds_of(named, path)).transpose()?;
        let mut evidence = vec![Evidence::default(); named.count()];
        if let Some(path) = &self.embeddings {
            let embeddings = Embeddings::load(path)?;
            let mut order: Vec<usize> = (0..embeddings.len()).collect();
            order.sort_unstable_by_key(|&i| embeddings.id(i));
            let ids: Vec<&str> = order.iter().map(|&i| embeddings.id(i)).collect();
            let places = named.places(path, &ids)?;
            let places: Vec<usize> = places.into_iter().map(|place| order[place]).collect();
            self.measure(&mut evidence, path, &embeddings, &places, mean)?;
        }
        let Some(seconds) = seconds else { return Ok(BySide::of_words(evidence)) };
        let most = self.max_seconds.unwrap_or(f64::INFINITY);
        seconds.map(&mut |word, seconds| {
            Ok(Evidence { seconds: Some(seconds.min(most)), ..evidence[word] })
        })
    }

    /// Adds the norms, and the means of the largest cosines with the cohort.
    fn measure(
        &self,
        evidence: &mut [Evidence],
        path: &Path,
        embeddings: &Embeddings,
        places: &[usize],
        mean: Option<Vec<f64>>,
    ) -> Result<()> {
        let at_fault = |path: &Path| {
            let path = path.to_owned();
            move |e: Error| Error::file(&path, e.to_string())
        };
        let scorer = Scorer::for_places(embeddings, mean.clone(), places.iter().copied())
            .map_err(at_fault(path))?;
        for (side, &place) in evidence.iter_mut().zip(places) {
            side.norm = Some(Evidence::norm_of(embeddings.row(place), mean.as_deref()));
        }
        let Some(path) = self.cohort.as_ref().filter(|_| self.weighs(Quantity::Cohort)) else {
            return Ok(());
        };
        let cohort = cohort::load(path, self.cohort_utt2spk.as_deref())?;
        if cohort.dim() != embeddings.dim() {
            let (found, wanted) = (cohort.dim(), embeddings.dim());
            let message = format!("has {found} values an embedding, the utterances {wanted}");
            return Err(Error::file(path, message));
        }
        let cohort = Scorer::new(&cohort, mean).map_err(at_fault(path))?;
        let norm = AsNorm::new(&cohort, self.top_n).map_err(at_fault(path))?;
        evidence.par_iter_mut().zip(places).for_each(|(side, &place)| {
            side.cohort = Some(norm.statistics(&scorer.unit(place)).mean);
        });
        Ok(())
    }
}

/// The seconds of utterances, and of models.
fn seconds_of(named: &Named, path: &Path) -> Result<BySide<f64>> {
    let mut list = read_utt2dur(path)?;
    list.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let ids: Vec<&str> = list.iter().map(|(id, _)| id.as_str()).collect();
    let of_model = |_: usize, places: &[usize]| -> Result<f64> {
        Ok(places.iter().map(|&place| list[place].1).sum())
    };
    named.look_up::<f64>(path, &ids, &|_| None, &|place| list[place].1, &of_model)
}
