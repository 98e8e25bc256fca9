//! Optimizer steps on one tensor and on all tensors of a network: time a parameter, beside what
//! reading and writing every value once costs on the same device.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Figure, time};
use crate::bytes::counted;
use crate::error::{Error, Result};
use crate::nn::graph::Info;
use crate::optim::Gate;
use crate::rng::Stream;
use crate::train::OptimizerConfig;
use crate::zoo::Architecture;

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

impl OptimBench {
    /// The network whose tensors are stepped together.
    pub const NETWORK: &'static str = "resnet34";
}

#[derive(Module, Debug)]
struct Tensors {
    all: Vec<Param<Tensor<1>>>,
}

impl Tensors {
    fn new(sizes: &[usize], device: &Device) -> Self {
        let tensor = |&size: &usize| Param::from_tensor(noise(size, 3, device));
        Self { all: sizes.iter().map(tensor).collect() }.train()
    }

    /// The gradients of a step.
    fn gradients(&self, gradients: &[Tensor<1>]) -> GradientsParams {
        let mut all = GradientsParams::new();
        for (parameter, gradient) in self.all.iter().zip(gradients) {
            all.register(parameter.id, gradient.clone());
        }
        all
    }
}

/// Bytes that a step must read and write at least: parameters, gradients, states.
fn traffic(config: &OptimizerConfig, sizes: &[usize]) -> f64 {
    12.0 * sizes.iter().sum::<usize>() as f64 + 2.0 * config.state_bytes(sizes) as f64
}

/// Steps of each optimizer on a parameter of each size, and on all tensors of ResNet34: nanoseconds
/// a parameter on the clock and of processors, bytes of state a parameter, the bytes moved a
/// second, and on GPUs the kernels that a step launches. For comparison, `pass` adds a number to
/// every value where it is: the least that reads and writes a whole tensor.
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
    let graph = Architecture::named(OptimBench::NETWORK)?.layout()?;
    let network = graph.tensors.iter().filter(|tensor| tensor.trained).map(Info::elements);
    let single = bench.parameters.iter().map(|&count| (count.to_string(), vec![count]));
    let sets: Vec<(String, Vec<usize>)> =
        single.chain([(OptimBench::NETWORK.to_owned(), network.collect())]).collect();
    let mut figures = Vec::new();
    for (set, sizes) in &sets {
        let count: usize = sizes.iter().sum();
        if count == 0 {
            return Err(Error::Invalid("a parameter of 0 values has nothing to time".into()));
        }
        let mut figure = |name: String, value: f64, unit: &'static str| {
            figures.push(Figure {
                name: format!("optim/{name}/{set}"),
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
        let gradients: Vec<Tensor<1>> = sizes.iter().map(|&size| noise(size, 2, device)).collect();
        for name in &bench.optimizers {
            report(&format!("{name}, {count} parameters in {}", counted(sizes.len(), "tensor")));
            let config = OptimizerConfig::named(name)?;
            let mut optimizer = config.init()?;
            let mut model = Some(Tensors::new(sizes, device));
            let mut step = || {
                let tensors = model.take().expect("put back after each step");
                let gradients = tensors.gradients(&gradients);
                model = Some(optimizer.step(1e-6, tensors, gradients, Gate::Open(1.0)));
            };
            let took = time(device, steps, &mut step)?;
            figure(name.clone(), took.wall * each, "ns/parameter");
            figure(format!("{name}/cpu"), took.cpu * each, "CPU ns/parameter");
            figure(
                format!("{name}/state"),
                config.state_bytes(sizes) as f64 / count as f64,
                "bytes/parameter",
            );
            figure(format!("{name}/traffic"), traffic(&config, sizes) / took.wall / 1e9, "GB/s");
            if let Some(launches) = launches(device, &mut step)? {
                figure(format!("{name}/launches"), launches as f64, "launches");
            }
        }
    }
    Ok(figures)
}

/// Kernels that some work launches, where there are kernels.
#[cfg(feature = "cube")]
fn launches(device: &Device, work: &mut dyn FnMut()) -> Result<Option<usize>> {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use burn_cubecl::cubecl::logging::{LaunchObservation, LaunchObserver};

    struct Count(AtomicUsize);

    impl LaunchObserver for Count {
        fn launched(&self, _: &'static str) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    if !crate::backend::is_gpu(device) {
        return Ok(None);
    }
    let sync = || device.sync().map_err(|e| Error::Backend(e.to_string()));
    sync()?;
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let observation = LaunchObservation::new(count.clone());
    work();
    sync()?;
    drop(observation);
    Ok(Some(count.0.load(Ordering::Relaxed)))
}

#[cfg(not(feature = "cube"))]
fn launches(_: &Device, _: &mut dyn FnMut()) -> Result<Option<usize>> {
    Ok(None)
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
        assert_eq!((figures.len(), reports), (2 * (1 + 4 * 6), 2 * 7));
        assert!(figures.iter().all(|f| f.value.is_finite() && f.value >= 0.0), "{figures:?}");
        assert!(figures.iter().any(|f| f.name == "optim/adam8bit/traffic/resnet34"));
        let state = |name: &str| {
            figures.iter().find(|f| f.name == format!("optim/{name}/state/5000")).unwrap().value
        };
        assert_eq!(["sgd", "adam", "adamw"].map(state), [4.0, 8.0, 8.0]);
        for (name, bytes) in [("sgd8bit", 1.016), ("adam8bit", 2.032), ("adamw8bit", 2.032)] {
            assert!((state(name) - bytes).abs() < 1e-9, "{name}: {}", state(name));
        }
    }
}
