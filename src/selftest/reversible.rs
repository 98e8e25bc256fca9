//! Recomputed activations, of reversible networks and of ordinary ones that are checkpointed: they
//! give the gradients of the taped twin, and running statistics move only once.

use burn::module::Module;
use burn::tensor::Device;

use super::training::{Named, gradients, tensors};
use super::{Findings, Subject};
use crate::backend::reversible::Execution;
use crate::error::Result;
use crate::losses::HeadConfig;
use crate::nn::graph::Span;
use crate::train::Trainee;
use crate::zoo::Architecture;

/// Frames of a crop. Type II must pad them.
const FRAMES: usize = 27;

/// Loss, gradients and running statistics of one pass. An ordinary network is checkpointed, with
/// one span for each unit, unless it is taped.
fn step(name: &str, width: usize, execution: Execution, device: &Device) -> Result<Named> {
    let arch = Architecture { width, mels: 16, embedding_dim: 6, ..Architecture::named(name)? };
    let trainee = Trainee::new(&arch, &HeadConfig::default(), 5, device, 3)?;
    let trainee = match (arch.reversible_type(), execution) {
        (None, Execution::Taped) => trainee,
        (None, _) => {
            let mut start = 0;
            let span = |end: usize| {
                let nodes = std::mem::replace(&mut start, end)..end;
                Span::new(nodes, true)
            };
            trainee.checkpointed(arch.graph(FRAMES)?.cuts().into_iter().map(span).collect())?
        }
        (Some(_), execution) => trainee.with_execution(Some(execution))?,
    };
    let trainee = trainee.train();
    let (mut all, _) = gradients(&trainee, FRAMES, device);
    all.extend(tensors(&trainee.valid()).into_iter().filter(|(name, _)| name.contains("running_")));
    Ok(all)
}

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let (reversible, checkpointed) = (Execution::Reversible, Execution::Checkpointed);
    for (name, width, execution) in [
        ("rev1-resnet18", 4, reversible),
        ("rev2-resnet10", 16, reversible),
        ("rev1-resnet50", 4, reversible),
        ("rev2-df-resnet32", 16, reversible),
        ("rev1-gemini-df-resnet60", 4, reversible),
        ("resnet18", 4, checkpointed),
        ("df-resnet32", 4, checkpointed),
    ] {
        let ours = step(name, width, execution, &subject.device)?;
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
