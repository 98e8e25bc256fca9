//! From embeddings to scores and from scores to error rates, in f64 and without any tensor
//! framework.

mod as_norm;
mod band;
mod blocks;
mod bootstrap;
mod calibration;
mod cascade;
mod chain;
mod cllr;
mod cosine;
mod cost;
#[cfg(feature = "plots")]
mod det;
mod directions;
mod embeddings;
mod identification;
mod lda;
mod linear;
mod metrics;
mod models;
mod norm;
mod parts;
mod pav;
mod plda;
mod probit;
#[cfg(test)]
mod reference;
mod scores;
mod select;
mod speakers;
mod steps;
#[cfg(feature = "store")]
mod store;

pub use as_norm::{AsNorm, Normaliser, TopStatistics};
pub use band::BandPoint;
pub use bootstrap::{Interval, Intervals, bootstrap, bootstrap_costs, bootstrap_curve};
pub use calibration::{
    COLUMN_SETS, Calibrated, Calibration, Column, Evidence, Fitted, FittedFile, Fold, Line, Made,
    OtherScores, Quantity, Regression, SubtractedMean, TrialTable, bayes_threshold, cross_validate,
    fit_line, parse_columns, probability,
};
pub use cascade::{Band, BothLlrs, ChosenBand, choose_band};
pub use chain::{Chain, Link};
pub use cllr::{ActualDcf, actual_dcf, cllr};
pub use cosine::Scorer;
#[cfg(feature = "burn")]
pub(crate) use cosine::cosine;
pub use cost::Cost;
#[cfg(feature = "plots")]
pub use det::{DET_SYSTEMS, DetPlot, DetSystem, det_csv, det_svg, det_systems_svg};
#[cfg(feature = "cli")]
pub(crate) use embeddings::npz;
pub use embeddings::{Embeddings, Merged, Origin, merge};
pub use identification::{Identification, OpenSet};
pub use lda::{Groups, Lda};
pub use metrics::{
    Curve, Eer, FALSE_ACCEPT_RATES, MODEL_FALSE_ACCEPT_RATES, MinDcf, PRIORS, Point,
};
pub use models::{Average, Compared, Models};
pub use norm::{Cohort, Norm, Normalised};
pub use pav::{min_cllr, pav};
pub use plda::{Adapted, Plda, PldaAdaptation, PldaForm, PldaScorer, PldaTraining, VoiceModel};
pub use scores::{ScoreList, Scored, ScoredTrial, read_scores, write_scored, write_scores};
pub use speakers::speakers_from_targets;
#[cfg(feature = "store")]
pub use store::{Found, Recording, Store, StoreModel, StoredRecording, Voice, VoiceIndex};
