use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;
use burn::tensor::module::conv2d;
use burn::tensor::{DType, Device, TensorData};

fn noise(shape: [usize; 4], seed: u64, device: &Device) -> Tensor<4> {
    let mut stream = Stream::new(seed, "convolution", &[]);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn distance(a: Tensor<4>, b: Tensor<4>) -> f64 {
    let numbers = |t: Tensor<4>| t.into_data().convert::<f64>().try_to_vec::<f64>().unwrap();
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (numbers(a), numbers(b));
    let difference: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
    (difference / b.iter().map(|b| b * b).sum::<f64>()).sqrt()
}

/// Output and both gradients against Burn's own, at sizes that make one tile and several, odd
/// sizes, every stride, and an input that is a strided view.
#[test]
fn equals_burns_convolution() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        let Ok(device) = kind.device(0) else { continue };
        let large = if kind == BackendKind::Flex { [2, 40, 33, 101] } else { [1, 3, 6, 7] };
        for ([batch, input, mels, frames], output, kernel, stride) in [
            ([2, 3, 5, 7], 4, 3, [1, 1]),
            ([2, 3, 5, 8], 4, 3, [2, 2]),
            ([1, 2, 6, 9], 3, 3, [2, 1]),
            ([2, 3, 4, 5], 6, 1, [1, 1]),
            ([1, 3, 5, 6], 2, 1, [2, 2]),
            ([1, 1, 1, 1], 2, 3, [1, 1]),
            ([1, 2, 2, 1], 2, 5, [1, 1]),
            (large, 7, 3, [1, 1]),
            (large, 5, 3, [2, 2]),
            (large, 9, 1, [1, 1]),
        ] {
            for dtype in [DType::F32, DType::F64] {
                let window = Window { stride };
                let run = |own: bool| {
                    let x = noise([batch, input, frames, mels], 1, &device)
                        .cast(dtype)
                        .autodiff()
                        .require_grad();
                    let w = noise([output, input, kernel, kernel], 2, &device)
                        .cast(dtype)
                        .autodiff()
                        .require_grad();
                    let view = x.clone().swap_dims(2, 3);
                    let y = match own {
                        true => convolve(view, w.clone(), window),
                        false => conv2d(view, w.clone(), None, window.options(kernel)),
                    };
                    let gradients =
                        (y.clone() * noise(y.dims(), 3, &device).cast(dtype)).sum().backward();
                    [y.inner(), x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap()]
                };
                let tolerance = if dtype == DType::F64 { 1e-13 } else { 2e-6 };
                for (what, (ours, theirs)) in
                    ["output", "input", "weight"].iter().zip(run(true).into_iter().zip(run(false)))
                {
                    let d = distance(ours, theirs);
                    assert!(
                        d < tolerance,
                        "{what} {:?} {kernel} {stride:?} {dtype:?} {kind:?}: {d:e}",
                        [batch, input, mels, frames]
                    );
                }
            }
        }
    }
}

/// Shapes that show faults of GPU kernels: one input channel, few channels with a stride, a width
/// that fills no tile, odd sizes, several tiles and several parts of a sum.
#[cfg(feature = "wgpu-bare")]
#[test]
fn wgpu_kernels_equal_the_same_sums_in_f64() {
    let (gpu, cpu) = (BackendKind::Wgpu.device(0).unwrap(), BackendKind::Flex.device(0).unwrap());
    for (shape, output, kernel, stride) in [
        ([2, 1, 16, 20], 32, 3, [1, 1]),
        ([2, 16, 9, 13], 8, 1, [2, 2]),
        ([2, 16, 8, 12], 8, 1, [2, 2]),
        ([2, 44, 5, 9], 32, 3, [1, 1]),
        ([3, 5, 7, 11], 70, 3, [2, 2]),
        ([1, 3, 6, 9], 3, 3, [2, 1]),
        ([1, 33, 3, 5], 65, 5, [1, 2]),
        ([2, 4, 40, 50], 6, 3, [1, 1]),
        ([1, 1, 1, 1], 2, 3, [1, 1]),
    ] {
        let window = Window { stride };
        for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F16, 1e-3), (DType::BF16, 8e-3)] {
            if !gpu.supports_dtype(dtype) {
                continue;
            }
            let run = |device: &Device, inside: DType| {
                let leaf = |shape, seed| {
                    noise(shape, seed, device).cast(dtype).cast(inside).autodiff().require_grad()
                };
                let (x, w) = (leaf(shape, 1), leaf([output, shape[1], kernel, kernel], 2));
                let y = convolve(x.clone(), w.clone(), window);
                let dy = noise(y.dims(), 3, device).cast(dtype).cast(inside);
                let gradients = (y.clone() * dy).sum().backward();
                [y.inner(), x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap()].map(|t| {
                    Tensor::<4>::from_data(t.into_data().convert::<f64>(), (&cpu, DType::F64))
                })
            };
            let (ours, wanted) = (run(&gpu, dtype), run(&cpu, DType::F64));
            for (what, (ours, wanted)) in
                ["output", "input", "weight"].iter().zip(ours.into_iter().zip(wanted))
            {
                let d = distance(ours, wanted);
                assert!(
                    d < tolerance,
                    "{what} {shape:?} {output} {kernel} {stride:?} {dtype:?}: {d:e}"
                );
            }
        }
    }
}
