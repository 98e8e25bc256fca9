//! The kernels against an f64 reference: Burn's separate operations on a CPU.

use super::*;

fn wgpu() -> Option<Device> {
    BackendKind::Wgpu.device(0).ok()
}

fn cpu() -> Device {
    [BackendKind::Flex, BackendKind::Ndarray]
        .into_iter()
        .find_map(|kind| kind.device(0).ok())
        .expect("tests are built with a CPU backend")
}

fn check<const D: usize>(
    shape: [usize; D],
    mean: f64,
    types: [DType; 2],
    device: &Device,
    tolerance: f64,
) {
    for around in Around::all() {
        let ours = Tensors::new(shape, mean, types, device);
        let reference = ours.moved(DType::F64, &cpu());
        let what = format!("{shape:?}, {types:?}, mean {mean}, {around:?}");
        near(&what, ours.pass(around, true), reference.pass(around, false), tolerance);
    }
}

/// Whole vectors, odd sizes, few values of a channel, many, several parts.
fn check_shapes(types: [DType; 2], device: &Device, tolerance: f64) {
    check([3, 4, 5, 7], 0.0, types, device, tolerance);
    check([2, 32, 80, 20], 0.0, types, device, tolerance);
    check([6, 5], 0.0, types, device, tolerance);
    check([128, 3, 1, 1], 0.0, types, device, tolerance);
    check([5, 2, 9, 26], 0.0, types, device, tolerance);
    check([1, 3, 33, 131], 0.0, types, device, tolerance);
    check([300, 2, 2], 0.0, types, device, tolerance);
}

#[test]
fn wgpu_equals_the_reference() {
    let Some(device) = wgpu() else { return };
    check_shapes([DType::F32; 2], &device, 1e-5);
}

/// A rounding error of the type for each value; rectifiers whose input is nearly 0 change sides.
#[test]
fn wgpu_equals_the_reference_in_half_precision() {
    let Some(device) = wgpu() else { return };
    for (dtype, tolerance) in [(DType::F16, 1e-2), (DType::BF16, 8e-2)] {
        if device.supports_dtype(dtype) {
            check_shapes([dtype; 2], &device, tolerance);
            check_shapes([dtype, DType::F32], &device, tolerance);
        }
    }
}

/// A sum of squares would have lost the deviation of 1.5.
#[test]
fn wgpu_moments_hold_far_from_zero() {
    let Some(device) = wgpu() else { return };
    for shape in [[3, 4, 5, 7], [2, 8, 40, 50]] {
        check(shape, 1e3, [DType::F32; 2], &device, 3e-4);
        let x = Tensors::new(shape, 1e3, [DType::F32; 2], &device).x;
        let channels = shape[1];
        let line = [Tensor::ones([channels], &device), Tensor::zeros([channels], &device)];
        let exact = x.clone().into_data().convert::<f32>();
        let (_, moments, _) = normalize_with(x, None, line, None, EPSILON, false);
        let x = Tensor::<4>::from_data(exact, &cpu()).cast(DType::F64);
        let ones = Tensor::<1>::ones([channels], &cpu()).cast(DType::F64);
        let zeros = Tensor::<1>::zeros([channels], &cpu()).cast(DType::F64);
        let wanted = numbers(batch_norm_train(x, ones, zeros, EPSILON).variance.into_data());
        for (ours, wanted) in numbers(moments.into_data())[channels..].iter().zip(&wanted) {
            assert!((ours - wanted).abs() < 1e-3 * wanted, "{shape:?}: {ours} instead of {wanted}");
        }
    }
}

/// Without a tape the output takes the place of the input, or of what is added, if nobody else uses
/// it.
#[test]
fn wgpu_writes_over_nobody() {
    let Some(device) = wgpu() else { return };
    for around in Around::all() {
        let t = Tensors::new([3, 4, 5, 8], 0.0, [DType::F32; 2], &device);
        let (x, other) = (t.x.clone().into_data(), t.other.clone().into_data());
        let run = |x: Tensor<4>, other: Tensor<4>| {
            let line = [t.gamma.clone(), t.beta.clone()];
            let other = around.add.then_some(other);
            normalize_with(x, other, line, None, EPSILON, around.rectify).0.into_data()
        };
        // A product has memory of its own.
        let own = |t: &Tensor<4>| t.clone() * 1.0;
        let kept = run(t.x.clone(), t.other.clone());
        assert_eq!(t.x.clone().into_data(), x, "{around:?}");
        assert_eq!(t.other.clone().into_data(), other, "{around:?}");
        for (a, b) in
            [(own(&t.x), t.other.clone()), (t.x.clone(), own(&t.other)), (own(&t.x), own(&t.other))]
        {
            assert!(distance(run(a, b), kept.clone()) < 1e-7, "{around:?}");
        }
        assert_eq!(t.x.clone().into_data(), x, "{around:?}");
        assert_eq!(t.other.clone().into_data(), other, "{around:?}");
    }
}

#[test]
fn wgpu_keeps_the_rest() {
    let Some(device) = wgpu() else { return };
    the_rectifier_keeps_what_matters_on(&device);
    not_a_number_stays_one_on(&device);
    one_value_has_no_deviation_on(&device);
    affine_equals_its_parts_on(&device, 1e-6);
}
