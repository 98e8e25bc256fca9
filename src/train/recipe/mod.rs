//! A recipe: everything a training run depends on, as TOML. Unknown keys are errors; so are
//! impossible values.

mod base;
mod budget;
mod changes;
mod check;
mod differences;
mod every;
mod large_margin;
mod named_parts;
mod ranges;
mod role;
mod sections;
mod text;

pub use budget::Budget;
pub use changes::Changes;
pub use every::Every;
pub use large_margin::LargeMarginConfig;
pub use sections::{
    AugmentConfig, DataConfig, FrontendConfig, MarginConfig, Place, ScheduleConfig, TrainConfig,
};

pub(super) use differences::{Difference, differing};
pub(super) use named_parts::longest;
pub(super) use role::{CHANGEABLE, Role, is_within, role_of};

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue, ValueDeserializer};

use self::base::Chain;
use self::differences::{differences, without};
use self::role::NEUTRAL;
use self::text::Text;
use super::OptimizerConfig;
use super::schedule::{ExponentialDecrease, MarginSchedule, Schedules};
use crate::error::{Error, Result};
use crate::fs;
use crate::losses::HeadConfig;
use crate::model_file::{Frontend, Header, read_header};
use crate::quant::QuantizeConfig;
use crate::zoo::Architecture;

/// The whole recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Seed of everything random.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// A model file whose weights the run begins with, instead of random ones. Relative to the
    /// working folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Training and test data.
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
    /// A second phase of the training, with longer crops and a larger margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_margin: Option<LargeMarginConfig>,
    /// How a trained network is quantized. Training a network that stays whole has no use for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantize: Option<QuantizeConfig>,
}

fn default_seed() -> u64 {
    42
}

impl Recipe {
    /// Reads a recipe and applies changes.
    ///
    /// A recipe may begin with `base = "other.toml"`, relative to its folder. It then has all
    /// values of that recipe that it does not give itself.
    ///
    /// # Errors
    /// Text that is not TOML, unknown keys, impossible values: with the key, and with the file and
    /// the line where a text has it. A base that cannot be read, or that is based on the recipe.
    pub fn load<'a>(path: impl AsRef<Path>, changes: impl Into<Changes<'a>>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&fs::read_to_string(path)?, path, changes)
    }

    /// [`Recipe::load`] of text; `path` appears in errors, and a base is relative to its folder.
    ///
    /// # Errors
    /// Those of [`Recipe::load`].
    pub fn parse<'a>(text: &str, path: &Path, changes: impl Into<Changes<'a>>) -> Result<Self> {
        let chain = Chain::read(path, text.to_owned())?;
        Self::read(chain.text()?, changes.into())
    }

    /// Reads what [`decisive`](Self::decisive) wrote. Weights in few bits want released gradients,
    /// a key that it leaves out.
    ///
    /// # Errors
    /// Those of [`Recipe::parse`].
    pub(super) fn parse_decisive(text: &str, path: &Path) -> Result<Self> {
        let chain = Chain::read(path, text.to_owned())?;
        let mut text = chain.text()?;
        let mut recipe = text.values::<Self>()?;
        recipe.train.release_gradients = !recipe.train.weights.is_default();
        recipe.completed().map_err(|fault| text.fault(fault.key, fault.message))
    }

    fn read<'t>(mut text: Text<'t>, changes: Changes<'t>) -> Result<Self> {
        text.change(changes)?;
        text.values::<Self>()?.completed().map_err(|fault| text.fault(fault.key, fault.message))
    }

    /// A recipe for training a model further: network and front-end are the model's, and need not
    /// be given.
    ///
    /// # Errors
    /// Those of [`Recipe::load`]; another network or front-end than the model's.
    pub fn load_for<'a>(
        path: impl AsRef<Path>,
        changes: impl Into<Changes<'a>>,
        header: &Header,
    ) -> Result<Self> {
        let path = path.as_ref();
        let chain = Chain::read(path, fs::read_to_string(path)?)?;
        Self::read_for(path, chain.text()?, changes.into(), header)
    }

    /// A recipe that may begin with a model: `init`, or else the one that the recipe names itself.
    /// Then network and front-end are the model's, as [`Recipe::load_for`] has them, and the recipe
    /// returned names the model.
    ///
    /// # Errors
    /// Those of [`Recipe::load`] and [`Recipe::load_for`]; a model file that cannot be read.
    pub fn load_from<'a>(
        path: impl AsRef<Path>,
        changes: impl Into<Changes<'a>>,
        init: Option<&Path>,
    ) -> Result<Self> {
        let (path, changes) = (path.as_ref(), changes.into());
        let chain = Chain::read(path, fs::read_to_string(path)?)?;
        let init = match (init, changes.string("init")) {
            (Some(init), _) => Some(init.to_owned()),
            (None, Some(init)) => Some(PathBuf::from(init)),
            (None, None) => chain.string("init")?.map(PathBuf::from),
        };
        let init = init.filter(|model| !model.as_os_str().is_empty());
        let recipe = match &init {
            Some(model) => Self::read_for(path, chain.text()?, changes, &read_header(model)?)?,
            None => Self::read(chain.text()?, changes)?,
        };
        Ok(Self { init, ..recipe })
    }

    fn read_for(
        path: &Path,
        text: Text<'_>,
        changes: Changes<'_>,
        header: &Header,
    ) -> Result<Self> {
        let bad = |e: toml::ser::Error| Error::file(path, e.to_string());
        let sections = toml::Table::from_iter([
            ("model".to_owned(), toml::Value::try_from(&header.arch).map_err(bad)?),
            (
                "frontend".to_owned(),
                toml::Value::try_from(FrontendConfig::of(&header.frontend)).map_err(bad)?,
            ),
        ]);
        let sections = toml::to_string(&sections).map_err(bad)?;
        let recipe = {
            let mut text = text;
            text.complete_with(&sections)?;
            Self::read(text, changes)?
        };
        recipe.check_model(path, header)?;
        Ok(recipe)
    }

    /// Refuses another network or front-end than those of the model to begin with; `path` appears
    /// in errors.
    ///
    /// # Errors
    /// Names what differs.
    pub(super) fn check_model(&self, path: &Path, header: &Header) -> Result<()> {
        if self.model != header.arch {
            let other = differences(&self.model, &header.arch);
            return Err(Error::file(
                path,
                format!("[model] is not that of the model to start with: {other}"),
            ));
        }
        if self.frontend() != header.frontend {
            let other = differences(&self.frontend(), &header.frontend);
            return Err(Error::file(
                path,
                format!("the front-end is not that of the model to start with: {other}"),
            ));
        }
        Ok(())
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is plain data")
    }

    /// The recipe as TOML, without keys that do not change the result of a run. The second phase is
    /// a run of its own.
    pub(super) fn decisive(&self) -> String {
        without(&Self { large_margin: None, ..self.clone() }.to_toml(), &NEUTRAL)
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

    /// Learning rate and margin, with `steps` iterations an epoch.
    pub fn schedules(&self, steps: usize) -> Schedules {
        let (s, m) = (&self.schedule, &self.margin);
        let rate = ExponentialDecrease {
            initial: s.initial_lr,
            last: s.final_lr,
            iterations: self.train.epochs * steps,
            warm_up: (s.warm_up_epochs * steps as f64).round() as usize,
            scale_ratio: s.scale_ratio.unwrap_or(self.train.batch_size as f64 / 64.0),
            warm_from_zero: s.warm_from_zero,
        };
        let margin = MarginSchedule {
            initial: m.initial,
            last: m.last,
            start: (m.increase_start_epoch - 1) * steps,
            fixed: (m.fix_start_epoch - 1) * steps,
            increase: m.increase,
        };
        Schedules::new(rate, margin)
    }
}

impl QuantizeConfig {
    /// The defaults with `quantize.key=value` changes: a recipe's section without a recipe.
    ///
    /// # Errors
    /// A key of another section, an unknown one, an impossible value.
    pub fn changed<'a>(changes: impl Into<Changes<'a>>) -> Result<Self> {
        let (changes, mut table): (Changes<'a>, _) = (changes.into(), DeTable::new());
        text::apply(&mut table, changes)?;
        if let Some(other) = table.keys().find(|k| k.get_ref() != "quantize") {
            return Err(Error::Invalid(format!(
                "{} {other}: without a recipe only `quantize.*` has a meaning",
                changes.name()
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
mod tests;
