//! Optimizer steps on one tensor: time a parameter, beside what reading and writing every value
//! once costs on the same device.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Figure, time};
use crate::error::{Error, Result};
use crate::rng::Stream;
use crate::train::OptimizerConfig;

/// What to measure.
#[derive(Debug, Clone)]
pub struct OptimBench {
    /// Names of optimizers, with their default settings.
    pub optimizers: Vec<String>,
    /// Sizes of the parameter.
    pub parameters: Vec<usize>,
    /// Timed steps; their median counts.
    pub steps: usize,
    /// Name of the backend, for the figures.
    pub backend: &'static str,
}

#[derive(Module, Debug)]
struct One {
    parameter: Param<Tensor<1>>,
}

/// Bytes a value that a step must read and write at least: parameter, gradient, states.
fn traffic(config: &OptimizerConfig, count: usize) -> f64 {
    12.0 + 2.0 * config.state_bytes(&[count]) as f64 / count as f64
}

/// Steps of each optimizer on a parameter of each size: nanoseconds a parameter on the clock and of
/// processors, bytes of state a parameter, and the bytes moved a second. For comparison, `pass`
/// adds a number to every value where it is: the least that reads and writes a whole tensor.
///
/// # Errors
/// Unknown optimizers, a parameter without values, no step to time, a backend that fails.
pub fn optim(
    bench: &OptimBench,
    device: &Device,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<Figure>> {
    let (steps, threads) = (bench.steps, rayon::current_num_threads());
    if steps == 0 {
        return Err(Error::Invalid("at least one step must be timed".into()));
    }
    let mut figures = Vec::new();
    for &count in &bench.parameters {
        if count == 0 {
            return Err(Error::Invalid("a parameter of 0 values has nothing to time".into()));
        }
        let mut figure = |name: String, value: f64, unit: &'static str| {
            figures.push(Figure {
                name: format!("optim/{name}/{count}"),
                value,
                unit,
                backend: bench.backend,
                threads,
            });
        };
        let each = 1e9 / count as f64;
        report(&format!("one pass over {count} values"));
        let mut values = Some(noise(count, 1, device));
        let took = time(device, steps, || values = values.take().map(|values| values + 1.0))?;
        figure("pass".into(), 8.0 * count as f64 / took.wall / 1e9, "GB/s");
        drop(values);
        for name in &bench.optimizers {
            report(&format!("{name}, {count} parameters"));
            let config = OptimizerConfig::named(name)?;
            let mut optimizer = config.init()?;
            let gradient = noise(count, 2, device);
            let mut model =
                Some(One { parameter: Param::from_tensor(noise(count, 3, device)) }.train());
            let took = time(device, steps, || {
                let one = model.take().expect("put back after each step");
                let mut gradients = GradientsParams::new();
                gradients.register(one.parameter.id, gradient.clone());
                model = Some(optimizer.step(1e-6, one, gradients));
            })?;
            figure(name.clone(), took.wall * each, "ns/parameter");
            figure(format!("{name}/cpu"), took.cpu * each, "CPU ns/parameter");
            figure(
                format!("{name}/state"),
                config.state_bytes(&[count]) as f64 / count as f64,
                "bytes/parameter",
            );
            figure(
                format!("{name}/traffic"),
                traffic(&config, count) * count as f64 / took.wall / 1e9,
                "GB/s",
            );
        }
    }
    Ok(figures)
}

/// Values of the sizes that weights and gradients have.
fn noise(count: usize, seed: u64, device: &Device) -> Tensor<1> {
    let mut stream = Stream::new(seed, "bench", &[]);
    // Enough that no two blocks are alike. Drawing all of them would take longer than the
    // measurement.
    let some: Vec<f32> = (0..count.min(100_003)).map(|_| stream.normal() as f32 * 0.02).collect();
    let values: Vec<f32> = some.iter().copied().cycle().take(count).collect();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_optimizer_has_its_figures() {
        let bench = OptimBench {
            optimizers: OptimizerConfig::NAMES.map(str::to_owned).to_vec(),
            parameters: vec![5000],
            steps: 1,
            backend: "flex",
        };
        let mut reports = 0;
        let figures = optim(&bench, &Device::default(), &mut |_| reports += 1).unwrap();
        assert_eq!((figures.len(), reports), (1 + 4 * 6, 7));
        assert!(figures.iter().all(|f| f.value.is_finite() && f.value >= 0.0), "{figures:?}");
        let state = |name: &str| {
            figures.iter().find(|f| f.name == format!("optim/{name}/state/5000")).unwrap().value
        };
        assert_eq!(["sgd", "adam", "adamw"].map(state), [4.0, 8.0, 8.0]);
        for (name, bytes) in [("sgd8bit", 1.016), ("adam8bit", 2.032), ("adamw8bit", 2.032)] {
            assert!((state(name) - bytes).abs() < 1e-9, "{name}: {}", state(name));
        }
    }
}
