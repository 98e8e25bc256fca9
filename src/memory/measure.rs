//! Bytes counted during a real step.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, StreamId};
use peak_alloc::PeakAlloc;

use super::watch::Watch;
use super::{Setting, use_best_pages};
use crate::backend::BackendKind;
use crate::error::{Error, Result};
use crate::losses::HeadConfig;
use crate::optim::Gate;
use crate::train::{Trainee, gate};

/// Counted bytes of one step, beyond what the program held before it built the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Between steps: weights and optimizer state.
    pub resident: usize,
    /// More than that between forward and backward pass: what the tape holds.
    pub held: usize,
    /// The most at any time. On GPU backends the most that tensors used, looked at before every
    /// launch.
    pub peak: usize,
    /// The most that the allocator had reserved, where it keeps a reserve (GPU backends).
    pub reserved: Option<usize>,
    /// What the device's driver says is in use at the end, by all programs, if it was asked.
    pub driver: Option<usize>,
}

/// The learning rate. No byte depends on it.
const RATE: f64 = 1e-3;

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

/// Waits for the device.
fn sync(device: &Device) -> Result<()> {
    device.sync().map_err(|e| Error::Backend(e.to_string()))
}

/// Runs two steps on noise and counts during the second: the first draws the weights and makes the
/// optimizer's state. On the CPU the whole process is counted; nothing else may run in it. On GPUs
/// the step is the one that training makes, its reads left out.
///
/// # Errors
/// An impossible setting, a device that fails, and a program that counts no bytes.
pub fn measure(setting: &Setting, device: &Device) -> Result<Measured> {
    measure_beside(setting, device, &|| None)
}

/// [`measure`], with a figure of the device's driver beside it: `driver` gives the bytes in use by
/// all programs, and is asked once, at the end of the second step.
///
/// # Errors
/// Those of [`measure`].
pub fn measure_beside(
    setting: &Setting,
    device: &Device,
    driver: &dyn Fn() -> Option<u64>,
) -> Result<Measured> {
    setting.check()?;
    // What was reserved before is given back. And since a GPU's allocator has pages for each stream
    // that never become smaller, the step has a stream of its own.
    device.memory_cleanup();
    let measured = StreamId::allocate().executes(|| {
        let measured = count(setting, device, driver);
        // Backends that fuse free memory when they are waited for.
        measured.and_then(|measured| sync(device).map(|()| measured))
    });
    device.memory_cleanup();
    measured
}

fn count(setting: &Setting, device: &Device, driver: &dyn Fn() -> Option<u64>) -> Result<Measured> {
    let Setting { arch, execution, speakers, optimizer, release_gradients, .. } = setting;
    let before = in_use(device)?;
    // What the program frees elsewhere may be more than a network without weights has.
    let beyond = |bytes: usize| bytes.saturating_sub(before);
    let watch = Watch::new(device);
    let reserved = device.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved as usize);
    let trainee = Trainee::new(arch, &HeadConfig::default(), *speakers, device, 1)?;
    let mut trainee = trainee.with_execution(*execution)?.lasting().train();
    let mut optimizer = optimizer.init()?;
    // As a training does. Row pitch, which CUDA has, changes little.
    use_best_pages(setting, BackendKind::Cuda, device)?;
    let autodiff = device.clone().autodiff();
    let mut measured = Measured { resident: 0, held: 0, peak: 0, reserved: None, driver: None };
    for _ in 0..2 {
        sync(device)?;
        measured.resident = beyond(in_use(device)?);
        PeakAlloc.reset_peak_usage();
        watch.iter().for_each(Watch::forget);
        let batch = setting.noise();
        let margin = batch.margin;
        let mut held = || -> Result<()> {
            sync(device)?;
            measured.held = beyond(in_use(device)?).saturating_sub(measured.resident);
            Ok(())
        };
        let value = if *release_gradients {
            let (pending, halfway) = trainee.halfway(batch.upload(&autodiff));
            held()?;
            let (model, checks) = halfway.step(trainee, &mut optimizer, RATE);
            trainee = model;
            checks.read(&mut optimizer);
            pending.loss
        } else {
            let (features, labels) = batch.into_tensors(&autodiff);
            let loss = trainee.pass(features, labels, margin).loss;
            held()?;
            let gradients = loss.backward();
            let value = loss.detach().inner();
            let gradients = GradientsParams::from_grads(gradients, &trainee);
            // On a CPU the training loop decides about the step itself.
            let open = match watch.is_some() {
                true => Gate::Device(gate(&trainee, &gradients, &value, 1.0).0),
                false => Gate::Open(1.0),
            };
            let gradients = setting.own_gradients(&trainee, gradients);
            trainee = optimizer.step(RATE, trainee, gradients, open);
            value
        };
        // A GPU that had no memory for a tensor says so to whoever reads what was computed of it.
        if !value.into_scalar::<f64>().is_finite() {
            let message = "the step's loss is not a number: nothing was measured";
            return Err(Error::Undefined(message.into()));
        }
    }
    sync(device)?;
    let seen = watch.as_ref().map(|watch| {
        watch.look();
        watch.seen()
    });
    measured.peak =
        beyond(seen.map_or_else(|| PeakAlloc.peak_usage(), |seen| seen.in_use as usize));
    measured.reserved = seen.map(|seen| (seen.reserved as usize).saturating_sub(reserved));
    measured.driver = driver().map(|bytes| bytes as usize);
    Ok(measured)
}
