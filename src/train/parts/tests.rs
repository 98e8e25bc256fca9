mod overlap;
mod ranks;

use super::*;
use crate::backend::collective::Alone;
use crate::losses::HeadConfig;
use crate::nn::collect_named;
use crate::rng::Stream;
use crate::zoo::Architecture;

fn trainee(name: &str, device: &Device) -> Trainee {
    trainee_of(name, 4, device)
}

fn trainee_of(name: &str, width: usize, device: &Device) -> Trainee {
    let arch =
        Architecture { width, mels: 16, embedding_dim: 6, ..Architecture::named(name).unwrap() };
    Trainee::new(&arch, &HeadConfig::default(), 5, device, 3).unwrap().train()
}

fn batch(size: usize, copies: usize) -> Batch {
    let mut stream = Stream::new(4, "parts", &[]);
    let features: Vec<f32> = (0..size * 24 * 16).map(|_| stream.normal() as f32).collect();
    Batch {
        features: features.repeat(copies),
        on_device: None,
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
            let (outcome, g) = Parts::new(vec![device.clone()], 1, 16, &Alone)
                .unwrap()
                .step(&model, batch(4, 4), 1.0)
                .unwrap();
            (outcome.read(), gradients(&model, &g))
        };
        for (devices, accumulate) in [(1, 4), (2, 2), (4, 1), (2, 1)] {
            let model = trainee(name, &device);
            let parts = Parts::new(vec![device.clone(); devices], accumulate, 16, &Alone).unwrap();
            let (outcome, g) = parts.step(&model, batch(4, 4), 1.0).unwrap();
            near(&gradients(&model, &g), &whole.1, 2e-5);
            let outcome = outcome.read();
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
    let (_, ours) = Parts::new(vec![device.clone()], 2, 5, &Alone)
        .unwrap()
        .step(&model, batch(5, 1), 1.0)
        .unwrap();
    let wanted: Vec<_> = [0..2, 2..5]
        .into_iter()
        .map(|r| {
            let share = r.len() as f32 / 5.0;
            let (_, part) = model.weighed(batch(5, 1).part(r), 1.0, 1.0);
            (share, gradients(&model, &part))
        })
        .collect();
    let mean: Vec<(String, Vec<f32>)> = wanted[0]
        .1
        .iter()
        .zip(&wanted[1].1)
        .map(|((n, a), (_, b))| {
            (n.clone(), a.iter().zip(b).map(|(x, y)| wanted[0].0 * x + wanted[1].0 * y).collect())
        })
        .collect();
    near(&gradients(&model, &ours), &mean, 2e-5);
}

/// Two backends at once, because each has one device here.
#[cfg(all(feature = "flex", feature = "ndarray"))]
#[test]
fn devices_share_a_batch() {
    use crate::backend::BackendKind;
    let [flex, ndarray] = [BackendKind::Flex, BackendKind::Ndarray].map(|k| k.device(0).unwrap());
    let model = trainee("resnet10", &flex);
    let (_, wanted) = Parts::new(vec![flex.clone()], 2, 8, &Alone)
        .unwrap()
        .step(&model, batch(4, 2), 1.0)
        .unwrap();
    let wanted = gradients(&model, &wanted);
    let model = trainee("resnet10", &flex);
    let before = collect_named(&model.valid());
    let (_, ours) = Parts::new(vec![flex, ndarray], 1, 8, &Alone)
        .unwrap()
        .step(&model, batch(4, 2), 1.0)
        .unwrap();
    near(&gradients(&model, &ours), &wanted, 1e-4);
    let after = collect_named(&model.valid());
    let moved =
        |name: &str| before.iter().zip(&after).any(|(a, b)| a.0.ends_with(name) && a.1 != b.1);
    assert!(moved("running_mean") && moved("running_var") && !moved("conv1.weight"));
}

#[test]
fn parts_of_one_example_are_refused() {
    let device = Device::default();
    let error = Parts::new(vec![device.clone(); 2], 2, 7, &Alone).unwrap_err().to_string();
    assert!(error.contains("batch_size = 7") && error.contains("2 devices and 2 turns"), "{error}");
    assert!(
        Parts::new(vec![device.clone()], 1, 1, &Alone).is_ok()
            && Parts::new(vec![device], 0, 8, &Alone).is_err()
    );
}

/// A scale is a power of two: it changes no bit of a gradient's mantissa.
#[test]
fn gradients_are_scaled_and_the_outcome_is_not() {
    let device = Device::default();
    let model = trainee("resnet10", &device);
    for (devices, accumulate) in [(1, 1), (2, 1), (1, 2)] {
        let parts = Parts::new(vec![device.clone(); devices], accumulate, 8, &Alone).unwrap();
        let run = |scale: f32| {
            let (outcome, g) = parts.step(&model, batch(4, 2), scale).unwrap();
            (outcome.read(), gradients(&model, &g))
        };
        let ((plain, wanted), (scaled, mut ours)) = (run(1.0), run(1024.0));
        assert_eq!((plain.loss, plain.accuracy), (scaled.loss, scaled.accuracy));
        ours.iter_mut().flat_map(|(_, g)| g).for_each(|g| *g /= 1024.0);
        near(&ours, &wanted, 1e-6);
    }
}

/// The first device works, the other one panics: on a batch that ends in the middle of an example.
#[test]
fn a_device_that_fails_is_named() {
    let device = Device::default();
    let model = trainee("resnet10", &device);
    let parts = Parts::new(vec![device.clone(); 3], 1, 8, &Alone).unwrap();
    let short = || {
        let mut short = batch(8, 1);
        short.features.pop();
        short
    };
    for _ in 0..2 {
        let error = parts.step(&model, short(), 1.0).unwrap_err().to_string();
        let wanted = format!("{device:?} failed in the middle of a step: range end index");
        assert!(error.starts_with(&wanted), "{error}");
        // The threads are still there.
        parts.step(&model, batch(8, 1), 1.0).unwrap();
    }
}

#[test]
fn what_a_device_lacks_keeps_its_meaning() {
    let device = Device::default();
    let told = |words: &str| failed(&device, words);
    let full = told("out of device memory allocating 419430400 bytes");
    assert!(matches!(full.bare(), Error::OutOfMemory { .. }), "{full:?}");
    assert!(full.to_string().contains("400.0 MiB were asked for; Device<"), "{full}");
    let lost = told("The device is poisoned Caused by: Unknown: Device is lost");
    assert!(matches!(lost.bare(), Error::DeviceLost { .. }), "{lost:?}");
    assert!(lost.to_string().ends_with("in the middle of a step"), "{lost}");
    let wrong = told("cuEventRecord failed with status 700");
    assert!(wrong.to_string().contains("failed in the middle of a step: cuEvent"), "{wrong}");
    assert_eq!(wrong.remedy(), Some(&crate::error::Remedy::TestDevice));
}

/// Each thread has memory of its own on a GPU: threads that came and went would fill it.
#[cfg(feature = "wgpu-bare")]
#[test]
fn wgpu_reserves_no_more_for_later_steps() {
    let Ok(device) = crate::backend::BackendKind::Wgpu.device(0) else { return };
    let model = trainee("resnet10", &device);
    let parts = Parts::new(vec![device.clone(); 2], 1, 8, &Alone).unwrap();
    let reserved = |steps: usize| {
        for _ in 0..steps {
            let (outcome, g) = parts.step(&model, batch(4, 2), 1.0).unwrap();
            assert!(outcome.read().loss.is_finite() && !g.is_empty());
        }
        device.memory_pool_usage().expect("a GPU tells").bytes_reserved
    };
    let (before, after) = (reserved(2), reserved(8));
    assert!(after <= before + before / 8, "{before} bytes, then {after}");
}
