//! Training.

mod optimizer;
pub mod schedule;
mod trainee;

pub use optimizer::OptimizerConfig;
pub use trainee::{Pass, Trainee};
