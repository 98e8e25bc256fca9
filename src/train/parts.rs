//! A batch in parts: on several devices at once, and on each device in several turns. The gradient
//! is that of the whole batch, except for BatchNorm: each part is normalised by its own statistics,
//! and running statistics follow the parts of the first device.
//!
//! burn-train's strategies for several devices take a batch for each device and count learning
//! rates in their own way. Here the batch is the recipe's, whatever it is divided among.

use std::ops::Range;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;
use burn::train::TrainStep;

use super::step::StepOutcome;
use super::{Batch, Trainee};
use crate::backend::panic_text;
use crate::error::{Error, Result};

/// How batches are divided.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The first is where the model is.
    devices: Vec<Device>,
    /// Turns of each device.
    accumulate: usize,
}

/// Gradients and outcome of one part.
type Partial = (StepOutcome, GradientsParams);

impl Parts {
    /// Batches of a size, divided among devices and turns.
    ///
    /// # Errors
    /// Parts of fewer than two examples: BatchNorm needs two. No device or no turn.
    pub fn new(devices: Vec<Device>, accumulate: usize, batch_size: usize) -> Result<Self> {
        let parts = devices.len() * accumulate;
        if parts == 0 {
            return Err(Error::invalid("at least one device and one turn are needed"));
        }
        if parts > 1 && batch_size < 2 * parts {
            return Err(Error::Invalid(format!(
                "train.batch_size = {batch_size} cannot be divided among {} devices and \
                 {accumulate} turns: each part needs 2 examples",
                devices.len()
            )));
        }
        Ok(Self { devices, accumulate })
    }

    /// How many parts a batch has.
    pub fn count(&self) -> usize {
        self.devices.len() * self.accumulate
    }

    /// A step's outcome and gradients, these on the first device.
    ///
    /// # Errors
    /// A device that fails.
    pub fn step(&self, model: &Trainee, batch: Batch) -> Result<Partial> {
        let parts = self.count();
        if parts == 1 {
            let output = TrainStep::step(model, batch);
            return Ok((output.item, output.grads));
        }
        let size = batch.labels.len();
        // The parts of a device are neighbours. Sizes differ by 1 at most.
        let ranges: Vec<Range<usize>> =
            (0..parts).map(|i| i * size / parts..(i + 1) * size / parts).collect();
        let of = |device: usize| &ranges[device * self.accumulate..(device + 1) * self.accumulate];
        let batch = &batch;
        let (first, others) = std::thread::scope(|scope| {
            let others: Vec<_> = (1..self.devices.len())
                .map(|d| {
                    // A clone shares running statistics with its original. Forking them as they
                    // are would move those of the first device.
                    let copy = model.valid().fork(&self.devices[d]).train();
                    scope.spawn(move || turns(&copy, batch, of(d)))
                })
                .collect();
            let first = turns(model, batch, of(0));
            (first, others.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>())
        });
        let mut sum = GradientsAccumulator::new();
        let mut total = StepOutcome { loss: 0.0, accuracy: 0.0, margin: batch.margin };
        let mut add = |(outcome, gradients): Partial| {
            total.loss += outcome.loss;
            total.accuracy += outcome.accuracy;
            sum.accumulate(model, gradients);
        };
        add(first);
        for (device, part) in self.devices[1..].iter().zip(others) {
            let (outcome, gradients) = part.map_err(|panic| {
                Error::Backend(format!(
                    "{device:?} failed in the middle of a step: {}",
                    panic_text(&*panic)
                ))
            })?;
            add((outcome, gradients.to_device(&self.devices[0], model)));
        }
        Ok((total, sum.grads()))
    }
}

/// The parts of one device, one after another. Each is weighed by its share of the batch, so that
/// sums are means over the whole batch.
fn turns(model: &Trainee, batch: &Batch, ranges: &[Range<usize>]) -> Partial {
    let mut sum = GradientsAccumulator::new();
    let mut total = StepOutcome { loss: 0.0, accuracy: 0.0, margin: batch.margin };
    for range in ranges {
        let share = range.len() as f64 / batch.labels.len() as f64;
        let (outcome, gradients) = model.weighed(batch.part(range.clone()), share);
        total.loss += outcome.loss * share;
        total.accuracy += outcome.accuracy * share;
        sum.accumulate(model, gradients);
    }
    (total, sum.grads())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::HeadConfig;
    use crate::nn::collect_named;
    use crate::rng::Stream;
    use crate::zoo::Architecture;

    fn trainee(name: &str, device: &Device) -> Trainee {
        let arch = Architecture {
            width: 4,
            mels: 16,
            embedding_dim: 6,
            ..Architecture::named(name).unwrap()
        };
        Trainee::new(&arch, &HeadConfig::default(), 5, device, 3).unwrap().train()
    }

    fn batch(size: usize, copies: usize) -> Batch {
        let mut stream = Stream::new(4, "parts", &[]);
        let features: Vec<f32> = (0..size * 24 * 16).map(|_| stream.normal() as f32).collect();
        Batch {
            features: features.repeat(copies),
            shape: [size * copies, 24, 16],
            labels: (0..size as i64).map(|i| i % 5).collect::<Vec<_>>().repeat(copies),
            ids: vec![String::new(); size * copies],
            iteration: 0,
            margin: 0.2,
        }
    }

    fn gradients(model: &Trainee, gradients: &GradientsParams) -> Vec<(String, Vec<f32>)> {
        struct Collect<'a>(&'a GradientsParams, Vec<Vec<f32>>);
        impl burn::module::ModuleVisitor for Collect<'_> {
            fn visit_float<const D: usize>(
                &mut self,
                param: &burn::module::Param<burn::tensor::Tensor<D>>,
            ) {
                if let Some(g) = self.0.get::<D>(param.id) {
                    self.1.push(g.into_data().convert::<f32>().try_to_vec().unwrap());
                }
            }
        }
        let mut collect = Collect(gradients, Vec::new());
        model.visit(&mut collect);
        collect.1.into_iter().enumerate().map(|(i, g)| (i.to_string(), g)).collect()
    }

    fn near(ours: &[(String, Vec<f32>)], wanted: &[(String, Vec<f32>)], tolerance: f32) {
        assert_eq!(ours.len(), wanted.len());
        assert!(ours.len() > 30);
        for ((name, a), (_, b)) in ours.iter().zip(wanted) {
            let largest = b.iter().fold(1e-4f32, |m, x| m.max(x.abs()));
            let off = a.iter().zip(b).fold(0.0f32, |m, (x, y)| m.max((x - y).abs()));
            assert!(off <= tolerance * largest, "{name}: {off} of {largest}");
        }
    }

    /// If every part has the same examples, BatchNorm has the same statistics in each part, and the
    /// gradient is that of the whole batch.
    #[test]
    fn parts_sum_up_to_the_whole_batch() {
        let device = Device::default();
        for name in ["resnet10", "rev1-resnet10"] {
            let whole = {
                let model = trainee(name, &device);
                let (outcome, g) = Parts::new(vec![device.clone()], 1, 16)
                    .unwrap()
                    .step(&model, batch(4, 4))
                    .unwrap();
                (outcome, gradients(&model, &g))
            };
            for (devices, accumulate) in [(1, 4), (2, 2), (4, 1), (2, 1)] {
                let model = trainee(name, &device);
                let parts = Parts::new(vec![device.clone(); devices], accumulate, 16).unwrap();
                let (outcome, g) = parts.step(&model, batch(4, 4)).unwrap();
                near(&gradients(&model, &g), &whole.1, 2e-5);
                assert!(
                    (outcome.loss - whole.0.loss).abs() < 1e-5 * whole.0.loss,
                    "{} {}",
                    outcome.loss,
                    whole.0.loss
                );
                assert!((outcome.accuracy - whole.0.accuracy).abs() < 1e-9);
            }
        }
    }

    /// The gradient is the mean of the parts' gradients, weighed by their sizes.
    #[test]
    fn uneven_parts_count_by_their_size() {
        let device = Device::default();
        let model = trainee("resnet10", &device);
        let (_, ours) =
            Parts::new(vec![device.clone()], 2, 5).unwrap().step(&model, batch(5, 1)).unwrap();
        let wanted: Vec<_> = [0..2, 2..5]
            .into_iter()
            .map(|r| {
                let share = r.len() as f32 / 5.0;
                let part = TrainStep::step(&model, batch(5, 1).part(r));
                (share, gradients(&model, &part.grads))
            })
            .collect();
        let mean: Vec<(String, Vec<f32>)> = wanted[0]
            .1
            .iter()
            .zip(&wanted[1].1)
            .map(|((n, a), (_, b))| {
                (
                    n.clone(),
                    a.iter().zip(b).map(|(x, y)| wanted[0].0 * x + wanted[1].0 * y).collect(),
                )
            })
            .collect();
        near(&gradients(&model, &ours), &mean, 2e-5);
    }

    /// Two backends at once, because each has one device here.
    #[cfg(all(feature = "flex", feature = "ndarray"))]
    #[test]
    fn devices_share_a_batch() {
        use crate::backend::BackendKind;
        let [flex, ndarray] =
            [BackendKind::Flex, BackendKind::Ndarray].map(|k| k.device(0).unwrap());
        let model = trainee("resnet10", &flex);
        let (_, wanted) =
            Parts::new(vec![flex.clone()], 2, 8).unwrap().step(&model, batch(4, 2)).unwrap();
        let wanted = gradients(&model, &wanted);
        let model = trainee("resnet10", &flex);
        let before = collect_named(&model.valid());
        let (_, ours) =
            Parts::new(vec![flex, ndarray], 1, 8).unwrap().step(&model, batch(4, 2)).unwrap();
        near(&gradients(&model, &ours), &wanted, 1e-4);
        let after = collect_named(&model.valid());
        let moved =
            |name: &str| before.iter().zip(&after).any(|(a, b)| a.0.ends_with(name) && a.1 != b.1);
        assert!(moved("running_mean") && moved("running_var") && !moved("conv1.weight"));
    }

    #[test]
    fn parts_of_one_example_are_refused() {
        let device = Device::default();
        let error = Parts::new(vec![device.clone(); 2], 2, 7).unwrap_err().to_string();
        assert!(
            error.contains("batch_size = 7") && error.contains("2 devices and 2 turns"),
            "{error}"
        );
        assert!(
            Parts::new(vec![device.clone()], 1, 1).is_ok()
                && Parts::new(vec![device], 0, 8).is_err()
        );
    }
}
