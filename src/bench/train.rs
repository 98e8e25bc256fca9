//! Training steps: time, utterances a second, and where the device's bytes are.

mod steps;

use burn::tensor::Device;
use peak_alloc::PeakAlloc;

use self::steps::Steps;
use super::{Figure, time};
use crate::backend::{BackendKind, failure, is_gpu};
use crate::error::{Error, Result};
use crate::memory::{Setting, advised, query, use_best_pages};
use crate::nn::Precision;
use crate::panics::quietly;
use crate::train::Batch;

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
    setting.weights.check(device)?;
    if setting.release_gradients && bench.precision.scales_loss() {
        let message = "released gradients: not in f16, whose loss scale is judged by all of them";
        return Err(Error::invalid(message));
    }
    let before = PeakAlloc.current_usage();
    let mut steps = Steps::new(setting, bench, batch, device)?;
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
    if !steps.are_finite() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::OptimizerConfig;
    use crate::zoo::Architecture;

    #[test]
    fn every_setting_has_its_figures() {
        let setting = |name: &str, optimizer: &str| Setting {
            batch: 2,
            frames: 16,
            speakers: 5,
            ..Setting::new(
                Architecture {
                    width: 4,
                    mels: 16,
                    embedding_dim: 8,
                    ..Architecture::named(name).unwrap()
                },
                OptimizerConfig::named(optimizer).unwrap(),
            )
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
