use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;
use burn::backend::ops::ConvOptions;
use burn::tensor::module::conv2d;
use burn::tensor::{DType, Device, TensorData};

fn noise(shape: [usize; 4], seed: u64, device: &Device) -> Tensor<4> {
    let mut stream = Stream::new(seed, "depthwise", &[]);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn distance(a: Tensor<4>, b: Tensor<4>) -> f64 {
    let numbers = |t: Tensor<4>| t.into_data().convert::<f64>().try_to_vec::<f64>().unwrap();
    let (a, b) = (numbers(a), numbers(b));
    assert_eq!(a.len(), b.len());
    let difference: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
    (difference / b.iter().map(|b| b * b).sum::<f64>()).sqrt()
}

/// Output and both gradients against Burn's own convolution, odd sizes, kernels and a strided view
/// among the inputs.
#[test]
fn equals_the_ordinary_convolution() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        let Ok(device) = kind.device(0) else { continue };
        for (shape, kernel) in [
            ([2, 3, 5, 37], 3),
            ([1, 4, 1, 1], 3),
            ([3, 2, 2, 7], 5),
            ([2, 5, 4, 64], 1),
            ([1, 2, 3, 2], 7),
        ] {
            for dtype in [DType::F32, DType::F64] {
                let [batch, channels, mels, frames] = shape;
                let run = |own: bool| {
                    let x = noise([batch, channels, frames, mels], 1, &device)
                        .cast(dtype)
                        .autodiff()
                        .require_grad();
                    let w = noise([channels, 1, kernel, kernel], 2, &device)
                        .cast(dtype)
                        .autodiff()
                        .require_grad();
                    let view = x.clone().swap_dims(2, 3);
                    let y = match own {
                        true => depthwise(view, w.clone()),
                        false => conv2d(
                            view,
                            w.clone(),
                            None,
                            ConvOptions::new([1, 1], [kernel / 2; 2], [1, 1], channels),
                        ),
                    };
                    let gradients =
                        (y.clone() * noise(shape, 3, &device).cast(dtype)).sum().backward();
                    [y.inner(), x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap()]
                };
                let tolerance = if dtype == DType::F64 { 1e-13 } else { 2e-6 };
                for (what, (ours, theirs)) in
                    ["output", "input", "kernel"].iter().zip(run(true).into_iter().zip(run(false)))
                {
                    let d = distance(ours, theirs);
                    assert!(d < tolerance, "{what} {shape:?} {kernel} {dtype:?} {kind:?}: {d:e}");
                }
            }
        }
    }
}

/// The kernels against another backend: output and both gradients, few and many channels, single
/// rows and frames, the largest kernel and one above it.
#[test]
fn kernels_on_wgpu_and_cuda_equal_another_backend() {
    for kind in [BackendKind::Wgpu, BackendKind::Cuda] {
        let (Ok(device), Ok(peer)) = (kind.device(0), BackendKind::Flex.device(0)) else {
            continue;
        };
        for (shape, kernel) in [
            ([2, 3, 5, 37], 3),
            ([1, 1, 1, 1], 3),
            ([3, 2, 7, 1], 5),
            ([2, 44, 9, 30], 3),
            ([4, 3, 17, 131], 3),
            ([1, 1030, 4, 5], 3),
            ([2, 2, 6, 11], 7),
            ([2, 5, 4, 64], 1),
            ([1, 2, 9, 8], 9),
        ] {
            for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F16, 1e-3), (DType::BF16, 8e-3)]
            {
                if !device.supports_dtype(dtype) || (dtype != DType::F32 && kernel > 7) {
                    continue;
                }
                // Factors that both types hold.
                let leaf = |shape, seed, device: &Device, dtype: DType| {
                    let exact = noise(shape, seed, device).into_data().convert_dtype(DType::BF16);
                    let exact = Tensor::<4>::from_data(exact.convert_dtype(DType::F32), device);
                    exact.cast(dtype).autodiff()
                };
                let run = |device: &Device, dtype: DType| {
                    let [batch, channels, mels, frames] = shape;
                    let x = leaf([batch, channels, frames, mels], 1, device, dtype).require_grad();
                    let w = leaf([channels, 1, kernel, kernel], 2, device, dtype).require_grad();
                    let y = depthwise(x.clone().swap_dims(2, 3), w.clone());
                    let weights = leaf(shape, 3, device, dtype);
                    let gradients = (y.clone() * weights).sum().backward();
                    [y.inner(), x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap()]
                };
                for (what, (ours, theirs)) in ["output", "input", "kernel"]
                    .iter()
                    .zip(run(&device, dtype).into_iter().zip(run(&peer, DType::F32)))
                {
                    assert_eq!(ours.dtype(), dtype);
                    let d = distance(ours, theirs);
                    assert!(d < tolerance, "{what} {shape:?} {kernel} {dtype:?} {kind:?}: {d:e}");
                }
            }
        }
    }
}

#[test]
fn untracked_parts_get_no_gradient() {
    let device = Device::default();
    let (x, w) =
        (noise([1, 2, 3, 4], 1, &device).autodiff(), noise([2, 1, 3, 3], 2, &device).autodiff());
    let tracked = x.clone().require_grad();
    let gradients = depthwise(tracked.clone(), w.clone()).sum().backward();
    assert!(tracked.grad(&gradients).is_some());
    let tracked = w.require_grad();
    let gradients = depthwise(x, tracked.clone()).sum().backward();
    assert!(tracked.grad(&gradients).is_some());
}
