//! Networks against the reference implementation.

use burn::tensor::{Tensor, TensorData};

use super::{Findings, Subject, reference, values};
use crate::error::Result;
use crate::inference::masked;
use crate::nn::Mode;

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    for reference in reference::networks()? {
        let name = reference.name;
        let (input, shape) = reference::tensor(&format!("input_f{}", reference.arch.mels))?;
        let network = reference.network(&subject.device)?;
        let x = Tensor::<3>::from_data(TensorData::new(input, shape), &subject.device);
        let ours = values(network.forward(x.clone(), Mode::Eval).into_data());
        findings.near(name, &ours, &reference::tensor(name)?.0, subject.tolerance.embedding);
        // As on GPUs: two lengths in one batch.
        let (frames, cut) = (x.dims()[1], x.dims()[1] / 2 + 1);
        let alone = network.forward(x.clone().narrow(1, 0, cut), Mode::Eval);
        let alone = values(alone.into_data());
        let both = masked(&network, Tensor::cat(vec![x.clone(), x], 0), vec![frames, cut]);
        let both = values(both.into_data());
        let (whole, part) = both.split_at(alone.len());
        let tolerance = subject.tolerance.embedding;
        findings.near(format!("{name}, masked"), whole, &ours, tolerance);
        findings.near(format!("{name}, masked, cut"), part, &alone, tolerance);
    }
    Ok(())
}
