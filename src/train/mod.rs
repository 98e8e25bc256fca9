//! Training: a recipe makes a run, a run makes a model file.
//!
//! recipe -> [`TrainSet`] (examples) -> [`Loader`] (batches) -> strategy (the loop, on burn-train) -> checkpoint and model file.

pub mod checkpoint;
mod dataset;
mod dev_set;
mod finite;
mod loader;
mod optimizer;
mod parts;
pub mod quantize;
mod recipe;
mod renderer;
mod run;
pub mod schedule;
mod step;
mod strategy;
mod trainee;
mod trial_metric;

pub use dataset::{Example, TrainSet};
pub use dev_set::{DevOutcome, DevResult, DevSet};
pub use loader::{Batch, Loader, Position};
pub use optimizer::OptimizerConfig;
pub use recipe::Recipe;
pub use run::{Report, RunOptions, Start, fine_tune, train};
pub use step::StepOutcome;
pub use trainee::{Pass, Trainee};
