//! From embeddings to scores and from scores to error rates, in f64 and without any tensor framework.

mod as_norm;
mod band;
mod bootstrap;
mod cosine;
mod det;
mod embeddings;
mod metrics;
mod probit;
mod scores;

pub use as_norm::{AsNorm, TopStatistics};
pub use band::BandPoint;
pub use bootstrap::{Interval, Intervals, bootstrap, speakers_from_targets};
pub use cosine::Scorer;
pub use det::{DetPlot, det_csv, det_svg};
pub use embeddings::Embeddings;
pub use metrics::{Curve, Eer, MinDcf, Point};
pub use scores::{ScoredTrial, read_scores, write_scores};
pub(crate) use scores::{label_name, parse_label};
