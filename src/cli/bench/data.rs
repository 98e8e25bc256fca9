//! `revox bench data`.

use std::path::PathBuf;

use super::show;
use crate::backend::BackendKind;
use crate::bench::{DataBench, Figure, data};
use crate::cli::Global;
use crate::cli::train::{named, with_init};
use crate::cli::values::counted;
use crate::error::{Error, Result};
use crate::memory::nvidia;
use crate::terminal::{note, outln};
use crate::train::Recipe;

/// Training examples a second: reading, decoding, augmentation, features; the loader as a whole;
/// and whether a training step of the recipe's network would wait for it.
///
/// Where the device makes the features (data.features), that is part of the step.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox bench data recipes/voxceleb/resnet.toml --backend cuda
  revox bench data recipes/voxceleb/resnet.toml --backend cuda --large-margin
  revox bench data recipes/voxceleb/resnet.toml --no-step --set data.threads=16
  revox bench data recipes/voxceleb/fine-tune.toml --init model.safetensors")]
pub(super) struct Args {
    /// The recipe (TOML).
    recipe: PathBuf,
    /// Examples that are made, once by one thread and once by the recipe's threads.
    #[arg(long, default_value_t = 2000)]
    examples: usize,
    /// Do not time a training step. On a CPU a step of a large network takes minutes.
    #[arg(long)]
    no_step: bool,
    /// Measure the second phase of the recipe (large_margin) in the place of the first.
    #[arg(long)]
    large_margin: bool,
    /// The model that the training begins with (init of the recipe). The recipe takes its network
    /// and front-end.
    #[arg(long)]
    init: Option<PathBuf>,
    /// Change a value of the recipe: `--set data.threads=8` (repeatable).
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(args: &Args, global: &Global, report: &mut dyn FnMut(&str)) -> Result<()> {
    let mut recipe = Recipe::load_from(&args.recipe, named(&args.set), args.init.as_deref())
        .map_err(with_init)?;
    recipe.seed = global.seed.unwrap_or(recipe.seed);
    let recipe = match (recipe.second_phase(), args.large_margin) {
        (Some(second), true) => second,
        (None, true) => {
            return Err(Error::file(&args.recipe, "has no second phase (large_margin)"));
        }
        (Some(second), false) => {
            let frames = second.data.frames;
            note!("the second phase has crops of {frames} frames: --large-margin measures it");
            recipe
        }
        (None, false) => recipe,
    };
    let bench = DataBench {
        recipe,
        examples: args.examples,
        step: !args.no_step,
        backend: global.backend,
        nvidia: (global.backend == BackendKind::Cuda).then(|| nvidia(global.device)),
    };
    let figures = data(&bench, &global.open()?, report)?;
    show(&figures, global, || {
        figures.iter().for_each(|f| outln!("{:24} {:14.3} {}", f.name, f.value, f.unit));
        if let Some(verdict) = verdict(&figures) {
            outln!("{verdict}");
        }
    })
}

/// Whether training steps wait for their examples, where a step was timed.
fn verdict(figures: &[Figure]) -> Option<String> {
    let figure = |name: &str| figures.iter().find(|f| f.name == name);
    let (loader, step) = (figure("data/loader")?, figure("data/step")?);
    let (made, taken, threads) = (loader.value, step.value, counted(loader.threads, "thread"));
    let makes = if loader.threads == 1 { "makes" } else { "make" };
    Some(match made >= taken {
        true => {
            let times = made / taken;
            format!("{threads} {makes} {times:.1} times what steps take: they do not wait")
        }
        false => {
            let times = taken / made;
            format!("steps take {times:.1} times what {threads} {makes}: they wait (data.threads)")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_wait_if_they_take_more_than_is_made() {
        let figure = |name: &str, value: f64, threads: usize| Figure {
            name: name.to_owned(),
            value,
            unit: "examples/s",
            backend: "cpu",
            threads,
        };
        let said = |made: f64, taken: f64, threads: usize| {
            verdict(&[figure("data/step", taken, 2), figure("data/loader", made, threads)])
        };
        let wanted = "4 threads make 2.5 times what steps take: they do not wait";
        assert_eq!(said(500.0, 200.0, 4).as_deref(), Some(wanted));
        let wanted = "steps take 3.0 times what 1 thread makes: they wait (data.threads)";
        assert_eq!(said(100.0, 300.0, 1).as_deref(), Some(wanted));
        assert_eq!(verdict(&[figure("data/loader", 1.0, 1)]), None);
    }
}
