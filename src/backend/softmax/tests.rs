use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;
use burn::tensor::{DType, Device, TensorData};

fn noise<const D: usize>(shape: [usize; D], seed: u64, size: f64) -> Vec<f64> {
    let mut stream = Stream::new(seed, "softmax", &[]);
    let count: usize = shape.iter().product();
    (0..count).map(|_| f64::from((stream.normal() * size) as f32)).collect()
}

fn on(values: &[f64], shape: [usize; 3], dtype: DType, device: &Device) -> Tensor<3> {
    let values = TensorData::new(values.to_vec(), shape).convert::<f32>();
    let values: Tensor<3> = Tensor::from_data(values, device);
    values.cast(dtype)
}

fn read(x: Tensor<3>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

/// Softmax and its gradient in f64, along the axis in the middle of `[outer, count, inner]`.
fn formula(x: &[f64], dy: &[f64], [outer, count, inner]: [usize; 3]) -> [Vec<f64>; 2] {
    let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
        let at = |k: usize| (o * count + k) * inner + i;
        let top = (0..count).map(|k| x[at(k)]).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = (0..count).map(|k| (x[at(k)] - top).exp()).sum();
        (0..count).for_each(|k| y[at(k)] = (x[at(k)] - top).exp() / total);
        let sum: f64 = (0..count).map(|k| y[at(k)] * dy[at(k)]).sum();
        (0..count).for_each(|k| dx[at(k)] = y[at(k)] * (dy[at(k)] - sum));
    }
    [y, dx]
}

fn near(what: &str, ours: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), wanted.len());
    let off = ours.iter().zip(wanted).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(off <= tolerance, "{what}: off by {off}");
}

#[test]
fn output_and_gradient_are_those_of_the_formula() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        let Ok(device) = kind.device(0) else { continue };
        for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F64, 1e-13)] {
            for shape in [[1, 1, 1], [2, 3, 1], [3, 2, 7], [2, 5, 37], [90, 3, 70]] {
                for axis in 0..3 {
                    let what = format!("{kind:?} {dtype:?} {shape:?} along {axis}");
                    let (x, weights) = (noise(shape, 1, 3.0), noise(shape, 2, 1.0));
                    let around: [usize; 3] = [
                        shape[..axis].iter().product(),
                        shape[axis],
                        shape[axis + 1..].iter().product(),
                    ];
                    let [y, dx] = formula(&x, &weights, around);
                    let leaf = on(&x, shape, dtype, &device).autodiff().require_grad();
                    let out = softmax(leaf.clone(), axis);
                    let weighed = out.clone() * on(&weights, shape, dtype, &device).autodiff();
                    let gradients = weighed.sum().backward();
                    near(&what, &read(out.inner()), &y, tolerance);
                    near(&what, &read(leaf.grad(&gradients).unwrap()), &dx, tolerance);
                    // Without a tape, in place.
                    near(&what, &read(softmax(on(&x, shape, dtype, &device), axis)), &y, tolerance);
                }
            }
        }
    }
}

/// Views of the input and of the gradient.
#[test]
fn views_have_gradients() {
    let device = Device::default();
    let shape = [3, 4, 19];
    let (x, weights) = (noise(shape, 1, 3.0), noise(shape, 2, 1.0));
    let [y, dx] = formula(&x, &weights, [12, 19, 1]);
    let leaf = on(&x, shape, DType::F32, &device).autodiff().require_grad();
    let out = softmax(leaf.clone().swap_dims(0, 1), 2).swap_dims(0, 1);
    let weighed = out.clone() * on(&weights, shape, DType::F32, &device).autodiff();
    let gradients = weighed.sum().backward();
    near("output", &read(out.inner()), &y, 2e-6);
    near("gradient", &read(leaf.grad(&gradients).unwrap()), &dx, 2e-6);
}

/// Logits as masks make them.
#[test]
fn what_is_left_out_weighs_nothing() {
    let device = Device::default();
    let x = on(&[1.0, -1e38, 2.0, f64::from(f32::MIN)], [1, 1, 4], DType::F32, &device);
    let y = read(softmax(x, 2));
    let share = 1.0 / (1.0 + 1f64.exp());
    assert_eq!([y[1], y[3]], [0.0; 2]);
    near("the others", &[y[0], y[2]], &[share, 1.0 - share], 1e-6);
    let x = on(&[1.0, f64::NAN, 2.0], [1, 1, 3], DType::F32, &device);
    assert!(read(softmax(x, 2)).iter().all(|y| y.is_nan()));
}
