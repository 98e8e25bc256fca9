//! `revox quantize`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use clap::ValueEnum;
use serde_json::json;

use super::train::{named, plan_memory, with_advice};
use super::values::bytes;
use super::{Global, info, shown, signals, tell, wants_svg};
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::{LayerSize, Model, NamedTensors, layer_sizes};
use crate::progress::Progress;
use crate::quant::{Method, QuantizeConfig, frontier_svg};
use crate::terminal::{errln, note, outln};
use crate::train::quantize::{Judge, Layer, frontier, layers, outline, quantize};
use crate::train::{Recipe, Report, RunOptions, Start, fine_tune};

/// Make a packed model of few bits a weight: at once, or by training through the quantizer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox quantize model.safetensors --method mixed --pareto sizes.svg \\
      --recipe recipes/voxceleb/fine-tune.toml
  revox quantize model.safetensors --method mixed --target-size 1.9MB \\
      --recipe recipes/voxceleb/fine-tune.toml -o small.safetensors
  revox quantize model.safetensors --bits 4 -o small.safetensors")]
pub struct Args {
    /// The model, with f32 weights.
    model: PathBuf,
    /// Method; the recipe's, or kmeans.
    #[arg(long, value_enum)]
    method: Option<Method>,
    /// Bits of a weight, 1 to 8 (kmeans); the recipe's, or 4.
    #[arg(long)]
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
    #[arg(long, conflicts_with_all = ["bits", "target_size", "run"])]
    pareto: Option<PathBuf>,
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

    /// Refuses, before any work, outputs that cannot be written.
    fn check_files(&self) -> Result<()> {
        let outputs: Vec<&Path> =
            self.output.iter().chain(&self.pareto).map(PathBuf::as_path).collect();
        let inputs: Vec<&Path> =
            self.recipe.iter().chain([&self.model]).map(PathBuf::as_path).collect();
        fs::check_outputs(&outputs, &inputs)?;
        self.pareto.as_ref().map_or(Ok(()), |plot| wants_svg("--pareto", plot))?;
        match (self.run_folder(), &self.output) {
            (Some(folder), Some(output)) if folder == *output => Err(Error::file(
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
        return Err(Error::invalid("--pareto is of --method mixed"));
    }
    args.check_files()?;
    let device = global.open()?;
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
        return Err(Error::invalid(
            "--bits is of --method kmeans; mixed has --target-size, the binary ones have one bit",
        ));
    }
    if recipe.is_none() {
        config.check_without_training()?;
    }
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
    let (packed, report) = match &recipe {
        None => {
            if model.header.scoring.threshold_eer.is_some() {
                note!(
                    "thresholds in the packed model are those of the f32 model; `revox eval` finds \
                     its own"
                );
            }
            let packed = quantize(&model, &outline.quantizer, &device)?;
            packed.save(output, NamedTensors::default())?;
            (packed, None)
        }
        Some(recipe) => {
            let start = Start { quantizer: Some(outline.quantizer.clone()), ..start };
            let (packed, report) = train(args, global, recipe, start, &device)?;
            (packed, Some(report))
        }
    };
    show(&model, &packed, output, &outline.layers, report.as_ref(), global)
}

/// Trains in the given folder, or in one beside the output, which is removed at the end.
fn train(
    args: &Args,
    global: &Global,
    recipe: &Recipe,
    start: Start,
    device: &Device,
) -> Result<(Model, Report)> {
    let output = args.output.as_ref().expect("clap asks for it");
    let out = args.run_folder().expect("a recipe is given");
    let free = global.free();
    let options = RunOptions {
        second_page: None,
        page: plan_memory(recipe, global, &[device], free)?,
        out: out.clone(),
        resume: args.resume,
        accept: args.accept.clone(),
        verify_data: false,
        backend: global.backend.name().to_owned(),
        device: device.clone(),
        others: Vec::new(),
        stop: signals::watch()?,
        quiet: global.quiet,
        dashboard: false,
        warn: Arc::new(|text: &str| errln!("warning: {text}")),
        note: Arc::new(|text: &str| note!("{text}")),
    };
    let report =
        fine_tune(recipe, &options, start).map_err(|e| with_advice(e, recipe, global, 1, free))?;
    let model = Model::load(&report.model, device)?;
    let kept = format!("the training is in {}; go on with --resume", out.display());
    model.save(output, NamedTensors::default()).map_err(|e| e.and(&kept))?;
    if args.run.is_none() {
        // Another process may have begun a run in it meanwhile.
        let removed = fs::Lock::take(&out).and_then(|_alone| fs::remove_dir_all(&out));
        if let Err(e) = removed {
            errln!(
                "warning: {e}; the model is written, and {} is not needed any more",
                out.display()
            );
        }
    }
    Ok((model, report))
}

fn show(
    model: &Model,
    packed: &Model,
    output: &Path,
    layers: &[Layer],
    report: Option<&Report>,
    global: &Global,
) -> Result<()> {
    let parameters = model.header.arch.layout()?.parameters();
    let sizes = layer_sizes(packed);
    let bytes: usize = sizes.iter().map(|l| l.bytes).sum();
    let file = packed.to_bytes(output, NamedTensors::default())?.len();
    let ratio = 4.0 * parameters as f64 / bytes as f64;
    let trace =
        |l: &LayerSize| layers.iter().find(|x| x.name == l.name).and_then(|x| x.trace.as_ref());
    if global.json {
        let mut all = info::as_json(packed, file as u64)?;
        all["ratio"] = json!(ratio);
        all["parameter_bytes"] = json!(bytes);
        for (row, size) in all["layers"].as_array_mut().into_iter().flatten().zip(&sizes) {
            if let Some(t) = trace(size) {
                row["mean_trace"] = json!({"mean": t.mean, "error": t.error, "probes": t.probes});
            }
        }
        if let Some(r) = report {
            all["eer"] = json!(r.eer);
            all["eer_ci95"] = json!(r.eer_ci95.map(|c| [c.low, c.high]));
            all["min_dcf"] = json!({"0.01": r.min_dcf[0], "0.05": r.min_dcf[1]});
        }
        tell(output, &all.to_string());
        return Ok(());
    }
    let is_packed = |l: &&LayerSize| packed.header.quantization.contains_key(&l.name);
    for layer in sizes.iter().filter(is_packed) {
        let trace = trace(layer)
            .map_or(String::new(), |t| format!("  mean trace {:.3e} ± {:.1e}", t.mean, t.error));
        let word = if layer.bits == 1 { "bit" } else { "bits" };
        tell(
            output,
            &format!("{:40} {:2} {word:4} {:9} bytes{trace}", layer.name, layer.bits, layer.bytes),
        );
    }
    let quantized: usize = sizes.iter().filter(is_packed).map(|l| l.bytes).sum();
    tell(output, &format!("{:40}         {:9} bytes", "everything else (f32)", bytes - quantized));
    let megabytes = |bytes: usize| 1e-6 * bytes as f64;
    let (before, after) = (megabytes(4 * parameters), megabytes(bytes));
    tell(output, &format!("parameters {before:.3} MB -> {after:.3} MB ({ratio:.2}x)"));
    if let Some(r) = report {
        let interval = r.eer_ci95.map_or(String::new(), |c| {
            format!(" (95 % interval {:.2} to {:.2} %)", 100.0 * c.low, 100.0 * c.high)
        });
        tell(output, &format!("dev EER {:.2} %{interval}", 100.0 * r.eer));
    }
    tell(output, &format!("{file} bytes in {}", output.display()));
    Ok(())
}

fn show_frontier(
    model: &Model,
    config: &QuantizeConfig,
    layers: &[Layer],
    plot: &Path,
    global: &Global,
) -> Result<()> {
    let points = frontier(model, config, layers)?;
    let line: Vec<(f64, f64)> = points.iter().map(|p| (p.bytes as f64 / 1e6, p.cost)).collect();
    fs::write_bytes(plot, frontier_svg(&line, &model.header.arch.name)?.as_bytes())?;
    if global.json {
        let names: Vec<&str> = layers.iter().map(|l| l.name.as_str()).collect();
        let points: Vec<_> = points
            .iter()
            .map(|p| {
                let (bytes, mean) = (p.bytes, p.mean_bits);
                json!({"bytes": bytes, "mean_bits": mean, "perturbation": p.cost, "bits": p.bits})
            })
            .collect();
        outln!("{}", json!({"layers": names, "points": points, "plot": shown(plot)}));
        return Ok(());
    }
    outln!(
        "{:>12} {:>10} {:>13}  bits of the layers, in the network's order",
        "bytes",
        "mean bits",
        "perturbation"
    );
    for p in &points {
        let bits: String = p.bits.iter().map(|b| char::from(b'0' + *b as u8)).collect();
        outln!("{:12} {:10.3} {:13.4e}  {bits}", p.bytes, p.mean_bits, p.cost);
    }
    outln!("plot {}", plot.display());
    Ok(())
}
