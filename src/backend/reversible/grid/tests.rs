use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{GridOps, difference, plain, shift, snap, sum};
use crate::backend::BackendKind;

#[test]
fn the_fast_path_equals_the_plain_twin() {
    let values: Vec<f32> =
        (0..4001).map(|i| (i as f32 - 2000.0) * 0.001_2 * 1.0001f32.powi(i)).collect();
    let tensor = |values: &[f32]| {
        FloatTensor::<Flex>::from_data(TensorData::new(values.to_vec(), [values.len()]))
    };
    let read = |t: FloatTensor<Flex>| t.as_slice::<f32>().unwrap().to_vec();
    let other: Vec<f32> = values.iter().rev().map(|v| 0.7 * v).collect();
    for bits in [10, 18, 20] {
        let wanted = read(plain::snap::<Flex>(tensor(&values), bits));
        assert!(
            read(<Flex as GridOps>::snap(tensor(&values), bits)) == wanted,
            "snap, {bits} bits"
        );
        for back in [false, true] {
            let (x, change) = (tensor(&other), tensor(&values));
            let wanted = read(plain::shift::<Flex>(x.clone(), change.clone(), bits, back));
            for (shared, x, change) in [
                ("both", x.clone(), change.clone()),
                ("change", tensor(&other), change.clone()),
                ("x", x.clone(), tensor(&values)),
                ("none", tensor(&other), tensor(&values)),
            ] {
                let ours = read(<Flex as GridOps>::shift(x, change, bits, back));
                assert!(ours == wanted, "{bits} bits, back {back}, shared: {shared}");
            }
        }
    }
}

const SIZES: [usize; 4] = [1, 3, 1000, 40_001];
const BITS: [i32; 3] = [10, 18, 20];

fn gpus() -> Vec<(BackendKind, Device)> {
    let kinds = [BackendKind::Wgpu, BackendKind::Cuda];
    kinds.into_iter().filter_map(|kind| Some((kind, kind.device(0).ok()?))).collect()
}

/// Values of many sizes; every fourth is a tie.
fn values(count: usize, bits: i32) -> Vec<f32> {
    let value = |i: usize| {
        let far = i as f32 - (count / 2) as f32;
        match i % 4 {
            0 => (far + 0.5) * 2f32.powi(-bits),
            1 => far * 0.001_7,
            2 => far * 123.4,
            _ => far * 2f32.powi(-bits) * 0.37,
        }
    };
    (0..count).map(value).collect()
}

fn times(factor: f32, values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| factor * v).collect()
}

fn on(values: &[f32], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, 1, 1, values.len()]), device)
}

fn read(x: Tensor<4>) -> Vec<f32> {
    x.into_data().convert::<f32>().try_to_vec().unwrap()
}

fn nearest(x: f32, bits: i32) -> f32 {
    (x * 2f32.powi(bits)).round_ties_even() * 2f32.powi(-bits)
}

#[track_caller]
fn equal(ours: Tensor<4>, wanted: impl Iterator<Item = f32>, what: &str) {
    for (i, (ours, wanted)) in read(ours).into_iter().zip(wanted).enumerate() {
        assert!(ours == wanted, "{what}: value {i} is {ours:e}, not {wanted:e}");
    }
}

/// The kernels equal scalar arithmetic to the bit, and leave alone what others still use.
#[test]
fn kernels_on_wgpu_and_cuda_equal_scalar_arithmetic() {
    for ((kind, device), bits) in gpus().into_iter().flat_map(|gpu| BITS.map(|b| (gpu.clone(), b)))
    {
        for count in SIZES {
            let (xs, changes) = (values(count, bits), values(count + 5, bits)[5..].to_vec());
            for (x_is_used, change_is_used) in
                [(false, false), (true, false), (false, true), (true, true)]
            {
                let what = format!("{kind:?}, {bits} bits, {count}, {x_is_used} {change_is_used}");
                let pairs = || xs.iter().copied().zip(changes.iter().copied());
                let operands = || {
                    let (x, change) = (on(&xs, &device), on(&changes, &device));
                    let used =
                        (x_is_used.then(|| x.clone()), change_is_used.then(|| change.clone()));
                    (x, change, used)
                };
                let unchanged = |(x, change): (Option<Tensor<4>>, Option<Tensor<4>>)| {
                    x.into_iter().for_each(|x| equal(x, xs.iter().copied(), &what));
                    change.into_iter().for_each(|c| equal(c, changes.iter().copied(), &what));
                };
                let (x, _, used) = operands();
                equal(snap(x, bits), xs.iter().map(|&x| nearest(x, bits)), &what);
                unchanged(used);
                let (x, change, used) = operands();
                let wanted = pairs().map(|(x, c)| x + nearest(c, bits));
                equal(shift(x, change, bits, false), wanted, &what);
                unchanged(used);
                let (x, change, used) = operands();
                let wanted = pairs().map(|(x, c)| x - nearest(c, bits));
                equal(shift(x, change, bits, true), wanted, &what);
                unchanged(used);
                let (x, change, used) = operands();
                equal(sum(x, change), pairs().map(|(x, c)| x + c), &what);
                unchanged(used);
                let (x, change, used) = operands();
                equal(difference(x, change), pairs().map(|(x, c)| x - c), &what);
                unchanged(used);
            }
        }
    }
}

/// In 16 bits only the result is rounded to them.
#[test]
fn kernels_on_wgpu_and_cuda_compute_16_bits_in_32() {
    for ((kind, device), (dtype, error)) in gpus().into_iter().flat_map(|gpu| {
        [(DType::F16, 1e-3), (DType::BF16, 8e-3)].map(|precision| (gpu.clone(), precision))
    }) {
        if !device.supports_dtype(dtype) {
            continue;
        }
        let rounded = |values: Vec<f32>| {
            let data = TensorData::new(values, [1000]).convert_dtype(dtype);
            data.convert::<f32>().try_to_vec::<f32>().unwrap()
        };
        let (xs, changes) =
            (rounded(times(0.1, &values(1000, 8))), rounded(times(0.1, &values(1005, 8)[5..])));
        let shifted =
            shift(on(&xs, &device).cast(dtype), on(&changes, &device).cast(dtype), 8, false);
        assert_eq!(shifted.dtype(), dtype);
        for (ours, (x, change)) in read(shifted).into_iter().zip(xs.iter().zip(&changes)) {
            let wanted = x + nearest(*change, 8);
            assert!(
                (ours - wanted).abs() <= error * wanted.abs() + 1e-4,
                "{kind:?} {dtype:?} {wanted}"
            );
        }
    }
}

/// On the tape all of them pass gradients as they are.
#[test]
fn gradients_pass_on_flex_ndarray_wgpu_and_cuda() {
    type Operation = fn(Tensor<4>, Tensor<4>) -> Tensor<4>;
    let operations: [(&str, f32, Operation); 4] = [
        ("snap and shift", 1.0, |x, change| shift(snap(x, 18), change, 18, false)),
        ("shift back", -1.0, |x, change| shift(x, change, 18, true)),
        ("sum", 1.0, sum),
        ("difference", -1.0, difference),
    ];
    for kind in BackendKind::ALL {
        let Ok(device) = kind.device(0) else { continue };
        let device = device.autodiff();
        for (name, sign, operation) in operations {
            let leaf = |factor: f32| on(&times(factor, &values(7, 18)), &device).require_grad();
            let (x, change) = (leaf(1.0), leaf(-0.3));
            let dy: [f32; 7] = [3.0, -1.0, 0.5, 2.0, 7.0, -4.0, 1.5];
            let y = operation(x.clone(), change.clone());
            let gradients = (y * on(&dy, &device)).sum().backward();
            assert_eq!(read(x.grad(&gradients).unwrap()), dy, "{kind:?} {name}");
            let dchange = read(change.grad(&gradients).unwrap());
            assert_eq!(dchange, times(sign, &dy), "{kind:?} {name}");
        }
    }
}
