use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;
use burn::tensor::{DType, Device, TensorData};

/// Numbers around 1.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut stream = Stream::new(seed, "simam", &[]);
    (0..count).map(|_| f64::from((stream.normal() * 2.0 + 1.0) as f32)).collect()
}

/// The formula, plane by plane.
fn formula(x: &[f64], plane: usize) -> Vec<f64> {
    let gated = |x: &[f64]| -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / plane as f64;
        let squares: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
        let below = 4.0 * (squares / (plane.max(2) - 1) as f64 + 1e-4);
        x.iter().map(|x| x / (1.0 + (-(x - mean).powi(2) / below - 0.5).exp())).collect()
    };
    x.chunks(plane).flat_map(gated).collect()
}

/// The derivative of the formula's product with `weights`, by differences.
fn slopes(x: &[f64], weights: &[f64], plane: usize) -> Vec<f64> {
    let step = 1e-5;
    let mut x = x.to_vec();
    let slope = |i: usize| {
        let (first, kept) = (i / plane * plane, x[i]);
        let mut at = |value: f64| -> f64 {
            x[i] = value;
            let y = formula(&x[first..first + plane], plane);
            y.iter().zip(&weights[first..]).map(|(y, w)| y * w).sum()
        };
        let slope = (at(kept + step) - at(kept - step)) / (2.0 * step);
        x[i] = kept;
        slope
    };
    (0..weights.len()).map(slope).collect()
}

fn on(values: &[f64], shape: [usize; 4], dtype: DType, device: &Device) -> Tensor<4> {
    let values = TensorData::new(values.to_vec(), shape).convert::<f32>();
    let values: Tensor<4> = Tensor::from_data(values, device);
    values.cast(dtype)
}

fn read(x: Tensor<4>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

fn near(what: &str, ours: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), wanted.len());
    let top = wanted.iter().fold(1.0f64, |m, x| m.max(x.abs()));
    let off = ours.iter().zip(wanted).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(off <= tolerance * top, "{what}: off by {off} of {top}");
}

#[test]
fn output_and_gradient_are_those_of_the_formula() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        let Ok(device) = kind.device(0) else { continue };
        // Differences are right to 1e-9 or so.
        for (dtype, tolerance) in [(DType::F32, 5e-6), (DType::F64, 1e-7)] {
            for shape in [[1, 1, 1, 1], [2, 3, 1, 3], [2, 2, 5, 7], [1, 2, 8, 16]] {
                let plane = shape[2] * shape[3];
                let count = shape.iter().product();
                let (x, weights) = (numbers(count, 1), numbers(count, 2));
                let (y, dx) = (formula(&x, plane), slopes(&x, &weights, plane));
                let what = format!("{kind:?} {dtype:?} {shape:?}");
                let leaf = on(&x, shape, dtype, &device).autodiff().require_grad();
                let out = simam(leaf.clone());
                let weighed = out.clone() * on(&weights, shape, dtype, &device).autodiff();
                let gradients = weighed.sum().backward();
                near(&what, &read(out.inner()), &y, tolerance);
                near(&what, &read(leaf.grad(&gradients).unwrap()), &dx, tolerance);
                // In place, and of a view.
                near(&what, &read(simam(on(&x, shape, dtype, &device))), &y, tolerance);
                let turned = simam(on(&x, shape, dtype, &device).swap_dims(2, 3));
                near(&what, &read(turned.swap_dims(2, 3)), &y, tolerance);
            }
        }
    }
}

/// The gradient comes as a view.
#[test]
fn views_have_gradients() {
    let device = Device::default();
    let shape = [2, 2, 3, 5];
    let (x, weights) = (numbers(60, 1), numbers(60, 2));
    let leaf = on(&x, shape, DType::F32, &device).autodiff().require_grad();
    let y = simam(leaf.clone()).swap_dims(2, 3);
    let w = on(&weights, shape, DType::F32, &device).swap_dims(2, 3).autodiff();
    let gradients = (y * w).sum().backward();
    let wanted = slopes(&x, &weights, 15);
    near("a view", &read(leaf.grad(&gradients).unwrap()), &wanted, 5e-6);
}

#[test]
fn not_a_number_stays_in_its_plane() {
    let device = Device::default();
    let mut x = numbers(24, 1);
    x[3] = f64::NAN;
    let y = read(simam(on(&x, [1, 2, 3, 4], DType::F32, &device)));
    assert!(y[..12].iter().all(|y| y.is_nan()) && y[12..].iter().all(|y| y.is_finite()));
}
