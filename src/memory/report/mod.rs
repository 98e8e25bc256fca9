//! The breakdown for people: a table, and bars.

mod bars;
mod table;

pub use bars::svg;
pub use table::table;

use super::{Breakdown, Dry, Measured, Setting};

/// A step and what is known of its memory.
#[derive(Debug, Clone)]
pub struct Row {
    /// The step.
    pub setting: Setting,
    /// Its account.
    pub account: Breakdown,
    /// What was counted, if it was.
    pub measured: Option<Measured>,
    /// Its dry run, if there was one.
    pub dry: Option<Dry>,
}

/// The parts of the bytes at the peak.
const PARTS: [&str; 5] = ["weights", "optimizer", "gradients", "activations", "workspace"];

/// Bytes of each of [`PARTS`].
fn parts(b: &Breakdown) -> [usize; PARTS.len()] {
    [b.weights, b.optimizer, b.at_peak.gradients, b.at_peak.activations, b.at_peak.workspace]
}

/// Bytes with a binary unit.
pub fn human(bytes: usize) -> String {
    crate::bytes::human(bytes as u64)
}

/// A step of this network with these bytes at the peak, in the order of [`PARTS`].
#[cfg(test)]
fn row(name: &str, optimizer: &str, bytes: [usize; PARTS.len()]) -> Row {
    use super::Use;
    use crate::train::OptimizerConfig;
    use crate::zoo::Architecture;

    let [weights, optimizer_state, gradients, activations, workspace] = bytes;
    let setting = Setting::new(
        Architecture::named(name).unwrap(),
        OptimizerConfig::named(optimizer).unwrap(),
    );
    let breakdown = Breakdown {
        weights,
        optimizer: optimizer_state,
        gradients,
        activations,
        stages: (1..=4).map(|i| (format!("stage {i}"), activations / 4)).collect(),
        at_peak: Use { gradients, activations, workspace },
        place: "stage 1".into(),
        head: activations / 100,
        peak: bytes.iter().sum(),
        pages: None,
    };
    Row { setting, account: breakdown, measured: None, dry: None }
}
