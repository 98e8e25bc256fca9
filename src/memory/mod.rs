//! Where the bytes of a training step go: by arithmetic ([`account`](account())), counted
//! ([`measure`](measure())), and for GPUs replayed without one ([`dry`](dry())).

mod account;
mod advice;
mod card;
mod driver;
mod dry;
mod ledger;
mod link;
mod machine;
mod measure;
#[cfg(feature = "wgpu-bare")]
mod noop;
mod pages;
mod play;
mod report;
mod tape;
mod watch;

pub use account::{Breakdown, account, account_on, page, use_best_pages};
pub use advice::{advice, advised, alternatives, refuse_too_large, too_large};
pub use card::{Card, Dry};
pub(crate) use driver::query;
pub use driver::{free_by_driver, nvidia, total_by_driver, used_by_driver};
pub use dry::dry;
pub use ledger::Use;
pub use link::{Exchange, LINKS, Link, link_table};
pub use measure::{Measured, measure, measure_beside};
pub use report::{Row, human, svg, table};

use burn::optim::GradientsParams;

use crate::backend::reversible::Execution;
use crate::corpus::Done;
use crate::error::{Error, Result};
use crate::rng::Stream;
use crate::train::{Batch, Division, OptimizerConfig, Recipe, Trainee, load_of};
use crate::zoo::Architecture;

/// A training step.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The network.
    pub arch: Architecture,
    /// How a reversible network runs; nothing for others.
    pub execution: Option<Execution>,
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
}

impl Setting {
    /// The step of a recipe's training by so many ranks, each with so many devices, as the first
    /// device of a rank makes it. It reads the lists of the training corpus, and calls `done` as
    /// [`load_of`] does.
    ///
    /// # Errors
    /// Lists that cannot be read.
    pub fn of(recipe: &Recipe, ranks: usize, devices: usize, done: &Done) -> Result<Self> {
        let load = load_of(recipe, ranks * devices, done)?;
        Ok(Self {
            arch: recipe.model.clone(),
            execution: recipe.train.execution,
            batch: load.batch,
            frames: load.frames,
            speakers: load.speakers,
            optimizer: recipe.optimizer.clone(),
            shards: if recipe.train.shard_states { ranks } else { 1 },
            release_gradients: recipe.train.release_gradients,
        })
    }

    /// Refuses impossible settings.
    ///
    /// # Errors
    /// The first impossible part.
    pub fn check(&self) -> Result<()> {
        self.arch.check()?;
        if self.execution.is_some() && self.arch.reversible_type().is_none() {
            let name = &self.arch.name;
            return Err(Error::invalid(format!(
                "execution is a choice of reversible networks: rev1-{name} or rev2-{name}"
            )));
        }
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

    /// Whether activations are recomputed.
    pub fn is_reversible(&self) -> bool {
        self.arch.reversible_type().is_some() && self.execution != Some(Execution::Taped)
    }

    /// The architecture's name, and how it runs where there is a choice.
    pub fn name(&self) -> String {
        let taped = if self.execution == Some(Execution::Taped) { " (taped)" } else { "" };
        format!("{}{taped}", self.arch.name)
    }

    /// The name for tables, marked if the optimizer's states have 8 bits, and if gradients are
    /// released.
    pub fn label(&self) -> String {
        let bits = match self.optimizer.whole() == Some(self.optimizer.name()) {
            true => "",
            false => " 8-bit",
        };
        let released = if self.release_gradients { " released" } else { "" };
        format!("{}{bits}{released}", self.name())
    }

    /// What to compare it with: the ordinary network with all its gradients, and the optimizer with
    /// 32-bit states where there is one.
    ///
    /// # Errors
    /// None for a setting that [`Setting::check`] accepts.
    pub fn baseline(&self) -> Result<Self> {
        let whole = match self.optimizer.whole() {
            Some(whole) if whole != self.optimizer.name() => OptimizerConfig::named(whole)?,
            Some(_) | None => self.optimizer.clone(),
        };
        let arch = Architecture { name: self.arch.base_name().to_owned(), ..self.arch.clone() };
        Ok(Self { arch, execution: None, optimizer: whole, release_gradients: false, ..*self })
    }
}
