//! Bytes counted during a real step.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use peak_alloc::PeakAlloc;

use super::Setting;
use crate::error::{Error, Result};
use crate::losses::HeadConfig;
use crate::train::Trainee;

/// Counted bytes of one step, beyond what the program held before it built the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Between steps: weights and optimizer state.
    pub resident: usize,
    /// More than that between forward and backward pass: what the tape holds.
    pub held: usize,
    /// The most at any time. On GPU backends what the allocator had reserved by the end, which is
    /// never less.
    pub peak: usize,
    /// What the allocator had reserved by the end, where it keeps a reserve (GPU backends).
    pub reserved: Option<usize>,
}

/// Bytes in use now.
fn in_use(device: &Device) -> Result<usize> {
    if let Some(usage) = device.memory_pool_usage() {
        return Ok(usage.bytes_in_use as usize);
    }
    let nothing =
        "nothing counts bytes here: install `peak_alloc::PeakAlloc` as the global allocator";
    match PeakAlloc.current_usage() {
        0 => Err(Error::Undefined(nothing.into())),
        bytes => Ok(bytes),
    }
}

/// Runs two steps on noise and counts during the second: the first draws the weights and makes the
/// optimizer's state. On the CPU the whole process is counted; nothing else may run in it.
///
/// # Errors
/// An impossible setting, a device that fails, and a program that counts no bytes.
pub fn measure(setting: &Setting, device: &Device) -> Result<Measured> {
    setting.check()?;
    let Setting { arch, execution, speakers, optimizer, .. } = setting;
    let before = in_use(device)?;
    // What the program frees elsewhere may be more than a network without weights has.
    let beyond = |bytes: usize| bytes.saturating_sub(before);
    let trainee = Trainee::new(arch, &HeadConfig::default(), *speakers, device, 1)?;
    let mut trainee = trainee.with_execution(*execution)?.train();
    let mut optimizer = optimizer.init()?;
    let autodiff = device.clone().autodiff();
    let mut measured = Measured { resident: 0, held: 0, peak: 0, reserved: None };
    for _ in 0..2 {
        device.sync().map_err(|e| Error::Backend(e.to_string()))?;
        measured.resident = beyond(in_use(device)?);
        PeakAlloc.reset_peak_usage();
        let batch = setting.noise();
        let margin = batch.margin;
        let (features, labels) = batch.into_tensors(&autodiff);
        let loss = trainee.pass(features, labels, margin).loss;
        device.sync().map_err(|e| Error::Backend(e.to_string()))?;
        measured.held = beyond(in_use(device)?).saturating_sub(measured.resident);
        let gradients = loss.backward();
        let value = loss.detach().inner();
        let gradients = GradientsParams::from_grads(gradients, &trainee);
        trainee = optimizer.step(1e-3, trainee, gradients);
        // A GPU that had no memory for a tensor says so to whoever reads what was computed of it.
        if !value.into_scalar::<f64>().is_finite() {
            let message = "the step's loss is not a number: nothing was measured";
            return Err(Error::Undefined(message.into()));
        }
    }
    device.sync().map_err(|e| Error::Backend(e.to_string()))?;
    measured.reserved = device.memory_pool_usage().map(|u| u.bytes_reserved as usize);
    measured.peak = measured.reserved.unwrap_or_else(|| beyond(PeakAlloc.peak_usage()));
    Ok(measured)
}
