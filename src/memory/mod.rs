//! Where the bytes of a training step go: by arithmetic ([`account`](account())), counted
//! ([`measure`](measure())), and for GPUs replayed without one ([`dry`](dry())).

mod account;
mod advice;
mod card;
mod driver;
mod dry;
mod head;
mod ledger;
mod link;
mod machine;
mod measure;
#[cfg(feature = "wgpu-bare")]
mod noop;
mod options;
mod pages;
mod pieces;
mod plan;
mod play;
mod report;
mod series;
mod summed;
mod tape;
mod watch;
mod way;

pub use account::{Breakdown, account, account_on, page, use_best_pages};
pub use advice::{advice, advised, alternatives, refuse_too_large, too_large};
pub use card::{Card, Dry};
pub(crate) use driver::query;
pub use driver::{free_by_driver, nvidia, total_by_driver, used_by_driver};
pub use dry::dry;
pub use ledger::Use;
pub use link::{Exchange, LINKS, Link, link_table};
pub use measure::{Measured, measure, measure_beside};
pub use options::{Choice, options, options_table};
pub use plan::{Plan, plan};
pub use report::{Row, human, svg, table};

use burn::optim::GradientsParams;

use crate::backend::BackendKind;
use crate::backend::reversible::Execution;
use crate::corpus::Done;
use crate::error::{Error, Remedy, Result};
use crate::rng::Stream;
use crate::train::{Batch, Division, Load, OptimizerConfig, Recipe, Trainee, Weights, load_of};
use crate::zoo::Architecture;

/// A training step.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The network.
    pub arch: Architecture,
    /// How a reversible network runs, and whether an ordinary one is checkpointed.
    pub execution: Option<Execution>,
    /// Bytes that a checkpointed network may take; without them it takes the fewest.
    pub budget: Option<u64>,
    /// Crops.
    pub batch: usize,
    /// Frames of a crop.
    pub frames: usize,
    /// Classes of the head.
    pub speakers: usize,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Ranks that divide the optimizer's states among them. The step is that of the rank with most.
    /// With 1, it has all states.
    pub shards: usize,
    /// Whether gradients are freed during the backward pass.
    pub release_gradients: bool,
    /// What weights are held in.
    pub weights: Weights,
}

impl Setting {
    /// A step of the published size, 128 crops of 200 frames with VoxCeleb2's 5,994 speakers, by
    /// one rank and with no option that saves memory.
    pub fn new(arch: Architecture, optimizer: OptimizerConfig) -> Self {
        Self {
            arch,
            execution: None,
            budget: None,
            batch: 128,
            frames: 200,
            speakers: 5994,
            optimizer,
            shards: 1,
            release_gradients: false,
            weights: Weights::F32,
        }
    }

    /// The step of a recipe's training by so many ranks, each with so many devices, as the first
    /// device of a rank makes it. It reads the lists of the training corpus, and calls `done` as
    /// [`load_of`] does.
    ///
    /// # Errors
    /// Lists that cannot be read.
    pub fn of(recipe: &Recipe, ranks: usize, devices: usize, done: &Done) -> Result<Self> {
        Ok(Self::of_load(recipe, load_of(recipe, ranks * devices, done)?, ranks))
    }

    /// The step of a recipe's training by so many ranks, of which each device has this load.
    pub fn of_load(recipe: &Recipe, load: Load, ranks: usize) -> Self {
        Self {
            arch: recipe.model.clone(),
            execution: recipe.train.execution,
            budget: recipe.train.memory.map(|memory| memory.0),
            batch: load.batch,
            frames: load.frames,
            speakers: load.speakers,
            optimizer: recipe.optimizer.clone(),
            shards: if recipe.train.shard_states { ranks } else { 1 },
            release_gradients: recipe.train.release_gradients,
            weights: recipe.train.weights,
        }
    }

    /// Refuses impossible settings.
    ///
    /// # Errors
    /// The first impossible part.
    pub fn check(&self) -> Result<()> {
        self.arch.check()?;
        let (name, reversible) = (&self.arch.name, self.arch.reversible_type().is_some());
        match self.execution {
            Some(Execution::Checkpointed) if reversible => {
                return Err(Error::invalid(format!(
                    "{name} recomputes its activations already: checkpointed is for ordinary \
                     networks"
                )));
            }
            Some(Execution::Reversible | Execution::Taped) if !reversible => {
                return Err(Error::invalid(format!(
                    "execution is a choice of reversible networks: rev1-{name} or rev2-{name}; an \
                     ordinary one may be checkpointed"
                )));
            }
            Some(_) | None => {}
        }
        if self.budget.is_some() && self.execution != Some(Execution::Checkpointed) {
            return Err(Error::invalid("a budget is for checkpointed networks"));
        }
        let (recomputes, releases) = (self.is_reversible(), self.release_gradients);
        let fits = self.weights.check_training(&self.arch.name, recomputes, releases);
        fits.map_err(|why| Error::Invalid(format!("weights: {why}")).with(Remedy::OtherArguments))?;
        for (what, value, low) in [
            ("batch", self.batch, 2),
            ("frames", self.frames, 8),
            ("speakers", self.speakers, 2),
            ("shards", self.shards, 1),
        ] {
            if value < low || value > 1 << 20 {
                return Err(Error::invalid(format!(
                    "{what} = {value}: must be {low} to {}",
                    1 << 20
                )));
            }
        }
        Ok(())
    }

    /// A batch of its size: normal features, labels in turn.
    pub fn noise(&self) -> Batch {
        let Self { batch, frames, speakers, ref arch, .. } = *self;
        let mut stream = Stream::new(1, "noise", &[]);
        Batch {
            on_device: None,
            features: (0..batch * frames * arch.mels).map(|_| stream.normal() as f32).collect(),
            shape: [batch, frames, arch.mels],
            labels: (0..batch).map(|i| (i % speakers) as i64).collect(),
            ids: vec![String::new(); batch],
            iteration: 0,
            margin: 0.2,
        }
    }

    /// The gradients that the optimizer steps with: of the rank with most states, if they are
    /// divided.
    fn own_gradients(&self, trainee: &Trainee, gradients: GradientsParams) -> GradientsParams {
        if self.shards == 1 {
            return gradients;
        }
        let division = Division::of(trainee, &self.optimizer, self.shards);
        division.gradients(division.fullest(), trainee, gradients)
    }

    /// Whether activations are recomputed from outputs.
    pub fn is_reversible(&self) -> bool {
        self.arch.reversible_type().is_some() && self.execution != Some(Execution::Taped)
    }

    /// A trainee with its execution, as a step on a backend has it.
    ///
    /// # Errors
    /// Those of [`plan`](plan()); an execution that the network does not have.
    pub fn prepared(&self, trainee: Trainee, kind: BackendKind) -> Result<Trainee> {
        match self.execution {
            Some(Execution::Checkpointed) => trainee.checkpointed(plan(self, kind)?.spans),
            execution => trainee.with_execution(execution),
        }
    }

    /// The architecture's name, and how it runs where there is a choice.
    pub fn name(&self) -> String {
        let how = match self.execution {
            Some(Execution::Taped) => " (taped)",
            Some(Execution::Checkpointed) => " (checkpointed)",
            Some(Execution::Reversible) | None => "",
        };
        format!("{}{how}", self.arch.name)
    }

    /// The name for tables, marked if the optimizer's states have 8 bits, if gradients are
    /// released, and if weights are not in f32.
    pub fn label(&self) -> String {
        let bits = match self.optimizer.whole() == Some(self.optimizer.name()) {
            true => "",
            false => " 8-bit",
        };
        let released = if self.release_gradients { " released" } else { "" };
        let weights = match self.weights.is_default() {
            true => String::new(),
            false => format!(" {}", self.weights.name()),
        };
        format!("{}{bits}{released}{weights}", self.name())
    }

    /// What to compare it with: the ordinary network with all its gradients and weights in f32, and
    /// the optimizer with 32-bit states where there is one.
    ///
    /// # Errors
    /// None for a setting that [`Setting::check`] accepts.
    pub fn baseline(&self) -> Result<Self> {
        let whole = match self.optimizer.whole() {
            Some(whole) if whole != self.optimizer.name() => OptimizerConfig::named(whole)?,
            Some(_) | None => self.optimizer.clone(),
        };
        let arch = Architecture { name: self.arch.base_name().to_owned(), ..self.arch.clone() };
        Ok(Self {
            arch,
            execution: None,
            budget: None,
            optimizer: whole,
            release_gradients: false,
            weights: Weights::F32,
            ..*self
        })
    }
}
