//! Large-margin fine-tuning: a second phase of a training, with longer crops and a larger margin
//! (arXiv 2010.11255; the defaults are those of WeSpeaker's `lm` recipes).

use serde::{Deserialize, Serialize};

use super::{AugmentConfig, MarginConfig, Recipe, ScheduleConfig};
use crate::optim::{Sgd8bitConfig, SgdConfig, States};
use crate::train::OptimizerConfig;

/// The second phase. It begins with the first phase's model, has no playing speeds but 1, and takes
/// everything else from the recipe. The head keeps the rows of the speakers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LargeMarginConfig {
    /// Epochs.
    pub epochs: usize,
    /// Frames of a crop.
    pub frames: usize,
    /// The margin, from the first step on.
    pub margin: f64,
    /// Learning rate at the beginning, times batch_size / 64.
    pub initial_lr: f64,
    /// Learning rate at the end, times batch_size / 64.
    pub final_lr: f64,
    /// Epochs of the warm-up from 0.
    pub warm_up_epochs: f64,
    /// Crops of a step; those of the first phase unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Whether crops are varied as in the first phase. Without it they have no noise, no rooms and
    /// no masks.
    pub augment: bool,
}

impl Default for LargeMarginConfig {
    fn default() -> Self {
        Self {
            epochs: 5,
            frames: 600,
            margin: 0.5,
            initial_lr: 1e-4,
            final_lr: 2.5e-5,
            warm_up_epochs: 1.0,
            batch_size: None,
            augment: true,
        }
    }
}

impl Recipe {
    /// The recipe of the second phase, if there is one. Its model is that of the best epoch. The
    /// penalty on the hardest other speakers (`loss.inter_topk`) is off, and the optimizer is SGD,
    /// with states of as many bits as in the first phase.
    pub fn second_phase(&self) -> Option<Self> {
        let phase = self.large_margin.as_ref()?;
        let mut next = Self { init: None, large_margin: None, ..self.clone() };
        next.data.frames = phase.frames;
        next.data.speeds = vec![1.0];
        if !phase.augment {
            next.augment = AugmentConfig { probability: 0.0, ..AugmentConfig::default() };
        }
        next.loss.inter_topk = None;
        next.margin =
            MarginConfig { initial: phase.margin, last: phase.margin, ..MarginConfig::default() };
        next.optimizer = sgd(&self.optimizer);
        next.schedule = ScheduleConfig {
            initial_lr: phase.initial_lr,
            final_lr: phase.final_lr,
            warm_up_epochs: phase.warm_up_epochs,
            warm_from_zero: true,
            scale_ratio: None,
            factors: self.schedule.factors.clone(),
        };
        next.train.epochs = phase.epochs;
        next.train.batch_size = phase.batch_size.unwrap_or(self.train.batch_size);
        (next.train.patience, next.train.validate_every, next.train.average_last) = (0, 1, 1);
        Some(next)
    }
}

/// An SGD as it is, or SGD with the settings of recipes in the place of another optimizer.
fn sgd(optimizer: &OptimizerConfig) -> OptimizerConfig {
    let eight = |states: &States| {
        OptimizerConfig::Sgd8bit(Sgd8bitConfig {
            states: states.clone(),
            ..Sgd8bitConfig::recipe()
        })
    };
    match optimizer {
        OptimizerConfig::Sgd(_) | OptimizerConfig::Sgd8bit(_) => optimizer.clone(),
        OptimizerConfig::Adam(_) | OptimizerConfig::AdamW(_) => {
            OptimizerConfig::Sgd(SgdConfig::recipe())
        }
        OptimizerConfig::Adam8bit(adam) => eight(&adam.states),
        OptimizerConfig::AdamW8bit(adam) => eight(&adam.states),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;

    const TEXT: &str = "init = \"m.safetensors\"\n[data]\ntrain = \"a\"\ndev = \"b\"\n\
                        speeds = [1.0, 0.9]\n[model]\nname = \"resnet18\"\n\
                        [loss.inter_topk]\nk = 3\n[schedule]\nscale_ratio = 6.0\n\
                        [schedule.factors]\nprojection = 2.0\n\
                        [train]\npatience = 3\nfreeze = [\"layer1\"]\n[large_margin]\n";

    fn parse(changes: &[&str]) -> Result<Recipe> {
        let changes: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
        Recipe::parse(TEXT, "r.toml".as_ref(), &changes)
    }

    #[test]
    fn the_second_phase_is_a_recipe_of_its_own() {
        let recipe = parse(&["large_margin.batch_size=32", "optimizer=adamw8bit"]).unwrap();
        let next = recipe.second_phase().unwrap();
        assert_eq!(next.second_phase(), None);
        assert_eq!((next.data.frames, next.data.speeds.as_slice()), (600, &[1.0][..]));
        assert_eq!((next.margin.initial, next.margin.last), (0.5, 0.5));
        assert_eq!((next.train.epochs, next.train.batch_size), (5, 32));
        assert_eq!((next.train.patience, next.schedule.scale_ratio), (0, None));
        assert_eq!(next.optimizer.name(), "sgd8bit");
        assert!(next.init.is_none() && next.loss.inter_topk.is_none());
        // What it does not name stays.
        assert_eq!(next.train.freeze, ["layer1"]);
        assert_eq!((&next.model, &next.augment), (&recipe.model, &recipe.augment));
        assert_eq!(next.schedule.factors, recipe.schedule.factors);
        // It can be read again.
        let again = Recipe::parse(&next.to_toml(), "r.toml".as_ref(), &[]).unwrap();
        assert_eq!(again, next);
        let plain = parse(&["optimizer.momentum=0.8"]).unwrap();
        let next = plain.second_phase().unwrap();
        assert_eq!((next.optimizer, next.train.batch_size), (plain.optimizer, 128));
    }

    #[test]
    fn the_second_phase_may_leave_crops_as_they_are() {
        let varied = ["augment.noise=n", "augment.reverb=r", "augment.normalize=true"];
        let varied = [&varied[..], &["augment.spec.time_masks=1"]].concat();
        let phase = |more: &[&str]| {
            let recipe = parse(&[&varied[..], more].concat()).unwrap();
            (recipe.second_phase().unwrap(), recipe)
        };
        let (with, recipe) = phase(&["large_margin.augment=true"]);
        assert_eq!(with, phase(&[]).0);
        assert_eq!(with.augment, recipe.augment);
        assert!(with.augment.noise.is_some() && with.augment.spec.is_some());
        let (without, first) = phase(&["large_margin.augment=false"]);
        // The first phase keeps its sounds, and the second one differs in nothing else.
        assert_eq!(first.augment, recipe.augment);
        let AugmentConfig { noise, reverb, spec, probability, .. } = &without.augment;
        assert!(noise.is_none() && reverb.is_none() && spec.is_none());
        assert_eq!(*probability, 0.0);
        assert_eq!(Recipe { augment: with.augment.clone(), ..without.clone() }, with);
        assert_eq!(Recipe::parse(&without.to_toml(), "r.toml".as_ref(), &[]).unwrap(), without);
    }

    #[test]
    fn a_second_phase_that_cannot_be_is_an_error_of_the_recipe() {
        let fails = |changes: &[&str], wanted: &str| {
            let error = parse(changes).unwrap_err().to_string();
            assert!(error.contains("large_margin") && error.contains(wanted), "{error}");
        };
        fails(&["large_margin.epochs=0"], "large_margin.epochs = 0: must be");
        fails(&["large_margin.margin=2"], "must be 0 to 1.5");
        fails(&["large_margin.frame=400"], "unknown field `frame`");
        fails(&["train.accumulate=4", "large_margin.batch_size=6"], "train.accumulate = 4");
        fails(&["large_margin.frames=2"], "large_margin.frames = 2: must be 16");
    }

    #[test]
    fn the_first_phase_does_not_depend_on_it() {
        let [with, without] = ["large_margin.epochs=9", "large_margin.frames=300"]
            .map(|change| parse(&[change]).unwrap().decisive());
        assert_eq!(with, without);
        assert!(!with.contains("large_margin") && !with.contains("init ="), "{with}");
    }
}
