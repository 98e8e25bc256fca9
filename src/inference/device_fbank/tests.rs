use super::exact::in_halves;
use super::*;
use crate::backend::{BackendKind, products};
use crate::rng::Stream;

/// Random samples `[batch, samples]` of this loudness.
fn noise(shape: [usize; 2], loudness: f64, device: &Device) -> Tensor<2> {
    let mut draw = Stream::new(1, "device fbank", &[]);
    let values: Vec<f32> =
        (0..shape[0] * shape[1]).map(|_| (loudness * draw.normal()) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values(x: Tensor<3>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn frontend(dither: f64, cmn: bool) -> Frontend {
    Frontend { fbank: FbankConfig { dither, mels: 20, ..Default::default() }, cmn }
}

fn devices() -> Vec<Device> {
    BackendKind::ALL.into_iter().filter_map(|kind| kind.device(0).ok()).collect()
}

/// Offsets `[batch, frames]`.
fn offsets(shape: [usize; 2], length: usize, device: &Device) -> Tensor<2, Int> {
    let mut draw = Stream::new(2, "device fbank", &[]);
    let drawn = Dither::offsets(shape[0] * shape[1], length, &mut draw);
    let drawn: Vec<i64> = drawn.into_iter().map(|offset| offset as i64).collect();
    Tensor::from_data(TensorData::new(drawn, shape), device)
}

#[test]
fn parts_of_a_batch_do_not_change_it() {
    for device in devices() {
        let extractor = DeviceExtractor::new(&frontend(1.0, true), &device).unwrap();
        let length = extractor.config.frame_length();
        let samples = noise([5, extractor.config.samples_for(4) + 7], 0.01, &device);
        let run = |utterances| {
            let offsets = offsets([5, 4], length, &device);
            let features = extractor.in_parts(samples.clone(), Some(offsets), utterances);
            assert_eq!(features.dims(), [5, 4, 20]);
            values(features)
        };
        let whole = run(5);
        for utterances in [1, 2, 4, 9] {
            assert!(largest_difference(&whole, &run(utterances)) < 1e-5, "{utterances}");
        }
    }
}

#[test]
fn halves_add_up_to_the_product() {
    for device in devices() {
        let random = |shape: [usize; 3]| -> Tensor<3> {
            noise([shape[0], shape[1] * shape[2]], 1.0, &device).reshape(shape)
        };
        for [output, inner, batch, frames] in [[1, 1, 1, 1], [7, 9, 2, 5], [40, 64, 3, 17]] {
            let (weight, x) = (random([output, inner, 1]), random([batch, inner, frames]));
            let ours = values(in_halves(weight.clone(), x.clone()));
            let wanted = values(products(weight, x));
            assert!(largest_difference(&ours, &wanted) < 1e-4, "{inner}");
        }
    }
}

#[test]
fn features_have_no_gradient() {
    for device in devices() {
        let extractor = DeviceExtractor::new(&frontend(0.0, true), &device).unwrap();
        let samples = noise([1, 800], 0.1, &device);
        let plain = extractor.features(samples.clone(), None);
        assert!(!plain.is_autodiff());
        let tracked = extractor.features(samples.autodiff().require_grad(), None);
        assert!(tracked.is_autodiff() && !tracked.is_tracked());
        assert_eq!(values(plain), values(tracked));
        // A device with autodiff makes the same extractor.
        let extractor = DeviceExtractor::new(&frontend(1.0, true), &device.autodiff()).unwrap();
        assert!(!extractor.waves.is_autodiff());
    }
}

#[test]
fn samples_that_are_not_finite_are_not_hidden() {
    let device = Device::default();
    let extractor = DeviceExtractor::new(&frontend(0.0, false), &device).unwrap();
    let mut samples: Vec<f32> = noise([1, 880], 0.1, &device).into_data().iter::<f32>().collect();
    // Frames 1 and 2 see it.
    samples[450] = f32::NAN;
    let samples = Tensor::<2>::from_data(TensorData::new(samples, [1, 880]), &device);
    let features = values(extractor.features(samples, None));
    for (frame, values) in features.chunks_exact(20).enumerate() {
        let seen = [1, 2].contains(&frame);
        assert!(values.iter().all(|x| x.is_nan() == seen), "{frame}: {values:?}");
    }
}

#[test]
fn settings_that_need_the_processor_are_errors() {
    let refuse = |fbank: FbankConfig, wanted: &str| {
        let frontend = Frontend { fbank, cmn: true };
        let error = DeviceExtractor::new(&frontend, &Device::default()).err().unwrap().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refuse(FbankConfig { snip_edges: false, ..Default::default() }, "snip_edges = false");
    refuse(FbankConfig { frame_length_ms: 300.0, ..Default::default() }, "4800 samples");
    refuse(FbankConfig { mels: 0, ..Default::default() }, "mels");
}

#[test]
#[should_panic(expected = "shorter than one frame")]
fn less_than_a_frame_is_a_panic() {
    let device = Device::default();
    let extractor = DeviceExtractor::new(&frontend(0.0, true), &device).unwrap();
    extractor.features(noise([1, 399], 0.1, &device), None);
}
