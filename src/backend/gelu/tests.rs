use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;
use burn::tensor::{DType, Device, TensorData};

/// By its integral, Simpson's rule.
fn erf(x: f64) -> f64 {
    let steps = 200;
    let h = x / f64::from(steps);
    let at = |i: i32| (-(h * f64::from(i)).powi(2)).exp();
    let weight = |i: i32| if i % 2 == 1 { 4.0 } else { 2.0 };
    let inner: f64 = (1..steps).map(|i| weight(i) * at(i)).sum();
    (at(0) + at(steps) + inner) * h / 3.0 * FRAC_2_SQRT_PI
}

fn value(x: f64) -> f64 {
    x * (1.0 + erf(x / 2f64.sqrt())) / 2.0
}

fn slope(x: f64) -> f64 {
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (1.0 + erf(x / 2f64.sqrt())) / 2.0 + x * density
}

fn read(x: Tensor<2>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

/// Arguments from -8 to 8, the output's gradients, outputs, the arguments' gradients, and the
/// gradients of something else that has the output's.
fn traced(
    device: &Device,
    dtype: DType,
    [rows, columns]: [usize; 2],
    turned: bool,
) -> [Vec<f64>; 5] {
    let count = rows * columns;
    let mut stream = Stream::new(1, "gelu", &[]);
    let arguments = (0..count).map(|i| (16.0 * (i as f64 + 0.3) / count as f64 - 8.0) as f32);
    let arguments: Vec<f32> = arguments.collect();
    // None is so small that a GPU may take it for 0.
    let mut weight = || {
        let x = stream.normal();
        (x + x.signum()) as f32
    };
    let weights: Vec<f32> = (0..count).map(|_| weight()).collect();
    let on = |values: &[f32]| {
        let data = TensorData::new(values.to_vec(), [rows, columns]);
        Tensor::<2>::from_data(data, device).cast(dtype).autodiff()
    };
    let [x, other] = [&arguments, &weights].map(|values| on(values).require_grad());
    let w = on(&weights);
    let y = match turned {
        true => gelu(x.clone().swap_dims(0, 1)).swap_dims(0, 1),
        false => gelu(x.clone()),
    };
    let gradients = ((y.clone() + other.clone()) * w.clone()).sum().backward();
    let [dx, dother] = [&x, &other].map(|leaf| leaf.grad(&gradients).unwrap());
    [x, w, y, dx, dother].map(read)
}

/// Where the parenthesis is nearly 0, its error is multiplied by the argument. In 16 bits the
/// gradient is rounded by as much as two neighbours may differ, and the smallest ones are 0; the
/// output is Burn's.
fn check(device: &Device, kind: BackendKind, dtype: DType) {
    let (rounding, least) = match dtype {
        DType::F16 => (2f64.powi(-10), 6.2e-5),
        DType::BF16 => (2f64.powi(-7), 1e-6),
        _ => (0.0, 1e-6),
    };
    for (shape, turned) in
        [([1, 1], false), ([3, 7], false), ([40, 256], false), ([37, 41], false), ([8, 300], true)]
    {
        let [x, w, y, dx, dother] = traced(device, dtype, shape, turned);
        assert_eq!(dother, w, "{kind:?} {dtype:?} {shape:?}: another's gradient");
        for (((x, w), y), dx) in x.iter().zip(&w).zip(&y).zip(&dx) {
            let off = (y - value(*x)).abs();
            let what = format!("{kind:?} {dtype:?} {shape:?}, at {x}");
            assert!(dtype != DType::F32 || off <= 1e-6 * x.abs().max(1.0), "{what}: off by {off}");
            let wanted = w * slope(*x);
            let off = (dx - wanted).abs();
            let most = least * w.abs().max(1.0) + rounding * wanted.abs();
            assert!(off <= most, "{what}: gradient {dx} instead of {wanted}");
        }
    }
}

#[test]
fn gelu_and_its_gradient_are_the_formulas() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        if let Ok(device) = kind.device(0) {
            check(&device, kind, DType::F32);
        }
    }
}

#[test]
fn other_types_on_cpus_are_the_formulas() {
    let device = BackendKind::Flex.device(0).unwrap();
    check(&device, BackendKind::Flex, DType::F64);
}

/// Without a tape the output takes the input's place.
#[test]
fn in_place_is_the_same() {
    let device = BackendKind::Flex.device(0).unwrap();
    let on = || {
        let values: Vec<f32> = (0..40_000).map(|i| (i as f32 - 20_000.0) * 5e-4).collect();
        Tensor::<2>::from_data(TensorData::new(values, [400, 100]), &device)
    };
    assert_eq!(read(gelu(on())), read(gelu(on().autodiff().require_grad()).inner()));
}

#[test]
fn far_from_zero_gelu_is_straight() {
    let device = BackendKind::Flex.device(0).unwrap();
    let values = [20.0f32, 1e4, 1e30, f32::MAX, f32::INFINITY];
    let values = values.iter().flat_map(|&x| [x, -x]).collect::<Vec<f32>>();
    let data = TensorData::new(values.clone(), [5, 2]);
    let x = Tensor::<2>::from_data(data, &device).autodiff().require_grad();
    let gradients = gelu(x.clone()).sum().backward();
    let slopes = read(x.grad(&gradients).unwrap());
    let wanted = values.iter().map(|x| if *x > 0.0 { 1.0 } else { 0.0 });
    let off = slopes.iter().zip(wanted).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(off < 1e-6, "{slopes:?}");
    let broken = Tensor::<2>::from_floats([[f32::NAN, 1.0]], &device);
    let y = read(gelu(broken));
    assert!(y[0].is_nan() && (y[1] - value(1.0)).abs() < 1e-6);
}

#[cfg(feature = "wgpu-bare")]
#[test]
fn gelu_and_its_gradient_on_a_gpu_are_the_formulas() {
    // Not every build has CUDA, and not every machine with such a build a card.
    for (kind, device) in [
        (BackendKind::Wgpu, Some(BackendKind::Wgpu.device(0).unwrap())),
        (BackendKind::Cuda, BackendKind::Cuda.device(0).ok()),
    ] {
        let Some(device) = device else { continue };
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            if dtype == DType::F32 || device.supports_dtype(dtype) {
                check(&device, kind, dtype);
            }
        }
    }
}
