//! A recipe: everything a training run depends on, as TOML. Unknown keys are errors; so are
//! impossible values.

mod differences;
mod every;
mod ranges;
mod role;
mod sections;
mod text;

pub use every::Every;
pub use sections::{
    AugmentConfig, DataConfig, FrontendConfig, MarginConfig, ScheduleConfig, TrainConfig,
};

pub(super) use differences::differing;
pub(super) use role::{CHANGEABLE, Role, is_within, role_of};

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue, ValueDeserializer};

use self::differences::{differences, without};
use self::role::NEUTRAL;
use self::text::Text;
use super::OptimizerConfig;
use super::schedule::{ExponentialDecrease, MarginSchedule};
use crate::error::{Error, Result};
use crate::fs;
use crate::losses::HeadConfig;
use crate::model_file::{Frontend, Header};
use crate::quant::QuantizeConfig;
use crate::zoo::Architecture;

/// The whole recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Seed of everything random.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// What is trained on and tested on.
    pub data: DataConfig,
    /// From samples to features.
    #[serde(default)]
    pub frontend: FrontendConfig,
    /// How utterances are varied.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// The network.
    pub model: Architecture,
    /// The classification head.
    #[serde(default)]
    pub loss: HeadConfig,
    /// The margin over time.
    #[serde(default)]
    pub margin: MarginConfig,
    /// The optimizer: a name, or a section whose `kind` is `sgd` unless it is given.
    #[serde(default, deserialize_with = "super::optimizer::name_or_table")]
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// Epochs, batches, stopping, checkpoints.
    #[serde(default)]
    pub train: TrainConfig,
    /// How a trained network is quantized; for `revox quantize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantize: Option<QuantizeConfig>,
}

fn default_seed() -> u64 {
    42
}

impl Recipe {
    /// Reads a recipe and applies `key=value` changes (keys dotted: `train.epochs=3`).
    ///
    /// # Errors
    /// Text that is not TOML, unknown keys, impossible values: with the key, and with the line
    /// where the text has it.
    pub fn load(path: impl AsRef<Path>, changes: &[String]) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&fs::read_to_string(path)?, path, changes)
    }

    /// [`Recipe::load`] of text; `path` appears in errors.
    ///
    /// # Errors
    /// Those of [`Recipe::load`].
    pub fn parse(text: &str, path: &Path, changes: &[String]) -> Result<Self> {
        Self::read(Text::parse(text, path)?, changes)
    }

    fn read<'t>(mut text: Text<'t>, changes: &'t [String]) -> Result<Self> {
        changes.iter().try_for_each(|change| text.set(change))?;
        text.values::<Self>()?.completed().map_err(|fault| text.fault(fault.key, fault.message))
    }

    /// A recipe for training a model further: network and front-end are the model's, and need not
    /// be given.
    ///
    /// # Errors
    /// Those of [`Recipe::load`]; another network or front-end than the model's.
    pub fn load_for(path: impl AsRef<Path>, changes: &[String], header: &Header) -> Result<Self> {
        let path = path.as_ref();
        let source = fs::read_to_string(path)?;
        let bad = |e: toml::ser::Error| Error::file(path, e.to_string());
        let sections = toml::Table::from_iter([
            ("model".to_owned(), toml::Value::try_from(&header.arch).map_err(bad)?),
            (
                "frontend".to_owned(),
                toml::Value::try_from(FrontendConfig::of(&header.frontend)).map_err(bad)?,
            ),
        ]);
        let sections = toml::to_string(&sections).map_err(bad)?;
        let mut text = Text::parse(&source, path)?;
        text.complete_with(&sections)?;
        let recipe = Self::read(text, changes)?;
        if recipe.model != header.arch {
            let other = differences(&recipe.model, &header.arch);
            return Err(Error::file(
                path,
                format!("[model] is not that of the model to start with: {other}"),
            ));
        }
        if recipe.frontend() != header.frontend {
            let other = differences(&recipe.frontend(), &header.frontend);
            return Err(Error::file(
                path,
                format!("the front-end is not that of the model to start with: {other}"),
            ));
        }
        Ok(recipe)
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is plain data")
    }

    /// The recipe as TOML, without what does not change the result of a run.
    pub(super) fn decisive(&self) -> String {
        without(&self.to_toml(), &NEUTRAL)
    }

    /// Fills what depends on other values, and refuses what is impossible together. Each number
    /// alone is in its range already.
    fn completed(mut self) -> Result<Self, Fault> {
        if let Some(synth) = &self.data.synth {
            synth.check().map_err(Fault::of("data.synth"))?;
            let default = |path: &mut PathBuf, name: &str| {
                if path.as_os_str().is_empty() {
                    *path = synth.out.join(name);
                }
            };
            default(&mut self.data.train, "train");
            default(&mut self.data.dev, "dev");
        }
        let bad = |key: &'static str, message: String| Err(Fault { key, message });
        if self.data.train.as_os_str().is_empty() || self.data.dev.as_os_str().is_empty() {
            return bad("data", "data.train and data.dev must be given (or data.synth)".into());
        }
        if self.data.trials.as_os_str().is_empty() {
            self.data.trials = self.data.dev.join("trials.txt");
        }
        let speeds = &self.data.speeds;
        if !speeds.contains(&1.0) {
            return bad("data.speeds", "data.speeds must hold 1.0".into());
        }
        if speeds.iter().enumerate().any(|(i, s)| speeds[..i].contains(s)) {
            return bad("data.speeds", "data.speeds holds a speed twice".into());
        }
        let [low, high] = self.augment.noise_snr;
        if low > high {
            return bad(
                "augment.noise_snr",
                format!("augment.noise_snr = [{low}, {high}]: lowest first"),
            );
        }
        if self.margin.fix_start_epoch < self.margin.increase_start_epoch {
            return bad(
                "margin.fix_start_epoch",
                "margin: increase_start_epoch <= fix_start_epoch".into(),
            );
        }
        self.check_train()?;
        self.model.check().map_err(Fault::of("model"))?;
        self.frontend().fbank.check().map_err(Fault::of("frontend"))?;
        if self.train.execution.is_some() && self.model.reversible_type().is_none() {
            let name = &self.model.name;
            let message = format!(
                "train.execution is a choice of reversible networks: rev1-{name} or rev2-{name}"
            );
            return bad("train.execution", message);
        }
        self.optimizer.init().map_err(Fault::of("optimizer"))?;
        if let Some(quantize) = &self.quantize {
            quantize.check().map_err(Fault::of("quantize"))?;
        }
        // The number of speakers is known later; settings that fail for any number fail here.
        self.loss.check(usize::MAX).map_err(Fault::of("loss"))?;
        Ok(self)
    }

    fn check_train(&self) -> Result<(), Fault> {
        let train = &self.train;
        let bad = |key: &'static str, message: String| Err(Fault { key, message });
        if train.average_last > train.epochs {
            let (n, epochs) = (train.average_last, train.epochs);
            return bad(
                "train.average_last",
                format!("train.average_last = {n}: there are {epochs} epochs"),
            );
        }
        if train.patience > 0 && train.average_last > 1 {
            let message =
                "train.patience stops early and average_last averages the last epochs: choose one";
            return bad("train.patience", message.into());
        }
        if train.patience > 0 && train.patience < train.validate_every {
            let (patience, every) = (train.patience, train.validate_every);
            let message = format!(
                "train.patience = {patience}: would end before the second test; validate_every = {every}"
            );
            return bad("train.patience", message);
        }
        if train.accumulate > 1 && train.batch_size < 2 * train.accumulate {
            let (n, size) = (train.accumulate, train.batch_size);
            let message =
                format!("train.accumulate = {n}: from 1 to half of train.batch_size = {size}");
            return bad("train.accumulate", message);
        }
        Ok(())
    }

    /// The front-end for the model file.
    pub fn frontend(&self) -> Frontend {
        let mut frontend = Frontend { cmn: self.frontend.cmn, ..Frontend::default() };
        frontend.fbank.sample_rate = self.frontend.sample_rate;
        frontend.fbank.window = self.frontend.window;
        frontend.fbank.dither = self.frontend.dither;
        frontend.fbank.mels = self.model.mels;
        frontend
    }

    /// The learning rate, with `steps` iterations an epoch.
    pub fn learning_rate(&self, steps: usize) -> ExponentialDecrease {
        let s = &self.schedule;
        ExponentialDecrease {
            initial: s.initial_lr,
            last: s.final_lr,
            iterations: self.train.epochs * steps,
            warm_up: (s.warm_up_epochs * steps as f64).round() as usize,
            scale_ratio: s.scale_ratio.unwrap_or(self.train.batch_size as f64 / 64.0),
            warm_from_zero: s.warm_from_zero,
        }
    }

    /// The margin, with `steps` iterations an epoch.
    pub fn margin(&self, steps: usize) -> MarginSchedule {
        let m = &self.margin;
        MarginSchedule {
            initial: m.initial,
            last: m.last,
            start: (m.increase_start_epoch - 1) * steps,
            fixed: (m.fix_start_epoch - 1) * steps,
            increase: m.increase,
        }
    }
}

/// What makes values impossible together, under the key that is to be changed.
struct Fault {
    key: &'static str,
    message: String,
}

impl Fault {
    /// What another module has found in a section.
    fn of(key: &'static str) -> impl Fn(Error) -> Self {
        move |error| Self { key, message: error.to_string() }
    }
}

impl QuantizeConfig {
    /// The defaults with `quantize.key=value` changes: a recipe's section without a recipe.
    ///
    /// # Errors
    /// A key of another section, an unknown one, an impossible value.
    pub fn changed(changes: &[String]) -> Result<Self> {
        let mut table = DeTable::new();
        changes.iter().try_for_each(|change| text::apply(&mut table, change))?;
        if let Some(other) = table.keys().find(|k| k.get_ref() != "quantize") {
            return Err(Error::Invalid(format!(
                "--set {other}: without a recipe only `quantize.*` has a meaning"
            )));
        }
        ranges::check(&table).map_err(|outside| Error::Invalid(outside.message))?;
        let section = table
            .remove("quantize")
            .unwrap_or_else(|| text::elsewhere(DeValue::Table(DeTable::new())));
        let config = Self::deserialize(ValueDeserializer::from(section))
            .map_err(|e| Error::Invalid(format!("quantize: {}", text::readable(&e))))?;
        config.check().map(|()| config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[data]\ntrain = \"a\"\ndev = \"b\"\n[model]\nname = \"resnet18\"\n";

    fn parse(text: &str, changes: &[&str]) -> Result<Recipe> {
        let changes: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
        Recipe::parse(text, Path::new("r.toml"), &changes)
    }

    #[test]
    fn a_recipe_survives_its_own_text() {
        let text = format!(
            "{SMALL}width = 8\n[optimizer]\nkind = \"adamw\"\n[loss.inter_topk]\nk = 3\n[augment.spec]\n"
        );
        let recipe = parse(&text, &["train.epochs=3", "margin.increase_start_epoch=1"]).unwrap();
        assert_eq!(recipe.train.epochs, 3);
        assert_eq!(recipe.data.trials, Path::new("b/trials.txt"));
        assert_eq!(parse(&recipe.to_toml(), &[]).unwrap(), recipe);
    }

    #[test]
    fn what_does_not_change_the_result_is_left_out() {
        let plain = parse(SMALL, &[]).unwrap();
        let neutral = [
            "data.threads=7",
            "data.cache_mib=9",
            "train.checkpoint_every=3 steps",
            "train.keep=8",
            "seed=18446744073709551615",
        ];
        let other = parse(SMALL, &neutral).unwrap();
        assert_ne!(other.to_toml(), plain.to_toml());
        let same = Recipe { seed: plain.seed, ..other.clone() };
        assert_eq!(same.decisive(), plain.decisive());
        for name in ["threads", "cache_mib", "checkpoint_every", "keep"] {
            assert!(
                other.to_toml().contains(name) && !other.decisive().contains(name),
                "{}",
                other.decisive()
            );
        }
        let back = parse(&other.decisive(), &[]).unwrap();
        assert_eq!(back, Recipe { seed: u64::MAX, ..plain });
        let taped = parse(SMALL, &["model.name=rev1-resnet18", "train.execution=taped"]).unwrap();
        assert!(taped.to_toml().contains("execution") && !taped.decisive().contains("execution"));
    }

    #[test]
    fn an_optimizer_is_a_name_or_a_table() {
        for name in OptimizerConfig::NAMES {
            let recipe = parse(SMALL, &[&format!("optimizer={name}")]).unwrap();
            assert_eq!(recipe.optimizer, OptimizerConfig::named(name).unwrap());
            assert_eq!(parse(&format!("optimizer = \"{name}\"\n{SMALL}"), &[]).unwrap(), recipe);
            assert_eq!(parse(&recipe.to_toml(), &[]).unwrap(), recipe);
        }
        let table = format!(
            "{SMALL}[optimizer]\nkind = \"adamw8bit\"\n[optimizer.states]\nblock_size = 2048\n"
        );
        let OptimizerConfig::AdamW8bit { states, guard: true, .. } =
            parse(&table, &[]).unwrap().optimizer
        else {
            panic!("another optimizer")
        };
        assert_eq!((states.block_size, states.min_size), (2048, 4096));
    }

    #[test]
    fn an_optimizer_without_a_kind_is_the_default_one() {
        let optimizer = |text: &str, changes: &[&str]| parse(text, changes).unwrap().optimizer;
        let ours = OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.01 };
        assert_eq!(optimizer(SMALL, &["optimizer.weight_decay=0.01"]), ours);
        assert_eq!(optimizer(&format!("{SMALL}[optimizer]\nweight_decay = 0.01\n"), &[]), ours);
        // A name is a section of that kind.
        let named = format!("optimizer = \"sgd8bit\"\n{SMALL}");
        let OptimizerConfig::Sgd8bit { weight_decay: 0.01, momentum: 0.9, .. } =
            optimizer(&named, &["optimizer.weight_decay=0.01"])
        else {
            panic!("another optimizer")
        };
        assert_eq!(
            optimizer(&named, &["optimizer.kind=adamw"]),
            OptimizerConfig::named("adamw").unwrap()
        );
        let error = parse(SMALL, &["optimizer.beta1=0.5"]).unwrap_err().to_string();
        assert!(error.contains("unknown field `beta1`"), "{error}");
        let error =
            parse(&format!("{SMALL}[optimizer]\nmomentun = 0.5\n"), &[]).unwrap_err().to_string();
        assert!(error.contains("r.toml:6: unknown field `momentun`"), "{error}");
    }

    #[test]
    fn a_seed_is_any_number_of_64_bits() {
        let recipe = parse(SMALL, &["seed=18446744073709551615"]).unwrap();
        assert_eq!(recipe.seed, u64::MAX);
        assert_eq!(parse(&recipe.to_toml(), &["train.epochs=150"]).unwrap(), recipe);
    }

    #[test]
    fn typos_and_impossible_values_are_errors_with_their_place() {
        let fails = |text: &str, changes: &[&str], wanted: &str| {
            let error = parse(text, changes).unwrap_err().to_string();
            assert!(
                error.contains(wanted) && error.contains("r.toml") | error.contains("--set"),
                "{error}"
            );
        };
        fails(&format!("{SMALL}widht = 8\n"), &[], "r.toml:6: unknown field `widht`");
        fails(&format!("{SMALL}[trian]\nepochs = 1\n"), &[], "unknown field `trian`");
        fails(&format!("{SMALL}width = \"wide\"\n"), &[], "r.toml:6:");
        fails(
            &format!("{SMALL}[schedule]\nscale_ratio = -1\n"),
            &[],
            "r.toml:7: schedule.scale_ratio = -1: must be",
        );
        fails(
            &format!("{SMALL}[margin]\nlast = nan\n"),
            &[],
            "r.toml:7: margin.last = nan: must be 0 to 1.5",
        );
        fails(
            &format!("{SMALL}[train]\nepochs = -1\n"),
            &[],
            "r.toml:7: train.epochs = -1: must be",
        );
        fails(
            &format!("{SMALL}[train]\nepochs = 2\naverage_last = 3\n"),
            &[],
            "r.toml:8: train.average_last = 3",
        );
        fails(
            &format!("{SMALL}[train]\nvalidate_every = 5\npatience = 2\n"),
            &[],
            "r.toml:8: train.patience = 2",
        );
        fails(&SMALL.replace("18", "19"), &[], "r.toml:4: no architecture `resnet19`");
        fails(SMALL, &["train.average_last=200"], "train.average_last = 200");
        fails("[data", &[], "r.toml:1:");
        fails(SMALL, &["model.name=resnet19"], "no architecture `resnet19`");
        fails(SMALL, &["train.batch_size=1"], "train.batch_size = 1");
        fails(SMALL, &["schedule.initial_lr=nan"], "schedule.initial_lr");
        fails(SMALL, &["augment.probability=1.5"], "augment.probability");
        fails(SMALL, &["data.speeds=[0.9]"], "data.speeds");
        fails(SMALL, &["loss.kind=softmax", "loss.sub_centers=3"], "softmax has no");
        fails(SMALL, &["optimizer.kind=sgd", "optimizer.momentum=2"], "momentum");
        fails(SMALL, &["optimizer.kind=lion"], "lion");
        fails(SMALL, &["optimizer=lion"], "lion");
        fails(SMALL, &["optimizer=8"], "the name of an optimizer");
        fails(&format!("{SMALL}[optimizer]\nkind = \"sgd8bit\"\nguard = true\n"), &[], "guard");
        fails(
            SMALL,
            &["optimizer.kind=adam8bit", "optimizer.states.block_size=100"],
            "block_size = 100",
        );
        fails(
            SMALL,
            &["optimizer.kind=adam8bit", "optimizer.states.rounding=up"],
            "sign-preserving",
        );
        fails(SMALL, &["optimizer.kind=adamw8bit", "optimizer.beta2=1.0"], "beta2 = 1");
        fails(SMALL, &["optimizer.kind=sgd8bit", "optimizer.momentum=0.0"], "momentum = 0");
        fails(
            SMALL,
            &["optimizer.kind=sgd8bit", "optimizer.dampening=0.1"],
            "nesterov with dampening",
        );
        fails(SMALL, &["train.execution=taped"], "rev1-resnet18");
        fails(SMALL, &["model.reversible.merge=mean"], "rev2-resnet18");
        let rev = |changes: &[&str], wanted| {
            fails(SMALL, &[&["model.name=rev1-resnet18"], changes].concat(), wanted)
        };
        rev(&["model.reversible.merge=sum"], "expected one of `mean`, `concat`, `project`");
        rev(&["model.reversible.width=3"], "unknown field `width`");
        rev(&["model.reversible.state=7"], "an even number is expected");
        rev(&["model.reversible.transition=block"], "streams = \"split\"");
        rev(&["model.reversible.inner=0.0"], "inner = 0");
        rev(
            &["model.name=rev2-resnet18", "model.reversible.transition=merged"],
            "Type II squeezes",
        );
        rev(
            &["model.name=rev1-df-resnet56", "model.reversible.transition=block"],
            "per-stream or merged",
        );
        rev(&["model.name=rev3-resnet18"], "no architecture `rev3-resnet18`");
        fails(SMALL, &["seed=2", "seed.x=1"], "`seed` is not a section");
        fails(SMALL, &["epochs"], "wanted key=value");
        fails("[data]\ntrain = \"a\"\n[model]\nname = \"resnet18\"\n", &[], "data.dev");
    }

    #[test]
    fn every_recipe_of_ours_is_one() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
        let files = walkdir::WalkDir::new(root).into_iter().map(|e| e.unwrap().into_path());
        let recipes: Vec<PathBuf> =
            files.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
        assert!(recipes.len() > 20, "{recipes:?}");
        for path in recipes {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            // What trains a model further names no network, it takes the model's.
            let longer = stem == "fine-tune";
            let changes = if longer { vec!["model.name=resnet18".into()] } else { Vec::new() };
            let recipe = Recipe::load(&path, &changes).unwrap();
            assert!(
                longer || !path.to_str().unwrap().contains("voxceleb") || recipe.model.name == stem,
                "{stem}"
            );
        }
    }

    #[test]
    fn schedules_take_epochs_to_iterations() {
        let changes = [
            "margin.initial=0.0",
            "margin.increase_start_epoch=2",
            "margin.fix_start_epoch=3",
            "train.epochs=4",
            "schedule.warm_up_epochs=1",
            "schedule.scale_ratio=1.0",
        ];
        let recipe = parse(SMALL, &changes).unwrap();
        let margin = recipe.margin(10);
        assert_eq!((margin.at(9), margin.at(20)), (0.0, 0.2));
        assert!(margin.at(15) > 0.0 && margin.at(15) < 0.2);
        let rate = recipe.learning_rate(10);
        assert_eq!(rate.at(0), 0.0);
        assert!((rate.at(40) - 5e-5).abs() < 1e-12);
    }
}
