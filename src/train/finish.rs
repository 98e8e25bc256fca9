//! The end of a run: the final model, its error rates, the last files.

use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::TensorData;

use super::checkpoint::{Average, State};
use super::classes::HeadMatch;
use super::dev_set::DevResult;
use super::launch::Trained;
use super::ranks::{by_first, is_alone, of_first};
use super::strategy::{Loop, MODEL, Progressing};
use super::{Recipe, RunOptions, Trainee};
use crate::backend::collective::Communicator;
use crate::error::Result;
use crate::fs;
use crate::model_file::{Model, read_head};
use crate::nn::assign_named;
use crate::scoring::{Cost, Curve, DetPlot, Interval, PRIORS, bootstrap, det_svg};

/// The DET curve of the final model.
pub(super) const DET: &str = "det.svg";
/// Replicates of the bootstrap interval.
const REPLICATES: usize = 1000;

/// The outcome of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The model file.
    pub model: PathBuf,
    /// The DET curve.
    pub det: PathBuf,
    /// Equal error rate of the final model on the dev trials.
    pub eer: f64,
    /// Its 95 % interval.
    pub eer_ci95: Option<Interval>,
    /// Normalised minDCF at 0.01 and 0.05.
    pub min_dcf: [f64; 2],
    /// Dev trials that were left out of these rates, since their audio cannot be used.
    pub trials_left_out: usize,
    /// Recordings of training and dev tests that the run left out, since their audio cannot be
    /// used: why, one line for each. Only rank 0 knows them.
    pub left_out: Vec<String>,
    /// Epoch of the best dev EER.
    pub best_epoch: usize,
    /// Number of epochs whose weights are averaged. With 1 the model is that of the best epoch.
    pub averaged: usize,
    /// Number of epochs.
    pub epochs: usize,
    /// Why nothing was left to train, if a run that had ended was resumed.
    pub ended: Option<String>,
    /// Classes that the head took over from the model that the run began with, or from a checkpoint
    /// of other classes.
    pub head: Option<HeadMatch>,
    /// The first phase, if this is the report of a second one.
    pub first: Option<Box<Report>>,
    /// Two recordings of one speaker to compare.
    pub example: Option<(PathBuf, PathBuf)>,
    /// Wall-clock seconds of this call.
    pub seconds: f64,
}

impl Report {
    /// The report of a rank that has tested nothing.
    fn untested(recipe: &Recipe, options: &RunOptions, trained: &Trained, begun: Instant) -> Self {
        Self {
            model: options.out.join(MODEL),
            det: options.out.join(DET),
            eer: f64::NAN,
            eer_ci95: None,
            min_dcf: [f64::NAN; 2],
            trials_left_out: 0,
            left_out: trained.left_out.clone(),
            best_epoch: 0,
            averaged: recipe.train.average_last,
            epochs: 0,
            ended: trained.ended.clone(),
            head: trained.head.clone(),
            first: None,
            example: trained.dev.example_pair(),
            seconds: begun.elapsed().as_secs_f64(),
        }
    }

    /// The same with the numbers of rank 0.
    fn with_numbers_of_first(self, ranks: &dyn Communicator) -> Result<Self> {
        let [low, high] = self.eer_ci95.map_or([f64::NAN; 2], |ci| [ci.low, ci.high]);
        let [a, b] = self.min_dcf;
        let counts = [self.trials_left_out, self.best_epoch, self.epochs].map(|n| n as f64);
        let [left_out, best_epoch, epochs] = counts;
        let ours = [self.eer, low, high, a, b, left_out, best_epoch, epochs];
        let [eer, low, high, a, b, counts @ ..] = of_first(ranks, ours)?;
        let [trials_left_out, best_epoch, epochs] = counts.map(|n| n as usize);
        let eer_ci95 = (!low.is_nan()).then_some(Interval { low, high });
        let min_dcf = [a, b];
        Ok(Self { eer, eer_ci95, min_dcf, trials_left_out, best_epoch, epochs, ..self })
    }
}

/// Chooses the final model, measures it, and writes the last files. Rank 0 does so, and the others
/// wait for its numbers.
///
/// # Errors
/// A model that cannot be read, tested or written.
pub(super) fn finish(
    recipe: &Recipe,
    options: &RunOptions,
    trained: Trained,
    begun: Instant,
) -> Result<Report> {
    let ranks = &*options.ranks;
    if is_alone(ranks) {
        return measured(recipe, options, trained, begun);
    }
    let untested = Report::untested(recipe, options, &trained, begun);
    let report = by_first(ranks, || measured(recipe, options, trained, begun))?;
    report.unwrap_or(untested).with_numbers_of_first(ranks)
}

/// Chooses the final model, measures it, and writes the last files.
fn measured(
    recipe: &Recipe,
    options: &RunOptions,
    trained: Trained,
    begun: Instant,
) -> Result<Report> {
    let Trained { last, run, dev, head, ended, left_out } = trained;
    let path = options.out.join(MODEL);
    let left = run.progress.lock().expect("no holder panics").take();
    let Progressing { average, state, .. } = left.expect("the loop leaves its progress");
    // A run that had ended has its model, unless it was cut off on its way here.
    let finished = match &ended {
        Some(_) if path.exists() => Some(Model::load(&path, &options.device)?).filter(is_finished),
        _ => None,
    };
    let is_finished = finished.is_some();
    let mut model = match finished {
        Some(model) => model,
        None => {
            choose(&run, last, average, &state)?;
            Model::load(&path, &options.device)?
        }
    };
    let tested = dev.test(&model.network, &options.device)?;
    let DevResult { eer, min_dcf, scored, left_out: trials_left_out } = tested;
    let curve = Curve::new(scored.iter().map(|s| (s.0, s.1)))?;
    let intervals = bootstrap(&scored, &PRIORS, REPLICATES, recipe.seed, &|| ()).ok();
    let best_epoch = state.best.map_or(state.epoch - 1, |b| b.1);
    if !is_finished {
        let trained = if recipe.train.average_last > 1 { state.epoch - 1 } else { best_epoch };
        complete(&mut model, &path, trained * run.steps, &curve)?;
    }
    let det = options.out.join(DET);
    let costs = PRIORS.map(Cost::at_prior);
    let plot = DetPlot { title: "dev trials", intervals: intervals.as_ref(), costs: &costs };
    fs::write_bytes(&det, det_svg(&curve, &plot)?.as_bytes())?;
    Ok(Report {
        model: path,
        det,
        eer,
        eer_ci95: intervals.map(|i| i.eer),
        min_dcf,
        trials_left_out,
        left_out,
        best_epoch,
        averaged: recipe.train.average_last,
        epochs: state.epoch - 1,
        ended,
        head,
        first: None,
        example: dev.example_pair(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Writes the model file of a mean. The model of the best epoch is in the file already, unless it
/// is lost: then no epoch is left to find another one, and the last network takes its place.
fn choose(run: &Loop, last: Trainee, average: Average, state: &State) -> Result<()> {
    if run.recipe.train.average_last > 1 {
        return run.save_model(&averaged(last, average, state.averaged), 0);
    }
    match state.best {
        Some(_) => Ok(()),
        None => run.save_model(&last, state.epoch - 1),
    }
}

/// Adds steps and thresholds, known only at the end, to a run's model file.
fn complete(model: &mut Model, path: &Path, steps: usize, curve: &Curve) -> Result<()> {
    if let Some(training) = &mut model.header.training {
        training.steps = steps as u64;
    }
    model.header.scoring.set_thresholds(curve);
    // The head is in the file already.
    let head = read_head(path)?;
    model.save(path, head)
}

/// Whether a model file is complete. Until the end of its run, its number of steps is 0.
fn is_finished(model: &Model) -> bool {
    model.header.training.as_ref().is_some_and(|training| training.steps > 0)
}

/// The mean of weights over epochs. `sums` holds their sums.
fn averaged(trainee: Trainee, sums: Average, epochs: usize) -> Trainee {
    let n = epochs.max(1) as f32;
    let mean = sums.into_iter().map(|(name, sum)| {
        let shape = sum.shape().to_vec();
        let values: Vec<f32> = sum.iter::<f32>().map(|x| x / n).collect();
        (name, TensorData::new(values, shape))
    });
    assign_named(trainee, mean.collect())
}
