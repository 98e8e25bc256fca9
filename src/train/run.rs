//! A training run from recipe to model file.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::LearningRateMetric;
use burn::train::renderer::MetricsRenderer;
use burn::train::{Interrupter, Learner, SupervisedTraining, TrainingStrategy};
use sha2::{Digest, Sha256};

use super::checkpoint::{self, Average, State};
use super::dev_set::{DevLoader, DevResult, DevSet};
use super::parts::Parts;
use super::renderer::Lines;
use super::strategy::{CHECKPOINT, Loop, METRICS, MODEL, Progressing};
use super::{Loader, Recipe, TrainSet, Trainee, trial_metric};
use crate::backend::quietly;
use crate::corpus::{Corpus, synth};
use crate::error::{Error, Result};
use crate::fs;
use crate::memory::{Setting, failure};
use crate::model_file::{Header, Model, NamedTensors, Training, read_head};
use crate::nn::assign_named;
use crate::quant::Quantizer;
use crate::scoring::{Curve, Interval, bootstrap, det_svg};
use crate::zoo::Network;

/// The recipe as it was run.
const LOCK: &str = "recipe.lock.toml";
/// The curve of the final model.
const DET: &str = "det.svg";
/// Replicates behind the interval.
const REPLICATES: usize = 1000;

/// How to run.
pub struct RunOptions {
    /// Folder of the run.
    pub out: PathBuf,
    /// Go on with the checkpoint in it.
    pub resume: bool,
    /// Where tensors live.
    pub device: Device,
    /// Further devices that a batch is divided among.
    pub others: Vec<Device>,
    /// Bytes that were free on the device when the run began, where its driver tells.
    pub free: Option<u64>,
    /// Set from outside to stop after the current step.
    pub stop: Arc<AtomicBool>,
    /// No progress.
    pub quiet: bool,
    /// Show burn-train's dashboard (needs the feature `tui` and a terminal).
    pub dashboard: bool,
    /// Where warnings go.
    pub warn: Arc<dyn Fn(&str) + Send + Sync>,
}

/// What came out.
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
    /// Epoch of the best dev EER.
    pub best_epoch: usize,
    /// Epochs run.
    pub epochs: usize,
    /// Two recordings of one speaker to compare.
    pub example: Option<(PathBuf, PathBuf)>,
    /// Wall-clock seconds of this call.
    pub seconds: f64,
}

/// Where a run begins, if not at random weights.
pub struct Start {
    /// A network with weights.
    pub network: Network,
    /// Its head's tensors, as model files name them; without them, or with another number of classes, the head starts anew.
    pub head: NamedTensors,
    /// What it is quantized by while it trains.
    pub quantizer: Option<Quantizer>,
    /// Names the weights: a run can be resumed from the same ones only.
    pub hash: String,
}

impl Start {
    /// The weights of a model file, with its header.
    ///
    /// # Errors
    /// A file that is no model, or a packed one, of which the weights are lost.
    pub fn load(path: &Path, device: &Device) -> Result<(Self, Header)> {
        let model = Model::load(path, device)?;
        if !model.header.quantization.is_empty() {
            return Err(Error::file(path, "is quantized; the model it was made of is wanted"));
        }
        let hash = Sha256::digest(fs::read(path)?).iter().map(|b| format!("{b:02x}")).collect();
        let head = read_head(path)?;
        Ok((Self { network: model.network, head, quantizer: None, hash }, model.header))
    }
}

/// A section that this way of training would not use.
fn without_quantizer(recipe: &Recipe) -> Result<()> {
    match recipe.quantize {
        Some(_) => {
            Err(Error::invalid("the recipe has a section [quantize], which `revox quantize MODEL --recipe` uses"))
        }
        None => Ok(()),
    }
}

/// Trains a new network.
pub fn train(recipe: &Recipe, options: &RunOptions) -> Result<Report> {
    without_quantizer(recipe)?;
    run(recipe, options, None)
}

/// Trains a network further, perhaps through a quantizer: then the run's model is a packed one.
pub fn fine_tune(recipe: &Recipe, options: &RunOptions, start: Start) -> Result<Report> {
    if start.quantizer.is_none() {
        without_quantizer(recipe)?;
    }
    let stages = start.quantizer.as_ref().map_or(1, Quantizer::stages);
    if stages > recipe.train.epochs {
        return Err(Error::Invalid(format!(
            "{stages} stages need as many epochs; train.epochs = {}",
            recipe.train.epochs
        )));
    }
    let last = (1..=recipe.train.epochs)
        .filter(|&e| start.quantizer.as_ref().is_none_or(|q| q.stage(e, recipe.train.epochs) + 1 == stages))
        .count();
    if recipe.train.average_last > last {
        return Err(Error::Invalid(format!(
            "train.average_last = {}: the last stage has {last} epochs",
            recipe.train.average_last
        )));
    }
    run(recipe, options, Some(start))
}

fn run(recipe: &Recipe, options: &RunOptions, start: Option<Start>) -> Result<Report> {
    let begun = Instant::now();
    let out = &options.out;
    let checkpoint_path = out.join(CHECKPOINT);
    check_folder(out, options.resume, &checkpoint_path)?;
    if let Some(config) = &recipe.data.synth {
        synth::ensure(config, options.quiet, &options.stop)?;
    }
    let set = TrainSet::new(recipe, options.warn.clone())?;
    let dev = Arc::new(DevSet::new(recipe)?);
    for speaker in set.corpus().lone_speakers().into_iter().take(10) {
        (options.warn)(&format!(
            "speaker `{speaker}` has a single utterance: the network can only learn its recording"
        ));
    }
    let batch_size = recipe.train.batch_size;
    let steps = Loader::steps(&set, batch_size);
    if steps == 0 {
        let message = format!("{} training examples do not fill one batch of {batch_size}", set.len());
        return Err(Error::file(&recipe.data.train, message));
    }
    let devices = std::iter::once(&options.device).chain(&options.others).cloned().collect();
    let parts = Parts::new(devices, recipe.train.accumulate, batch_size)?;
    let data_hash = hash_data(&[set.corpus(), dev.corpus()], &recipe.data.trials)?;
    let mut identity = identity(recipe);
    let mut trainee = Trainee::new(&recipe.model, &recipe.loss, set.classes(), &options.device, recipe.seed)?;
    let mut quantizer = None;
    let precision = recipe.train.precision;
    if let Some(start) = start {
        identity.push_str(&format!("\n# begins with {}\n", start.hash));
        trainee = trainee.starting_with(start.network, start.head, &*options.warn)?;
        if let Some(q) = &start.quantizer {
            if !precision.is_default() {
                return Err(Error::invalid("train.precision: quantized weights are trained in f32"));
            }
            trainee.network = q.attach(trainee.network)?;
        }
        quantizer = start.quantizer;
    }
    trainee.network = precision.apply(trainee.network, &options.device)?;
    let trainee = trainee.with_execution(recipe.train.execution)?;
    let (trainee, optimizer, average, state) = if options.resume {
        let loaded = checkpoint::load(&checkpoint_path, trainee, &recipe.optimizer)?;
        if loaded.3.recipe != identity {
            return Err(Error::file(
                &checkpoint_path,
                format!("belongs to another recipe; the one it was made with is {}", out.join(LOCK).display()),
            ));
        }
        if loaded.3.data_hash != data_hash {
            return Err(Error::file(&checkpoint_path, "the lists or audio files have changed since this checkpoint"));
        }
        loaded
    } else {
        (trainee, recipe.optimizer.init()?, Average::new(), State::start(identity, data_hash.clone()))
    };
    fs::create_dir_all(out)?;
    fs::write_bytes(out.join(LOCK), recipe.to_toml().as_bytes())?;
    trim_metrics(&out.join(METRICS), state.epoch)?;

    let mut header = Header::new(recipe.model.clone(), recipe.frontend());
    header.training = Some(Training {
        recipe: recipe.to_toml(),
        seed: recipe.seed,
        data_hash,
        steps: 0, // known at the end
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let (rate, margin) = (recipe.learning_rate(steps), recipe.margin(steps));
    // The loop takes each iteration's rate from the schedule; the learner only hands the model over.
    let first_rate = rate.at(0);
    let setting = Setting {
        arch: recipe.model.clone(),
        execution: recipe.train.execution,
        batch: batch_size.div_ceil(parts.count()),
        frames: recipe.data.frames,
        speakers: set.classes(),
        optimizer: recipe.optimizer.clone(),
    };
    let start = state.position();
    let threads = recipe.data.threads;
    let loader = Arc::new(Loader::new(Arc::new(set), batch_size, threads, margin, start));
    let strategy = Arc::new(Loop {
        recipe: recipe.clone(),
        out: out.clone(),
        header: header.clone(),
        rate,
        steps,
        stop: options.stop.clone(),
        warn: options.warn.clone(),
        quantizer,
        parts,
        progress: Mutex::new(Some(Progressing { optimizer: optimizer.clone(), average, state })),
        outcome: Mutex::new(Ok(())),
    });
    let interrupter = Interrupter::new();
    let training = SupervisedTraining::new(out, loader, Arc::new(DevLoader(dev.clone())))
        .with_interrupter(interrupter.clone())
        .renderer(renderer(options, &interrupter, start.epoch))
        .with_application_logger(None)
        .with_metric_logger(InMemoryMetricLogger::default())
        .metric_train_numeric(trial_metric::loss())
        .metric_train_numeric(trial_metric::accuracy())
        .metric_train_numeric(trial_metric::margin())
        .metric_train_numeric(LearningRateMetric::new())
        .metric_valid_numeric(trial_metric::eer())
        .metric_valid_numeric(trial_metric::min_dcf())
        .num_epochs(recipe.train.epochs)
        .checkpoint(start.epoch - 1)
        .with_training_strategy(TrainingStrategy::Custom(strategy.clone()));
    let learner = Learner::new(trainee.train(), optimizer, first_rate);
    let result = quietly(|| training.launch(learner)).map_err(|panic| {
        let failed = failure(&panic, &setting, options.free);
        match checkpoint_path.exists() {
            true => Error::Backend(format!("{failed}. Go on from {} with --resume", checkpoint_path.display())),
            false => failed,
        }
    })?;
    let last = result.model;
    std::mem::replace(&mut *strategy.outcome.lock().expect("no holder panics"), Ok(()))?;
    finish(recipe, options, &strategy, &dev, last, begun)
}

/// Chooses the final model, measures it, and writes what is left to write.
fn finish(
    recipe: &Recipe,
    options: &RunOptions,
    run: &Loop,
    dev: &DevSet,
    last: Trainee,
    begun: Instant,
) -> Result<Report> {
    let out = &options.out;
    let path = out.join(MODEL);
    let (last, _, average, state) = checkpoint::load(&out.join(CHECKPOINT), last, &recipe.optimizer)?;
    let mut trainee = last;
    if recipe.train.average_last > 1 {
        let n = state.averaged.max(1) as f32;
        let mean = average.into_iter().map(|(name, sum)| {
            let shape = sum.shape().to_vec();
            let values: Vec<f32> = sum.iter::<f32>().map(|x| x / n).collect();
            (name, burn::tensor::TensorData::new(values, shape))
        });
        trainee = assign_named(trainee, mean.collect());
        run.save_model(&trainee)?;
    }
    let mut model = Model::load(&path, &options.device)?;
    let DevResult { eer, min_dcf, scored } = dev.test(&model.network, &options.device)?;
    let curve = Curve::new(scored.iter().map(|s| (s.0, s.1)))?;
    let eer_ci95 = bootstrap(&scored, &[], REPLICATES, recipe.seed, &|| ()).ok().map(|i| i.eer);
    let best_epoch = state.best.map_or(0, |b| b.1);
    if let Some(training) = &mut model.header.training {
        let trained = if recipe.train.average_last > 1 { state.epoch - 1 } else { best_epoch };
        training.steps = (trained * run.steps) as u64;
    }
    model.header.scoring.threshold_eer = Some(curve.eer().threshold);
    model.header.scoring.thresholds = [0.1, 0.05, 0.01, 0.001]
        .map(|far| (far, curve.at_far(far).threshold))
        .into_iter()
        .filter(|t| t.1.is_finite())
        .collect();
    // The head is in the file already; keep it.
    let head = read_head(&path)?;
    model.save(&path, head)?;
    let det = out.join(DET);
    fs::write_bytes(&det, det_svg(&curve, "dev trials")?.as_bytes())?;
    Ok(Report {
        model: path,
        det,
        eer,
        eer_ci95,
        min_dcf,
        best_epoch,
        epochs: state.epoch - 1,
        example: dev.example_pair(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// The dashboard where it is wanted, lines elsewhere.
#[cfg_attr(not(feature = "tui"), allow(unused_variables, reason = "only the dashboard can interrupt"))]
fn renderer(options: &RunOptions, interrupter: &Interrupter, epoch: usize) -> Box<dyn MetricsRenderer> {
    #[cfg(feature = "tui")]
    if options.dashboard {
        use burn::train::renderer::tui::TuiMetricsRendererWrapper;
        return Box::new(TuiMetricsRendererWrapper::new(interrupter.clone(), Some(epoch - 1)));
    }
    Box::new(Lines::new(options.quiet))
}

/// A folder that holds another run is not written into.
fn check_folder(out: &Path, resume: bool, checkpoint: &Path) -> Result<()> {
    if out.exists() && !out.is_dir() {
        return Err(Error::file(out, "is a file, not a folder for a run"));
    }
    // A run that failed before its first checkpoint leaves its recipe and perhaps an empty log: nothing to lose.
    let harmless = |e: &std::fs::DirEntry| {
        let empty_log = e.file_name() == METRICS && e.metadata().is_ok_and(|m| m.len() == 0);
        e.file_name() == LOCK || empty_log
    };
    let mut occupied = false;
    if out.is_dir() {
        for entry in std::fs::read_dir(out).map_err(|e| Error::io(out, "read", e))? {
            occupied |= !harmless(&entry.map_err(|e| Error::io(out, "read", e))?);
        }
    }
    match (resume, occupied, checkpoint.exists()) {
        (false, true, _) => Err(Error::file(out, "holds another run; go on with it (--resume) or name another folder")),
        (true, _, false) => Err(Error::file(checkpoint, "no checkpoint to resume from")),
        _ => Ok(()),
    }
}

/// The recipe without what does not change the result.
fn identity(recipe: &Recipe) -> String {
    let mut same = recipe.clone();
    (same.data.threads, same.data.cache_mib, same.train.execution) = (1, 0, None);
    same.to_toml()
}

/// SHA-256 over the lists and the sizes of the files they name.
fn hash_data(corpora: &[&Corpus], trials: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for corpus in corpora {
        for u in &corpus.utterances {
            let size = std::fs::metadata(&u.path).map_err(|e| Error::io(&u.path, "read", e))?.len();
            hash.update(format!("{} {} {} {size}\n", u.id, u.listed, corpus.speakers[u.speaker]));
        }
    }
    hash.update(fs::read(trials)?);
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Drops what an interrupted epoch, about to be repeated, has logged.
fn trim_metrics(path: &Path, epoch: usize) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(path)?;
    let keep = |line: &&str| {
        serde_json::from_str::<serde_json::Value>(line)
            .is_ok_and(|v| v["epoch"].as_u64().is_some_and(|e| e < epoch as u64))
    };
    let kept: String = text.lines().filter(keep).map(|l| format!("{l}\n")).collect();
    fs::write_bytes(path, kept.as_bytes())
}
