//! `revox quantize`.

mod activations;
mod report;
mod training;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::ValueEnum;

use self::activations::Calibrating;
use self::report::{Packed, show, show_frontier, show_kept};
use self::training::train;
use super::embed::List;
use super::train::named;
use super::values::{bits, bytes, misuse, misused, path, svg};
use super::{Global, outputs};
use crate::error::Result;
use crate::fs;
use crate::model_file::{self, Model, NamedTensors, Scoring};
use crate::progress::Progress;
use crate::quant::{Method, QuantizeConfig};
use crate::terminal::note;
use crate::train::quantize::{Judge, layers, outline, quantize};
use crate::train::{Recipe, Start};

/// Make a packed model of few bits a weight: at once, or by training through the quantizer. Make a
/// model that computes in integers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox quantize model.safetensors --method mixed --pareto sizes.svg \\
      --recipe recipes/voxceleb/fine-tune.toml
  revox quantize model.safetensors --method mixed --target-size 1.9MB \\
      --recipe recipes/voxceleb/fine-tune.toml -o small.safetensors
  revox quantize model.safetensors --activations int8 --calibrate wav.scp \\
      -o fast.safetensors
  revox quantize model.safetensors --bits 4 --activations int8 \\
      --calibrate wav.scp -o both.safetensors
  revox quantize model.safetensors --bits 4 -o small.safetensors")]
pub struct Args {
    /// The model, with f32 weights. With --activations alone they may be packed.
    model: PathBuf,
    /// Method; the recipe's, or kmeans.
    #[arg(long, value_enum)]
    method: Option<Method>,
    /// Bits of a weight, 1 to 8 (kmeans); the recipe's, or 4.
    #[arg(long, value_parser = bits)]
    bits: Option<usize>,
    /// Size of the file that `--method mixed` makes: bytes, or with kB, MB, KiB, MiB.
    #[arg(long, value_parser = bytes)]
    target_size: Option<usize>,
    /// A recipe to train by, through the quantizer. Its section [quantize] holds further choices.
    #[arg(long)]
    recipe: Option<PathBuf>,
    /// Change a value of the recipe, or without one of the defaults: `--set
    /// quantize.small_layers=fewer-bits` (repeatable).
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder for the training's checkpoint and log. Without it they are in `OUT` with the ending
    /// `.run` until the packed model is written.
    #[arg(long, requires = "recipe")]
    run: Option<PathBuf>,
    /// Go on with the checkpoint in that folder.
    #[arg(long, requires = "recipe")]
    resume: bool,
    /// With --resume: go on although NAME has changed since the checkpoint, as for `revox train`
    /// (repeatable).
    #[arg(long, value_name = "NAME", requires = "resume")]
    accept: Vec<String>,
    /// Instead of quantizing: print every size that mixed precision can reach best, and plot them
    /// to this file (SVG).
    #[arg(long, conflicts_with_all = ["bits", "target_size", "run"], value_parser = path(svg))]
    pareto: Option<PathBuf>,
    #[command(flatten)]
    calibrating: Calibrating,
    /// The packed model.
    #[arg(long, short, required_unless_present = "pareto")]
    output: Option<PathBuf>,
}

impl Args {
    /// The flags as changes of a recipe.
    fn changes(&self) -> Vec<String> {
        let mut changes = self.set.clone();
        let mut set = |key: &str, value: Option<String>| {
            changes.extend(value.map(|v| format!("quantize.{key}={v}")))
        };
        let method = if self.pareto.is_some() { Some(Method::Mixed) } else { self.method };
        set("method", method.and_then(|m| Some(m.to_possible_value()?.get_name().to_owned())));
        set("bits", self.bits.map(|b| b.to_string()));
        // The method insists on a target. The frontier has every size up to it.
        set(
            "target_bytes",
            self.target_size
                .or(self.pareto.as_ref().map(|_| usize::MAX >> 1))
                .map(|t| t.to_string()),
        );
        changes
    }

    /// The folder of the training: the one given, or one beside the output.
    fn run_folder(&self) -> Option<PathBuf> {
        let beside = || Some(self.output.as_ref()?.with_extension("run"));
        self.recipe.as_ref().and_then(|_| self.run.clone().or_else(beside))
    }

    /// Whether nothing says what weights should become.
    fn keeps_weights(&self) -> bool {
        let none = self.method.is_none() && self.bits.is_none() && self.target_size.is_none();
        none && self.recipe.is_none() && self.set.is_empty()
    }

    /// Refuses, before any work, outputs that cannot be written, or that are inputs: so are the
    /// utterances of a calibration.
    fn check_files(&self, calibration: Option<&List>) -> Result<()> {
        let [drawn, models] = [&self.pareto, &self.output]
            .map(|output| output.iter().map(PathBuf::as_path).collect::<Vec<&Path>>());
        let utterances = calibration.map(List::inputs).unwrap_or_default();
        let named = self.recipe.iter().chain([&self.model]).map(PathBuf::as_path);
        let inputs: Vec<&Path> = named.chain(utterances.iter().map(|path| &**path)).collect();
        outputs::check_with_models(&drawn, &models, &inputs)?;
        if let Some(output) = &self.output {
            fs::check_ending(output, &["safetensors"])?;
        }
        match (self.run_folder(), &self.output) {
            (Some(folder), Some(output)) if folder == *output => Err(misused(
                output,
                "is the folder of the training too; choose another name for the model, or give \
                 --run FOLDER",
            )),
            _ => Ok(()),
        }
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if args.pareto.is_some() && args.method.is_some_and(|m| m != Method::Mixed) {
        return Err(misuse("--pareto is of --method mixed"));
    }
    let list = args.calibrating.list()?;
    args.check_files(list.as_ref())?;
    let device = global.open()?;
    if let (Some(list), true) = (&list, args.keeps_weights()) {
        return keep_weights(args, list, &device, global);
    }
    let (start, header) = Start::load(&args.model, &device)?;
    let model = Model { header, network: start.network.clone() };
    let changes = args.changes();
    let mut recipe = match &args.recipe {
        Some(path) => Some(Recipe::load_for(path, named(&changes), &model.header)?),
        None => None,
    };
    if let (Some(recipe), Some(seed)) = (&mut recipe, global.seed) {
        recipe.seed = seed;
    }
    let config = match &recipe {
        Some(recipe) => recipe.quantize.clone().unwrap_or_default(),
        None => QuantizeConfig::changed(named(&changes))?,
    };
    config.check()?;
    if args.bits.is_some() && !config.method.has_bits() {
        return Err(misuse(
            "--bits is of --method kmeans; mixed has --target-size, the binary ones have one bit",
        ));
    }
    if recipe.is_none() {
        config.check_without_training()?;
    }
    // Utterances are read before any work, since they may be wrong.
    let calibrator = match &list {
        Some(list) => Some(args.calibrating.read(list, &model, global)?),
        None => None,
    };
    let judge = match &recipe {
        Some(recipe) if config.needs_loss() => {
            Some(Judge::new(recipe, &model, start.head.clone(), &device, global.quiet)?)
        }
        _ => None,
    };
    let progress = RefCell::new(Progress::new(
        "probing",
        config.sensitivity.probes,
        global.quiet || judge.is_none(),
    ));
    let mut done = |_: usize, _: f64| progress.borrow_mut().add(1);
    if let Some(plot) = &args.pareto {
        let layers = layers(&model, &config, &config.candidates, judge.as_ref(), &mut done)?;
        drop(progress);
        return show_frontier(&model, &config, &layers, plot, global);
    }
    let output = args.output.as_ref().expect("clap asks for it");
    let outline = outline(&model, &config, judge.as_ref(), recipe.as_ref(), &mut done)?;
    drop(progress);
    for (name, planned) in outline.quantizer.plan() {
        if planned.scheme.bits < config.bits && config.method.has_bits() {
            note!("{name} has too few weights for {} bits: {}", config.bits, planned.scheme.bits);
        }
    }
    if model.header.activations.is_some() && calibrator.is_none() {
        note!(
            "the packed model computes activations in f32: the model's ranges are those of its own \
             weights; --activations finds new ones"
        );
    }
    let calibrator = calibrator.as_ref();
    let (packed, report, calibration) = match &recipe {
        None => {
            note_scoring(&model, "the packed model", "the f32 model");
            let mut packed = quantize(&model, &outline.quantizer, &device)?;
            let calibration = calibrator.map(|c| c.calibrate(&mut packed)).transpose()?;
            packed.save(output, NamedTensors::default())?;
            (packed, None, calibration)
        }
        Some(recipe) => {
            let start = Start { quantizer: Some(outline.quantizer.clone()), ..start };
            let (packed, report, calibration) =
                train(args, global, recipe, start, &device, calibrator)?;
            if calibration.is_some() {
                note_scoring(&packed, "the model", "activations in f32");
            }
            (packed, Some(report), calibration)
        }
    };
    if calibration.is_some() && config.target_bytes.is_some() {
        note!("the size that was asked for is that of the file without ranges of activations");
    }
    let (report, calibration) = (report.as_ref(), calibration.as_ref());
    let made = Packed { model: &packed, layers: &outline.layers, report, calibration };
    show(&made, output, global)
}

/// Gives the model ranges of activations, and leaves everything else as it is.
fn keep_weights(args: &Args, list: &List, device: &Device, global: &Global) -> Result<()> {
    let output = args.output.as_ref().expect("clap asks for it");
    let file = model_file::open(&args.model)?;
    let (mut model, head) = Model::with_head(&args.model, file, device)?;
    let calibration = args.calibrating.read(list, &model, global)?.calibrate(&mut model)?;
    let bytes = model.to_bytes(output, head)?;
    fs::write_bytes(output, &bytes)?;
    note_scoring(&model, "the model", "activations in f32");
    show_kept(&model, &calibration, bytes.len(), output, global)
}

/// Says that what decides in `what` was measured on scores of `before`.
fn note_scoring(model: &Model, what: &str, before: &str) {
    let Scoring { threshold_eer, thresholds, named_thresholds, calibration, .. } =
        &model.header.scoring;
    let has_thresholds =
        threshold_eer.is_some() || !thresholds.is_empty() || !named_thresholds.is_empty();
    match (has_thresholds, calibration.is_some()) {
        (false, false) => {}
        (true, false) => note!(
            "thresholds in {what} are those of {before}; `revox eval --save-threshold` stores its \
             own"
        ),
        (false, true) => {
            note!("the calibration in {what} is that of {before}; `revox calibrate` finds its own")
        }
        (true, true) => note!(
            "thresholds and calibration in {what} are those of {before}; `revox eval \
             --save-threshold` and `revox calibrate` find its own"
        ),
    }
}
