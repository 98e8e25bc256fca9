//! Networks against the reference implementation.

use burn::tensor::{Tensor, TensorData};

use super::{Findings, Subject, reference, values};
use crate::error::Result;
use crate::nn::Mode;

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    for (name, arch) in reference::networks()? {
        let (input, shape) = reference::tensor(&format!("input_f{}", arch.mels))?;
        let network = reference::network(&arch, reference::SEED, reference::GAIN, &subject.device)?;
        let x = Tensor::<3>::from_data(TensorData::new(input, shape), &subject.device);
        let ours = values(network.forward(x, Mode::Eval).into_data());
        findings.near(name, &ours, &reference::tensor(name)?.0, subject.tolerance.embedding);
    }
    Ok(())
}
