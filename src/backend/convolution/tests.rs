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

/// A window of these strides, paddings, dilations and groups.
fn window(stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2], groups: usize) -> Window {
    Window { stride, padding, dilation, groups }
}

/// Output and both gradients of our operation against those of Burn's own. The input is a strided
/// view.
fn compare(kind: BackendKind, shape: [usize; 4], weight: [usize; 4], window: Window) {
    let Ok(device) = kind.device(0) else { return };
    let [batch, input, mels, frames] = shape;
    for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F64, 1e-13)] {
        let run = |own: bool| {
            let leaf =
                |shape, seed| noise(shape, seed, &device).cast(dtype).autodiff().require_grad();
            let (x, w) = (leaf([batch, input, frames, mels], 1), leaf(weight, 2));
            let view = x.clone().swap_dims(2, 3);
            let y = match own {
                true => convolve(view, w.clone(), window),
                false => conv2d(view, w.clone(), None, window.options()),
            };
            let dy = noise(y.dims(), 3, &device).cast(dtype);
            let gradients = (y.clone() * dy).sum().backward();
            [y.inner(), x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap()]
        };
        for (what, (ours, theirs)) in
            ["output", "input", "weight"].iter().zip(run(true).into_iter().zip(run(false)))
        {
            let d = distance(ours, theirs);
            assert!(
                d < tolerance,
                "{what} {shape:?} {weight:?} {window:?} {dtype:?} {kind:?}: {d:e}"
            );
        }
    }
}

/// Sizes that make one tile and several, odd sizes, every stride.
#[test]
fn equals_burns_convolution() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        let large = if kind == BackendKind::Flex { [2, 40, 33, 101] } else { [1, 3, 6, 7] };
        for (shape, output, kernel, stride) in [
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
            let weight = [output, shape[1], kernel, kernel];
            compare(kind, shape, weight, Window::same([kernel; 2], stride));
        }
    }
}

/// Kernels over frames, rectangles, dilation, padding beyond the input, kernels of the stride's
/// size, groups of one channel, of few and of many.
#[test]
fn equals_burns_convolution_of_every_other_kind() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        for (shape, weight, window) in [
            ([2, 7, 1, 50], [9, 7, 1, 5], window([1, 1], [0, 2], [1, 1], 1)),
            ([2, 7, 1, 51], [9, 7, 1, 5], window([1, 2], [0, 2], [1, 1], 1)),
            ([2, 6, 1, 40], [6, 6, 1, 3], window([1, 1], [0, 4], [1, 4], 1)),
            ([1, 6, 1, 30], [5, 6, 1, 3], window([1, 1], [0, 0], [1, 3], 1)),
            ([1, 3, 1, 1], [5, 3, 1, 5], window([1, 1], [0, 2], [1, 1], 1)),
            ([1, 3, 1, 2], [5, 3, 1, 3], window([1, 1], [0, 4], [1, 4], 1)),
            ([1, 3, 4, 9], [5, 3, 3, 3], window([1, 1], [3, 4], [1, 1], 1)),
            ([2, 4, 8, 9], [6, 4, 2, 1], window([2, 1], [0, 0], [1, 1], 1)),
            ([2, 4, 9, 23], [6, 4, 3, 4], window([3, 4], [0, 0], [1, 1], 1)),
            ([2, 4, 9, 14], [6, 4, 3, 3], window([2, 1], [1, 1], [1, 1], 1)),
            ([1, 3, 9, 14], [2, 3, 3, 5], window([1, 1], [1, 2], [1, 1], 1)),
            ([1, 3, 12, 17], [2, 3, 3, 2], window([2, 2], [2, 1], [2, 3], 1)),
            ([2, 8, 7, 37], [8, 4, 3, 3], window([1, 1], [1, 1], [1, 1], 2)),
            ([2, 6, 7, 70], [3, 2, 3, 3], window([1, 1], [1, 1], [1, 1], 3)),
            ([1, 15, 5, 9], [21, 5, 3, 3], window([1, 1], [1, 1], [1, 1], 3)),
            ([1, 16, 5, 33], [16, 8, 1, 1], window([1, 1], [0, 0], [1, 1], 2)),
            ([2, 18, 6, 13], [22, 9, 3, 3], window([1, 1], [1, 1], [1, 1], 2)),
            ([2, 18, 6, 13], [20, 9, 3, 3], window([2, 2], [1, 1], [1, 1], 2)),
            ([2, 5, 8, 22], [10, 1, 2, 2], window([2, 2], [0, 0], [1, 1], 5)),
            ([1, 4, 7, 27], [8, 1, 2, 4], window([2, 4], [0, 0], [1, 1], 4)),
            ([1, 4, 7, 26], [4, 2, 3, 3], window([2, 3], [1, 1], [1, 1], 2)),
            ([1, 4, 9, 26], [4, 2, 3, 3], window([2, 2], [2, 2], [2, 2], 2)),
            ([1, 4, 9, 26], [4, 2, 2, 3], window([1, 1], [3, 5], [2, 2], 2)),
            ([2, 6, 1, 65], [6, 1, 1, 7], window([1, 1], [0, 3], [1, 1], 6)),
            ([2, 6, 1, 40], [6, 1, 1, 59], window([1, 1], [0, 29], [1, 1], 6)),
            ([1, 3, 1, 1], [3, 1, 1, 59], window([1, 1], [0, 29], [1, 1], 3)),
            ([2, 4, 5, 16], [4, 1, 3, 3], window([1, 1], [1, 1], [1, 1], 4)),
        ] {
            compare(kind, shape, weight, window);
        }
    }
}

/// Rows of lines and columns of patches that fill more than one piece.
#[cfg(feature = "flex")]
#[test]
fn equals_burns_convolution_in_several_pieces() {
    for (shape, weight, window) in [
        ([1, 300, 1, 700], [10, 300, 1, 3], window([1, 1], [0, 2], [1, 2], 1)),
        ([1, 300, 1, 1300], [10, 300, 1, 3], window([1, 2], [0, 1], [1, 1], 1)),
        ([1, 16, 30, 300], [16, 8, 3, 3], window([1, 1], [1, 1], [1, 1], 2)),
        ([1, 16, 60, 500], [16, 8, 3, 3], window([2, 2], [1, 1], [1, 1], 2)),
    ] {
        compare(BackendKind::Flex, shape, weight, window);
    }
}

/// Results do not depend on the number of threads.
#[cfg(feature = "flex")]
#[test]
fn grouped_results_are_the_same_on_one_thread_and_three() {
    let window = window([1, 1], [1, 1], [1, 1], 2);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let device = BackendKind::Flex.device(0).unwrap();
            let leaf = |shape, seed| noise(shape, seed, &device).autodiff().require_grad();
            let (x, w) = (leaf([3, 8, 9, 33], 1), leaf([8, 4, 3, 3], 2));
            let y = convolve(x.clone(), w.clone(), window);
            let gradients = (y.clone() * y.clone()).sum().backward();
            [y.inner(), x.grad(&gradients).unwrap(), w.grad(&gradients).unwrap()]
                .map(|t| t.into_data().try_to_vec::<f32>().unwrap())
        })
    };
    assert_eq!(run(1), run(3));
}

/// Shapes that show faults of GPU kernels: one input channel, few channels with a stride, a width
/// that fills no tile, odd sizes, several tiles and several parts of a sum.
#[cfg(feature = "wgpu-bare")]
#[test]
fn wgpu_kernels_equal_the_same_sums_in_f64() {
    let (gpu, cpu) = (BackendKind::Wgpu.device(0).unwrap(), BackendKind::Flex.device(0).unwrap());
    let square = |shape: [usize; 4], output, kernel, stride| {
        let weight = [output, shape[1], kernel, kernel];
        (shape, weight, Window::same([kernel; 2], stride))
    };
    for (shape, weight, window) in [
        square([2, 1, 16, 20], 32, 3, [1, 1]),
        square([2, 16, 9, 13], 8, 1, [2, 2]),
        square([2, 16, 8, 12], 8, 1, [2, 2]),
        square([2, 44, 5, 9], 32, 3, [1, 1]),
        square([3, 5, 7, 11], 70, 3, [2, 2]),
        square([1, 3, 6, 9], 3, 3, [2, 1]),
        square([1, 33, 3, 5], 65, 5, [1, 2]),
        square([2, 4, 40, 50], 6, 3, [1, 1]),
        square([1, 1, 1, 1], 2, 3, [1, 1]),
        ([2, 7, 1, 51], [9, 7, 1, 5], window([1, 2], [0, 2], [1, 1], 1)),
        ([2, 6, 1, 40], [6, 6, 1, 3], window([1, 1], [0, 4], [1, 4], 1)),
        ([1, 3, 4, 9], [5, 3, 3, 3], window([1, 1], [3, 4], [1, 1], 1)),
        ([2, 4, 9, 23], [6, 4, 3, 4], window([3, 4], [0, 0], [1, 1], 1)),
        ([1, 3, 12, 17], [2, 3, 3, 2], window([2, 2], [2, 1], [2, 3], 1)),
        ([2, 8, 7, 37], [8, 4, 3, 3], window([1, 1], [1, 1], [1, 1], 2)),
        ([1, 15, 5, 9], [21, 5, 3, 3], window([2, 1], [1, 1], [1, 1], 3)),
        ([2, 5, 8, 23], [10, 1, 2, 2], window([2, 2], [0, 0], [1, 1], 5)),
        ([2, 6, 1, 40], [6, 1, 1, 59], window([1, 1], [0, 29], [1, 1], 6)),
    ] {
        for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F16, 1e-3), (DType::BF16, 8e-3)] {
            if !gpu.supports_dtype(dtype) {
                continue;
            }
            let run = |device: &Device, inside: DType| {
                let leaf = |shape, seed| {
                    noise(shape, seed, device).cast(dtype).cast(inside).autodiff().require_grad()
                };
                let (x, w) = (leaf(shape, 1), leaf(weight, 2));
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
                assert!(d < tolerance, "{what} {shape:?} {weight:?} {window:?} {dtype:?}: {d:e}");
            }
        }
    }
}
