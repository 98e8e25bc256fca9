//! From embeddings to scores and from scores to error rates, in f64 and without any tensor framework.

mod as_norm;
mod bootstrap;
mod cosine;
mod det;
mod embeddings;
mod metrics;
mod scores;

pub use as_norm::{AsNorm, TopStatistics};
pub use bootstrap::{Interval, Intervals, bootstrap, speakers_from_targets};
pub use cosine::Scorer;
pub use det::{det_csv, det_svg};
pub use embeddings::Embeddings;
pub use metrics::{Curve, Eer, MinDcf, Point};
pub(crate) use scores::parse_label;
pub use scores::{ScoredTrial, read_scores, write_scores};
