//! The bytes that a reversible network holds between forward and backward pass, as the device's
//! allocator counts them (on the CPU the program's).

use super::{Findings, Subject};
use crate::backend::reversible::Execution;
use crate::error::Result;
use crate::memory::{Setting, measure};
use crate::train::OptimizerConfig;
use crate::zoo::Architecture;

const BATCH: usize = 6;
const FRAMES: usize = 96;

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    for (shallow, deep, width) in
        [("rev1-resnet18", "rev1-resnet34", 8), ("rev2-resnet18", "rev2-resnet34", 16)]
    {
        let held = |name: &str, execution| {
            let arch =
                Architecture { width, mels: 16, embedding_dim: 8, ..Architecture::named(name)? };
            let setting = Setting {
                execution: Some(execution),
                batch: BATCH,
                frames: FRAMES,
                speakers: 5,
                ..Setting::new(arch, OptimizerConfig::default())
            };
            Ok::<_, crate::Error>(measure(&setting, &subject.device)?.held as f64)
        };
        let reversible =
            [held(shallow, Execution::Reversible)?, held(deep, Execution::Reversible)?];
        let taped = [held(shallow, Execution::Taped)?, held(deep, Execution::Taped)?];
        // A further block adds running statistics and bookkeeping, but no activations.
        let part = (reversible[1] - reversible[0]) / (taped[1] - taped[0]);
        findings.note(
            format!("what {deep} holds more than {shallow}, as a part of what the taped twins do"),
            part,
            0.1,
        );
        findings.note(format!("{deep} against its taped twin"), reversible[1] / taped[1], 0.6);
    }
    Ok(())
}
