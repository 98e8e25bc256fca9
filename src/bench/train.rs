//! Training steps: time, utterances a second, and where the device's bytes are.

use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use peak_alloc::PeakAlloc;

use super::{Figure, time};
use crate::backend::{BackendKind, failure, is_gpu};
use crate::error::{Error, Result};
use crate::losses::HeadConfig;
use crate::memory::{Setting, advised, query, use_best_pages};
use crate::nn::Precision;
use crate::optim::{Gate, Stepper};
use crate::panics::quietly;
use crate::train::{Batch, Late, LossScale, Shares, Trainee, gate, not_finite};

/// What to measure.
#[derive(Debug, Clone)]
pub struct TrainBench {
    /// The training steps.
    pub settings: Vec<Setting>,
    /// What convolutions compute in.
    pub precision: Precision,
    /// Timed steps. Two more run before: the first draws weights and chooses kernels. On CPUs the
    /// median counts. On GPUs steps run in a row, as in a training, where the host prepares a step
    /// while the device computes the one before: their mean counts.
    pub steps: usize,
    /// The backend.
    pub backend: BackendKind,
    /// The name that NVIDIA's driver has for the device, if it is NVIDIA's.
    pub nvidia: Option<String>,
}

/// For each setting: seconds of a step, utterances a second, and bytes. On GPUs, the bytes are
/// those that tensors use after a step, those that the allocator has reserved, and those that the
/// driver counts for the whole device. On the CPU they are the most that were in use during the
/// steps; they are counted in programs whose allocator is [`PeakAlloc`]. A setting for which the
/// device has no memory is reported and left out.
///
/// # Errors
/// Impossible settings, no step to time, or not one setting that could be measured.
pub fn train(
    bench: &TrainBench,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<Figure>> {
    train_on(bench, None, device, report)
}

/// [`train`] on a batch of the settings' sizes in the place of noise. Where its features are made
/// on the device, that is part of each step.
pub(super) fn train_on(
    bench: &TrainBench,
    batch: Option<&Batch>,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<Figure>> {
    if bench.steps == 0 {
        return Err(Error::invalid("at least one step must be timed"));
    }
    let free = bench.nvidia.as_deref().and_then(|device| query("memory.free", device));
    let mut figures = Vec::new();
    for setting in &bench.settings {
        setting.check()?;
        let mut label = format!(
            "{}/{}/{}x{}",
            setting.name(),
            setting.optimizer.name(),
            setting.batch,
            setting.frames
        );
        if !bench.precision.is_default() {
            label = format!("{label}/{}", bench.precision.name());
        }
        report(&label);
        let failed = match quietly(|| measure(bench, setting, batch, device)) {
            Ok(Ok(measured)) => {
                figures.extend(measured.into_iter().map(|(what, value, unit)| Figure {
                    name: format!("train/{label}{what}"),
                    value,
                    unit,
                    backend: bench.backend.name(),
                    threads: rayon::current_num_threads(),
                }));
                None
            }
            Ok(Err(e)) if is_full_or_lost(&e) => Some(e),
            Ok(Err(e)) => return Err(e),
            Err(panic) => Some(failure(&panic)),
        };
        if let Some(error) = failed {
            report(&format!("{label}: {}", advised(error, setting, bench.backend, free)));
        }
        device.memory_cleanup();
    }
    match figures.is_empty() {
        true => Err(Error::Backend("none of the steps could be measured".into())),
        false => Ok(figures),
    }
}

fn is_full_or_lost(error: &Error) -> bool {
    matches!(error.bare(), Error::OutOfMemory { .. } | Error::DeviceLost { .. })
}

type Values = Vec<(&'static str, f64, &'static str)>;

fn measure(
    bench: &TrainBench,
    setting: &Setting,
    batch: Option<&Batch>,
    device: &Device,
) -> Result<Values> {
    let Setting { arch, execution, speakers, optimizer, release_gradients, .. } = setting;
    if *release_gradients && bench.precision.scales_loss() {
        let message = "released gradients: not in f16, whose loss scale is judged by all of them";
        return Err(Error::invalid(message));
    }
    let before = PeakAlloc.current_usage();
    let trainee = Trainee::new(arch, &HeadConfig::default(), *speakers, device, 1)?
        .with_execution(*execution)?;
    let network = bench.precision.apply(trainee.network, device)?;
    let mut steps = Steps {
        trainee: Some(Trainee { network, ..trainee }.lasting().train()),
        optimizer: optimizer.init()?,
        batch: batch.cloned().unwrap_or_else(|| setting.noise()),
        device: device.clone().autodiff(),
        scale: bench.precision.scales_loss().then(LossScale::new),
        late: Late::new(),
        finite: true,
        release: *release_gradients,
    };
    // As a training does.
    use_best_pages(setting, bench.backend, device)?;
    let seconds = match is_gpu(device) {
        true => steps.in_a_row(device, bench.steps)?,
        false => {
            steps.at_once();
            PeakAlloc.reset_peak_usage();
            time(device, bench.steps, || steps.at_once())?.wall
        }
    };
    if !steps.finite {
        return Err(Error::Undefined(
            "a loss was not a number: these were no steps of training".into(),
        ));
    }
    let mut values =
        vec![("", seconds, "s"), ("/rate", setting.batch as f64 / seconds, "utterances/s")];
    match device.memory_pool_usage() {
        Some(usage) => {
            values.push(("/in-use", usage.bytes_in_use as f64, "bytes"));
            values.push(("/reserved", usage.bytes_reserved as f64, "bytes"));
            let driver = bench.nvidia.as_deref().and_then(|device| query("memory.used", device));
            values.extend(driver.map(|bytes| ("/driver", bytes as f64, "bytes")));
        }
        None if PeakAlloc.current_usage() > 0 => {
            values.push(("/peak", PeakAlloc.peak_usage().saturating_sub(before) as f64, "bytes"));
        }
        None => {}
    }
    Ok(values)
}

/// Steps of training. In every step the batch comes from the host, as a loader's does.
struct Steps {
    /// There between steps.
    trainee: Option<Trainee>,
    optimizer: Stepper,
    batch: Batch,
    /// With autodiff.
    device: Device,
    scale: Option<LossScale>,
    late: Late<Shares>,
    /// Whether every loss was a number.
    finite: bool,
    /// Whether gradients are released.
    release: bool,
}

impl Steps {
    fn factor(&self) -> f32 {
        self.scale.as_ref().map_or(1.0, LossScale::factor)
    }

    /// A step that releases gradients.
    fn released(&mut self) {
        let batch = self.batch.clone().upload(&self.device);
        let model = self.trainee.take().expect("put back after each step");
        let (pending, halfway) = model.halfway(batch);
        self.finite &= pending.read().loss.is_finite();
        let (model, checks) = halfway.step(model, &mut self.optimizer, 1e-3);
        checks.read(&mut self.optimizer);
        self.trainee = Some(model);
    }

    /// A step whose loss is read in it, as training on a CPU does.
    fn at_once(&mut self) {
        if self.release {
            return self.released();
        }
        let (features, labels) = self.batch.clone().into_tensors(&self.device);
        let model = self.trainee.take().expect("put back after each step");
        let loss = model.pass(features, labels, self.batch.margin).loss;
        let factor = self.factor();
        let scaled = if factor == 1.0 { loss.clone() } else { loss.clone() * factor };
        let gradients = GradientsParams::from_grads(scaled.backward(), &model);
        let mut is_made = true;
        if let Some(scale) = &mut self.scale {
            is_made = not_finite(&model, &gradients) == 0;
            scale.after(is_made);
        }
        self.trainee = Some(match is_made {
            true => self.optimizer.step(1e-3, model, gradients, Gate::Open(1.0 / factor)),
            false => model,
        });
        self.finite &= loss.into_scalar::<f64>().is_finite();
    }

    /// A step as training on a GPU queues it. A GPU that had no memory for a tensor says so only
    /// when something computed from it is read.
    fn queue(&mut self) -> Result<()> {
        if self.release {
            self.released();
            return Ok(());
        }
        let batch = self.batch.clone().upload(&self.device);
        let model = self.trainee.take().expect("put back after each step");
        let factor = self.factor();
        let (pending, gradients) = model.weigh(batch, 1.0, factor);
        let (open, bad) = gate(&model, &gradients, &pending.loss, 1.0 / factor);
        self.trainee = Some(self.optimizer.step(1e-3, model, gradients, Gate::Device(open)));
        let (values, shares) = pending.with(bad);
        self.late.push(values, shares);
        while let Some((values, shares)) = self.late.ripe()? {
            self.learn(&values, &shares);
        }
        Ok(())
    }

    /// Waits for every outcome.
    fn settle(&mut self) -> Result<()> {
        while let Some((values, shares)) = self.late.oldest()? {
            self.learn(&values, &shares);
        }
        Ok(())
    }

    fn learn(&mut self, values: &[f32], shares: &Shares) {
        let (outcome, bad) = shares.read(values);
        self.finite &= outcome.loss.is_finite();
        if bad > 0 {
            self.optimizer.take_back();
        }
        if let Some(scale) = &mut self.scale {
            scale.after(bad == 0);
        }
    }

    /// Seconds of a step, the mean of so many without a pause between them.
    fn in_a_row(&mut self, device: &Device, steps: usize) -> Result<f64> {
        let sync = || device.sync().map_err(|e| Error::Backend(e.to_string()));
        self.queue()?;
        self.settle()?;
        // As in a training: what the trials of kernels needed is given back.
        device.memory_cleanup();
        self.queue()?;
        self.settle()?;
        sync()?;
        let begun = Instant::now();
        (0..steps).try_for_each(|_| self.queue())?;
        self.settle()?;
        sync()?;
        Ok(begun.elapsed().as_secs_f64() / steps as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::OptimizerConfig;
    use crate::zoo::Architecture;

    #[test]
    fn every_setting_has_its_figures() {
        let setting = |name: &str, optimizer: &str| Setting {
            arch: Architecture {
                width: 4,
                mels: 16,
                embedding_dim: 8,
                ..Architecture::named(name).unwrap()
            },
            execution: None,
            batch: 2,
            frames: 16,
            speakers: 5,
            optimizer: OptimizerConfig::named(optimizer).unwrap(),
            shards: 1,
            release_gradients: false,
        };
        let settings = vec![setting("resnet10", "sgd"), setting("rev1-resnet10", "sgd8bit")];
        let mut bench = TrainBench {
            settings,
            precision: Precision::F32,
            steps: 1,
            backend: BackendKind::Flex,
            nvidia: None,
        };
        let figures = train(&bench, &Device::default(), &mut |_| ()).unwrap();
        let value = |name: &str| {
            figures.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("{figures:?}")).value
        };
        let seconds = value("train/rev1-resnet10/sgd8bit/2x16");
        assert!(
            seconds > 0.0
                && (value("train/rev1-resnet10/sgd8bit/2x16/rate") * seconds - 2.0).abs() < 1e-9
        );
        assert!(value("train/resnet10/sgd/2x16") > 0.0);
        bench.precision = Precision::Bf16;
        let figures = train(&bench, &Device::default(), &mut |_| ()).unwrap();
        assert!(figures.iter().any(|f| f.name == "train/resnet10/sgd/2x16/bf16"));
        bench.steps = 0;
        assert!(train(&bench, &Device::default(), &mut |_| ()).is_err());
    }
}
