//! Reversible networks: recomputed activations give the gradients of the taped twin, and running
//! statistics move only once.

use burn::module::Module;
use burn::tensor::Device;

use super::training::{Named, gradients, tensors};
use super::{Findings, Subject};
use crate::backend::reversible::Execution;
use crate::error::Result;
use crate::losses::HeadConfig;
use crate::train::Trainee;
use crate::zoo::Architecture;

/// Loss, gradients and running statistics of one pass. Type II must pad its 27 frames.
fn step(name: &str, width: usize, execution: Execution, device: &Device) -> Result<Named> {
    let arch = Architecture { width, mels: 16, embedding_dim: 6, ..Architecture::named(name)? };
    let trainee = Trainee::new(&arch, &HeadConfig::default(), 5, device, 3)?;
    let trainee = trainee.with_execution(Some(execution))?.train();
    let (mut all, _) = gradients(&trainee, 27, device);
    all.extend(tensors(&trainee.valid()).into_iter().filter(|(name, _)| name.contains("running_")));
    Ok(all)
}

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    for (name, width) in [
        ("rev1-resnet18", 4),
        ("rev2-resnet10", 16),
        ("rev1-resnet50", 4),
        ("rev2-df-resnet32", 16),
        ("rev1-gemini-df-resnet60", 4),
    ] {
        let ours = step(name, width, Execution::Reversible, &subject.device)?;
        let twin = step(name, width, Execution::Taped, &subject.device)?;
        findings.all_near(name, &ours, &twin, subject.tolerance.twin);
        // Where a rectifier's input is nearly 0, gradients of such deep networks differ between
        // backends: only the loss is compared.
        let peer = step(name, width, Execution::Taped, &subject.peer)?;
        findings.all_near(
            &format!("{name}, taped"),
            &twin[..1],
            &peer[..1],
            subject.tolerance.embedding,
        );
    }
    Ok(())
}
