//! `revox train`.

mod checkpoints;
mod link;
mod report;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burn::tensor::Device;

pub(super) use self::checkpoints::spans;
use self::link::{Link, linked};
use self::report::show;
use super::departing::end_work;
use super::values::{counted, misuse, within};
use super::{Global, signals};
use crate::backend::collective::{self, Communicator, agree};
use crate::backend::largest_allocation;
use crate::corpus::shards::SCANNING;
use crate::error::{Error, Result};
use crate::memory::{Setting, advised, page, refuse_too_large, too_large};
use crate::nn::Precision;
use crate::progress::reporting;
use crate::terminal::{errln, note};
use crate::train::{Changes, Recipe, RunOptions, train};

/// Train a network by a recipe, testing on the dev trials after each epoch.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox train recipes/quickstart.toml
  revox train recipes/quickstart.toml --resume
  revox train recipes/quickstart.toml --resume --set train.epochs=40
  revox train recipes/quickstart.toml --out runs/short --set train.epochs=2
  revox train recipes/voxceleb/fine-tune.toml --init model.safetensors
  revox train recipes/voxceleb/resnet.toml --backend cuda --devices 0,1
  revox train recipes/voxceleb/resnet.toml --backend cuda --precision f16
  mpirun -n 4 revox train recipes/voxceleb/resnet.toml --timeout 2
  srun revox train recipes/voxceleb/resnet.toml --backend cuda --link nccl")]
pub struct Args {
    /// The recipe (TOML).
    recipe: PathBuf,
    /// Folder of the run; `runs/<recipe's name>` unless given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on with the checkpoint in the folder. With more epochs (`--set train.epochs=N`) a run
    /// that had ended goes on too; the learning rate is then that of a run of so many epochs.
    #[arg(long)]
    resume: bool,
    /// With --resume: go on although NAME has changed since the checkpoint. NAME is `backend`,
    /// `data.train`, `margin.last`, ... (repeatable). With other speakers in data.train, rows of
    /// the head go by their names.
    #[arg(long, value_name = "NAME", requires = "resume")]
    accept: Vec<String>,
    /// Hash every byte of the data, so that a resumed run notices files of other content. Without
    /// this, it compares lists, sizes and times.
    #[arg(long)]
    verify_data: bool,
    /// Begin with the weights of this model (init of the recipe). The recipe takes its network and
    /// front-end.
    #[arg(long, value_name = "MODEL")]
    init: Option<PathBuf>,
    /// Divide each batch among these devices of the backend; the first one keeps the model and
    /// takes its steps. Of several processes on a machine (`mpirun`, `srun`), each takes the one at
    /// its place.
    #[arg(long, value_delimiter = ',', value_name = "N,N", conflicts_with = "device")]
    devices: Vec<usize>,
    /// Divide each batch into so many parts, one after another on each device: less memory
    /// (train.accumulate of the recipe).
    #[arg(long, value_name = "N")]
    accumulate: Option<usize>,
    /// What convolutions compute in, where the device has it (train.precision of the recipe;
    /// `revox doctor` lists what each device has). Weights, BatchNorm, head, loss and optimizer
    /// stay f32. f16 scales the loss.
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// Change a value of the recipe: `--set train.epochs=3` (repeatable).
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Of several processes (`mpirun`, `srun`): how long one waits for another before it gives up,
    /// in minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 5.0, value_parser = minutes)]
    timeout: f64,
    /// Of several processes: what sums their gradients. `nccl` needs the backend cuda and a GPU for
    /// each; its sums are not those of mpi to the last bit.
    #[arg(long, value_enum, default_value = "mpi")]
    link: Link,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let options = collective::Options { timeout: Duration::from_secs_f64(60.0 * args.timeout) };
    let ranks = collective::connect(&options)?;
    match linked(args.link, &ranks, &args.devices, global, &options) {
        Ok(ranks) => end_work(ranks.clone(), run_among(args, global, &ranks)),
        Err(error) => end_work(ranks, Err(error)),
    }
}

/// Trains as one of these ranks.
fn run_among(args: &Args, global: &Global, ranks: &Arc<dyn Communicator>) -> Result<()> {
    let free = global.free();
    let (recipe, options) = agree(&**ranks, planned(args, global, ranks, free))?;
    let report = train(&recipe, &options).map_err(|e| {
        // The folder of the second phase is there as soon as it begins.
        let second = recipe.second_phase().filter(|_| options.second_out().exists());
        let recipe = second.as_ref().unwrap_or(&recipe);
        let parts = [ranks.size(), 1 + options.others.len()];
        with_advice(e, recipe, global, parts, free)
    })?;
    if ranks.rank() == 0 {
        show(&report, global);
    }
    Ok(())
}

/// The recipe with its changes, and how to run it.
fn planned(
    args: &Args,
    global: &Global,
    ranks: &Arc<dyn Communicator>,
    free: Option<u64>,
) -> Result<(Recipe, RunOptions)> {
    let mut others = global.open_all(&devices_of(&args.devices, &**ranks)?)?;
    let device = others.remove(0);
    let mut changes = args.set.clone();
    changes.extend(args.accumulate.map(|n| format!("train.accumulate={n}")));
    changes.extend(args.precision.map(|p| format!("train.precision=\"{}\"", p.name())));
    let mut recipe = Recipe::load_from(&args.recipe, named(&changes), args.init.as_deref())
        .map_err(with_init)?;
    if let Some(seed) = global.seed {
        recipe.seed = seed;
    }
    if ranks.rank() == 0 {
        warn_of_warm_up(&recipe);
    }
    let stem = args.recipe.file_stem().unwrap_or_default();
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(stem));
    let stop = signals::watch()?;
    let warnings: Mutex<BTreeSet<String>> = Mutex::default();
    let warn = move |text: &str| {
        if warnings.lock().expect("no holder panics").insert(text.to_owned()) {
            errln!("warning: {text}");
        }
    };
    let devices: Vec<&Device> = std::iter::once(&device).chain(&others).collect();
    // Both phases, before the first step.
    let second = recipe.second_phase();
    let of_second = |e: Error| e.retold(|text| Error::Invalid(format!("large_margin: {text}")));
    let parts = [ranks.size(), devices.len()];
    let planned_spans = |recipe: &Recipe| spans(recipe, global, parts, ranks.rank() == 0);
    let first_spans = planned_spans(&recipe)?;
    let second_spans = second.as_ref().map(planned_spans).transpose().map_err(of_second)?.flatten();
    let page = plan_memory(&recipe, global, &devices, ranks.size(), free)?;
    let second_page = match &second {
        Some(second) => {
            plan_memory(second, global, &devices, ranks.size(), free).map_err(of_second)?
        }
        None => None,
    };
    let options = RunOptions {
        page,
        second_page,
        spans: first_spans,
        second_spans,
        out,
        resume: args.resume,
        accept: args.accept.clone(),
        verify_data: args.verify_data,
        backend: global.backend.name().to_owned(),
        device,
        others,
        ranks: ranks.clone(),
        stop,
        quiet: global.quiet,
        dashboard: dashboard(global.quiet),
        warn: Arc::new(warn),
        note: Arc::new(|text: &str| note!("{text}")),
    };
    Ok((recipe, options))
}

/// Warns where a phase ends before its learning rate has warmed up.
fn warn_of_warm_up(recipe: &Recipe) {
    let second = recipe.second_phase();
    for (recipe, section) in [(Some(recipe), "schedule"), (second.as_ref(), "large_margin")] {
        let Some(recipe) = recipe else { continue };
        let (warm_up, epochs) = (recipe.schedule.warm_up_epochs, recipe.train.epochs);
        if warm_up > epochs as f64 {
            let epochs = counted(epochs, "epoch");
            errln!(
                "warning: the learning rate warms up for {warm_up} epochs, in a training of \
                 {epochs}: it does not reach {section}.initial_lr ({section}.warm_up_epochs)"
            );
        }
    }
}

/// The devices of this rank. Of several ranks on a machine, each has one of `--devices` of its own.
pub(super) fn devices_of(devices: &[usize], ranks: &dyn Communicator) -> Result<Vec<usize>> {
    if ranks.size() == 1 || devices.is_empty() {
        return Ok(devices.to_vec());
    }
    let place = ranks.local_rank();
    devices.get(place).map(|&device| vec![device]).ok_or_else(|| {
        misuse(format!(
            "--devices names {}; each rank of a machine takes one, and this is its rank {place}, \
             counted from 0",
            counted(devices.len(), "device")
        ))
    })
}

/// The value of `--timeout`.
pub(super) fn minutes(text: &str) -> Result<f64, String> {
    within(text, 0.01..=1e4, "minutes, from 0.01 to 10000")
}

/// Changes of a recipe, as errors name them.
pub(super) fn named(changes: &[String]) -> Changes<'_> {
    Changes::named(changes, "--set")
}

/// The error of a training by so many ranks with so many devices each. Where memory was short, it
/// says what would fit. `free` is what was free on the first device when the run began.
pub(super) fn with_advice(
    error: Error,
    recipe: &Recipe,
    global: &Global,
    parts: [usize; 2],
    free: Option<u64>,
) -> Error {
    if !matches!(error.bare(), Error::OutOfMemory { .. }) {
        return error;
    }
    // Lists that cannot be read any more only cost the advice.
    let Ok(setting) = setting(recipe, parts, global) else { return error };
    advised(error, &setting, global.backend, free)
}

/// Refuses a training of so many ranks whose steps need more memory than the first device's driver
/// says is free. What steps in another precision than f32 take is not known, so it only warns of
/// those. Says how large pages are best on a GPU.
pub(super) fn plan_memory(
    recipe: &Recipe,
    global: &Global,
    devices: &[&Device],
    ranks: usize,
    free: Option<u64>,
) -> Result<Option<u64>> {
    let Some(most) = largest_allocation(devices[0]) else { return Ok(None) };
    // A corpus that is yet to be made has no lists.
    let Ok(setting) = setting(recipe, [ranks, devices.len()], global) else { return Ok(None) };
    if free.is_some() {
        // A dry run drops launches, so none may be waiting.
        devices.iter().try_for_each(|d| d.sync().map_err(|e| Error::Backend(e.to_string())))?;
        let precision = recipe.train.precision;
        if precision.is_default() {
            refuse_too_large(&setting, global.backend, free)?;
        } else if let Some(text) = too_large(&setting, global.backend, free)? {
            let name = precision.name();
            errln!(
                "warning: the device may have too little memory. The figures are those of f32, \
                 not of {name}: {text}"
            );
        }
    }
    // Activations of 16 bits need other pages.
    match recipe.train.precision {
        Precision::Bf16 | Precision::F16 => Ok(None),
        Precision::F32 | Precision::Tf32 => page(&setting, global.backend, most),
    }
}

/// The step of a recipe's training by so many ranks with so many devices each.
fn setting(recipe: &Recipe, [ranks, devices]: [usize; 2], global: &Global) -> Result<Setting> {
    Setting::of(recipe, ranks, devices, &reporting(SCANNING, global.quiet))
}

/// Says, where a recipe names no network, that it may be a recipe for training a model further.
pub(super) fn with_init(error: Error) -> Error {
    const HINT: &str = "; or train a model further: --init MODEL";
    let lacks_network = |message: &str| message.contains("missing field `model`");
    match error {
        Error::Line { path, line, message } if lacks_network(&message) => {
            Error::line(path, line, message + HINT)
        }
        Error::File { path, message } if lacks_network(&message) => {
            Error::file(path, message + HINT)
        }
        other => other,
    }
}

/// Whether to show the dashboard: it needs a terminal, and has to be compiled in.
fn dashboard(quiet: bool) -> bool {
    let terminal = || std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    cfg!(feature = "tui")
        && !quiet
        && terminal()
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::collective::{Alone, threads};

    #[test]
    fn each_rank_of_a_machine_has_a_device_of_its_own() {
        assert_eq!(devices_of(&[2, 5], &Alone).unwrap(), [2, 5]);
        let ranks = threads::all(3);
        assert!(devices_of(&[], &*ranks[2]).unwrap().is_empty());
        let own = |rank: usize| devices_of(&[4, 7], &*ranks[rank]);
        assert_eq!((own(0).unwrap(), own(1).unwrap()), (vec![4], vec![7]));
        let error = own(2).unwrap_err().to_string();
        assert!(error.contains("names 2 devices"), "{error}");
    }
}
