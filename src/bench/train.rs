//! Training steps: time, utterances a second, and where the device's bytes are.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use peak_alloc::PeakAlloc;

use super::{Figure, time};
use crate::backend::{failure, quietly};
use crate::error::{Error, Result};
use crate::losses::HeadConfig;
use crate::memory::{Setting, advised, query};
use crate::nn::Precision;
use crate::train::Trainee;

/// What to measure.
#[derive(Debug, Clone)]
pub struct TrainBench {
    /// The training steps.
    pub settings: Vec<Setting>,
    /// What convolutions compute in.
    pub precision: Precision,
    /// Timed steps; their median counts. Two more run before: the first draws weights and chooses
    /// kernels.
    pub steps: usize,
    /// Name of the backend, for the figures.
    pub backend: &'static str,
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
        match quietly(|| measure(bench, setting, device)) {
            Ok(measured) => {
                figures.extend(measured?.into_iter().map(|(what, value, unit)| Figure {
                    name: format!("train/{label}{what}"),
                    value,
                    unit,
                    backend: bench.backend,
                    threads: rayon::current_num_threads(),
                }))
            }
            Err(panic) => {
                report(&format!("{label}: {}", advised(failure(&panic), setting, free)));
            }
        }
        device.memory_cleanup();
    }
    match figures.is_empty() {
        true => Err(Error::Backend("none of the steps could be measured".into())),
        false => Ok(figures),
    }
}

type Values = Vec<(&'static str, f64, &'static str)>;

fn measure(bench: &TrainBench, setting: &Setting, device: &Device) -> Result<Values> {
    let Setting { arch, execution, speakers, optimizer, .. } = setting;
    let before = PeakAlloc.current_usage();
    let trainee = Trainee::new(arch, &HeadConfig::default(), *speakers, device, 1)?
        .with_execution(*execution)?;
    let network = bench.precision.apply(trainee.network, device)?;
    let mut trainee = Some(Trainee { network, ..trainee }.train());
    let mut optimizer = optimizer.init()?;
    let noise = setting.noise();
    let autodiff = device.clone().autodiff();
    let mut finite = true;
    // In every step the batch comes from the host, as a loader's does.
    let mut step = || {
        let (features, labels) = noise.clone().into_tensors(&autodiff);
        let model = trainee.take().expect("put back after each step");
        let loss = model.pass(features, labels, noise.margin).loss;
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        trainee = Some(optimizer.step(1e-3, model, gradients));
        // The loss is read in every step, as training does. A GPU that had no memory for a tensor
        // says so only when something computed from it is read.
        finite &= loss.into_scalar::<f64>().is_finite();
    };
    step();
    PeakAlloc.reset_peak_usage();
    let seconds = time(device, bench.steps, &mut step)?.wall;
    if !finite {
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
        };
        let settings = vec![setting("resnet10", "sgd"), setting("rev1-resnet10", "sgd8bit")];
        let mut bench = TrainBench {
            settings,
            precision: Precision::F32,
            steps: 1,
            backend: "flex",
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
