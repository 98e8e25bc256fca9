//! Training: a recipe makes a run, a run makes a model file.
//!
//! [`Recipe`] -> [`TrainSet`] (examples) -> [`Loader`] (batches) -> strategy (the loop, on
//! burn-train) -> checkpoint and model file. [`train()`] does all of it: it prepares, launches and
//! finishes a run.

mod ahead;
pub mod checkpoint;
mod classes;
mod dataset;
mod dev_set;
mod division;
mod finish;
mod finite;
mod folder;
pub mod identity;
mod late;
mod launch;
mod load;
mod loader;
mod on_device;
mod optimizer;
mod parts;
mod past;
mod prepare;
pub mod quantize;
mod ranks;
mod recipe;
mod renderer;
mod run;
mod scaling;
pub mod schedule;
mod sounds;
mod start;
mod step;
mod stopping;
mod strategy;
mod trainee;
mod trial_metric;
mod unlogged;

pub(crate) use division::{Division, largest_share};
pub(crate) use finite::{gate, not_finite};
pub(crate) use late::Late;
pub(crate) use step::Shares;

pub use classes::HeadMatch;
pub use dataset::{Example, Mark, Stage, TrainSet};
pub use dev_set::{DevOutcome, DevResult, DevSet};
pub use finish::Report;
pub use identity::{Accept, Fingerprint, Identity};
pub use load::{Load, load_of};
pub use loader::{Batch, Loader, Position};
pub use on_device::OnDevice;
pub use optimizer::OptimizerConfig;
pub use recipe::{Changes, Every, Recipe};
pub use run::{RunOptions, fine_tune, train};
pub use scaling::LossScale;
pub use start::Start;
pub use step::StepOutcome;
pub use trainee::{Pass, Trainee};
