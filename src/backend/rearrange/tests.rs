use super::*;
use crate::backend::BackendKind;
use burn::tensor::{DType, Device, TensorData};

/// The numbers from 1 on, in this shape.
fn numbers(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (1..=shape.iter().product()).map(|i: usize| i as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn read(x: &Tensor<4>) -> Vec<f32> {
    x.to_data().convert::<f32>().try_to_vec().unwrap()
}

/// The values of `[batch, channels, mels, frames]` in row-major order.
fn made(
    [batch, channels, mels, frames]: [usize; 4],
    value: impl Fn([usize; 4]) -> f32,
) -> Vec<f32> {
    let mut all = Vec::new();
    for b in 0..batch {
        for c in 0..channels {
            for m in 0..mels {
                all.extend((0..frames).map(|t| value([b, c, m, t])));
            }
        }
    }
    all
}

/// What [`numbers`] has at a place.
fn number([_, channels, mels, frames]: [usize; 4], [b, c, m, t]: [usize; 4]) -> f32 {
    (((b * channels + c) * mels + m) * frames + t + 1) as f32
}

/// Compares an operation with what it must make of the [`numbers`], and its gradient with
/// what must come of the numbers as the output's gradient.
#[track_caller]
fn check(
    x: Tensor<4>,
    operation: impl Fn(Tensor<4>) -> Tensor<4>,
    wanted: (Vec<f32>, [usize; 4]),
    gradient: Vec<f32>,
    what: &str,
) {
    let y = operation(x.clone());
    assert_eq!(y.dims(), wanted.1, "{what}");
    assert_eq!(read(&y), wanted.0, "{what}");
    let leaf = x.autodiff().require_grad();
    let y = operation(leaf.clone());
    let weights = numbers(y.dims(), &y.device()).cast(y.dtype());
    let gradients = (y * weights).sum().backward();
    assert_eq!(read(&leaf.grad(&gradients).unwrap()), gradient, "{what}, gradient");
}

fn squeezes(device: &Device, dtype: DType, what: &str) {
    for (shape, by) in [
        ([2, 3, 4, 6], [2, 2]),
        ([1, 1, 2, 1], [2, 1]),
        ([3, 5, 8, 9], [4, 3]),
        ([1, 2, 5, 7], [1, 1]),
    ] {
        let ([batch, channels, mels, frames], [h, w]) = (shape, by);
        let what = format!("{what}, {shape:?} squeezed by {by:?}");
        let small = [batch, channels * h * w, mels / h, frames / w];
        let squeezed = made(small, |[b, c, m, t]| {
            let (part, c) = (c / channels, c % channels);
            number(shape, [b, c, m * h + part / w, t * w + part % w])
        });
        let unsqueezed = made(shape, |[b, c, m, t]| {
            let part = m % h * w + t % w;
            number(small, [b, part * channels + c, m / h, t / w])
        });
        let x = numbers(shape, device).cast(dtype);
        let wanted = (squeezed.clone(), small);
        check(x, |x| squeeze(x, by), wanted, unsqueezed.clone(), &what);
        let y = numbers(small, device).cast(dtype);
        check(y, |y| unsqueeze(y, by), (unsqueezed, shape), squeezed, &format!("{what} and back"));
    }
}

fn parts(device: &Device, dtype: DType, what: &str) {
    for ([batch, channels, mels, frames], first) in
        [([2, 6, 3, 5], 3), ([1, 2, 1, 1], 1), ([3, 5, 2, 7], 2)]
    {
        let shape = [batch, channels, mels, frames];
        let what = format!("{what}, {shape:?} in parts");
        let x = numbers(shape, device).cast(dtype);
        let sizes = [first, channels - first].map(|n| [batch, n, mels, frames]);
        for (k, from) in [0, first].into_iter().enumerate() {
            let wanted = made(sizes[k], |[b, c, m, t]| number(shape, [b, from + c, m, t]));
            let gradient = made(shape, |[b, c, m, t]| match c.checked_sub(from) {
                Some(c) if c < sizes[k][1] => number(sizes[k], [b, c, m, t]),
                _ => 0.0,
            });
            let part = |x| split(x, first)[k].clone();
            check(x.clone(), part, (wanted, sizes[k]), gradient, &format!("{what}, {k}"));
        }
        let whole = |x: Tensor<4>| {
            let [a, b] = split(x, first);
            join(a, b)
        };
        let same = read(&x);
        check(x, whole, (same.clone(), shape), same, &format!("{what}, joined"));
        // A part that is not on the tape is a constant.
        let [a, b] = sizes.map(|size| numbers(size, device).cast(dtype));
        let wanted = made(shape, |[b, c, m, t]| match c.checked_sub(first) {
            Some(c) => number(sizes[1], [b, c, m, t]),
            None => number(sizes[0], [b, c, m, t]),
        });
        let gradient = made(sizes[1], |[b, c, m, t]| number(shape, [b, first + c, m, t]));
        check(b, |b| join(a.clone(), b), (wanted, shape), gradient, &format!("{what}, join"));
    }
}

fn sizes(device: &Device, dtype: DType, what: &str) {
    for size in [[4, 8], [3, 9], [4, 7], [2, 6], [1, 10], [3, 7]] {
        let shape = [2, 2, 3, 7];
        let what = format!("{what}, {shape:?} to {size:?}");
        let fitted = [2, 2, size[0], size[1]];
        let common = |[_, _, m, t]: [usize; 4]| m < size[0].min(3) && t < size[1].min(7);
        let at = |shape, place| if common(place) { number(shape, place) } else { 0.0 };
        let wanted = (made(fitted, |place| at(shape, place)), fitted);
        let gradient = made(shape, |place| at(fitted, place));
        check(numbers(shape, device).cast(dtype), |x| fit(x, size), wanted, gradient, &what);
    }
}

fn all(kind: BackendKind) {
    let Ok(device) = kind.device(0) else { return };
    // The numbers are exact in both. In bf16 those above 256 are not.
    for dtype in [DType::F32, DType::F16] {
        if device.supports_dtype(dtype) {
            let what = format!("{kind:?} {dtype:?}");
            squeezes(&device, dtype, &what);
            parts(&device, dtype, &what);
            sizes(&device, dtype, &what);
        }
    }
}

#[test]
fn values_and_gradients_go_where_they_belong() {
    [BackendKind::Flex, BackendKind::Ndarray].into_iter().for_each(all);
}

#[test]
fn values_and_gradients_go_where_they_belong_on_wgpu_and_cuda() {
    [BackendKind::Wgpu, BackendKind::Cuda].into_iter().for_each(all);
}

/// From a view, and one after the other.
#[test]
fn large_views_equal_the_plain_twin_on_wgpu_and_cuda() {
    for kind in [BackendKind::Wgpu, BackendKind::Cuda] {
        let (Ok(device), Ok(peer)) = (kind.device(0), BackendKind::Flex.device(0)) else {
            continue;
        };
        let run = |device: &Device| {
            let x = numbers([3, 80, 67, 44], device).swap_dims(1, 2);
            let [a, b] = split(squeeze(x, [2, 2]), 100);
            read(&fit(join(b, a), [41, 20]))
        };
        assert!(run(&device) == run(&peer), "{kind:?}");
    }
}
