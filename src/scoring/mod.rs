//! From embeddings to scores and from scores to error rates, in f64 and without any tensor
//! framework.

mod as_norm;
mod band;
mod blocks;
mod bootstrap;
mod calibration;
mod cosine;
#[cfg(feature = "plots")]
mod det;
mod directions;
mod embeddings;
mod metrics;
mod models;
mod norm;
mod parts;
mod probit;
mod scores;
mod speakers;
mod steps;

pub use as_norm::{AsNorm, Normaliser, TopStatistics};
pub use band::BandPoint;
pub use bootstrap::{Interval, Intervals, bootstrap, bootstrap_curve};
pub use calibration::{
    Calibration, Column, Evidence, Fitted, Fold, Quantity, bayes_threshold, probability,
};
pub use cosine::Scorer;
pub(crate) use cosine::cosine;
#[cfg(feature = "plots")]
pub use det::{DetPlot, det_csv, det_svg};
pub use embeddings::Embeddings;
pub use metrics::{
    Curve, Eer, FALSE_ACCEPT_RATES, MODEL_FALSE_ACCEPT_RATES, MinDcf, PRIORS, Point,
};
pub use models::{Average, Compared, Models};
pub use norm::{Cohort, Norm, Normalised};
pub use scores::{ScoreList, Scored, ScoredTrial, read_scores, write_scored, write_scores};
pub use speakers::speakers_from_targets;
