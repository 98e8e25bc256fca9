use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;
use burn::tensor::activation::relu;
use burn::tensor::module::batch_norm_train;
use burn::tensor::{DType, Device, TensorData};

mod gpu;

const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.3;

fn noise<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut stream = Stream::new(seed, "norm", &[]);
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|_| (1.5 * stream.normal() + 0.4) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn numbers(data: TensorData) -> Vec<f64> {
    data.convert::<f64>().try_to_vec::<f64>().unwrap()
}

fn distance(a: TensorData, b: TensorData) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let (a, b) = (numbers(a), numbers(b));
    let difference: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
    (difference / b.iter().map(|b| b * b).sum::<f64>().max(1e-300)).sqrt()
}

/// What surrounds the normalisation.
#[derive(Debug, Clone, Copy)]
struct Around {
    add: bool,
    rectify: bool,
}

impl Around {
    fn all() -> impl Iterator<Item = Self> {
        [(false, false), (false, true), (true, false), (true, true)]
            .into_iter()
            .map(|(add, rectify)| Self { add, rectify })
    }
}

/// The tensors of a normalisation.
#[derive(Clone)]
struct Tensors<const D: usize> {
    x: Tensor<D>,
    other: Tensor<D>,
    /// What the loss weighs the output by.
    weights: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    mean: Tensor<1>,
    var: Tensor<1>,
}

impl<const D: usize> Tensors<D> {
    /// Values around `mean`, in one type, and parameters in another.
    fn new(shape: [usize; D], mean: f64, types: [DType; 2], device: &Device) -> Self {
        let values = |seed| noise(shape, seed, device);
        let parameters = |seed| noise([shape[1]], seed, device).cast(types[1]);
        Self {
            x: (values(1) + mean).cast(types[0]),
            other: values(2).cast(types[0]),
            weights: values(3).cast(types[0]),
            gamma: parameters(4),
            beta: parameters(5),
            mean: parameters(6),
            var: parameters(7).abs(),
        }
    }

    /// The same numbers on another device, in another type.
    fn moved(&self, dtype: DType, device: &Device) -> Self {
        fn moved<const D: usize>(x: &Tensor<D>, dtype: DType, device: &Device) -> Tensor<D> {
            let data = x.clone().into_data().convert::<f32>();
            Tensor::<D>::from_data(data, device).cast(dtype)
        }
        Self {
            x: moved(&self.x, dtype, device),
            other: moved(&self.other, dtype, device),
            weights: moved(&self.weights, dtype, device),
            gamma: moved(&self.gamma, dtype, device),
            beta: moved(&self.beta, dtype, device),
            mean: moved(&self.mean, dtype, device),
            var: moved(&self.var, dtype, device),
        }
    }

    /// Output, moments, running statistics and all gradients, by our operation or by Burn's.
    fn pass(self, around: Around, own: bool) -> Vec<(&'static str, TensorData)> {
        let [count, channels] = [self.x.shape().num_elements(), self.x.dims()[1]];
        let [x, other] = [self.x, self.other].map(|t| t.autodiff().require_grad());
        let [gamma, beta] = [self.gamma, self.beta].map(|t| t.autodiff().require_grad());
        let Around { add, rectify } = around;
        let (y, moments, [mean, var]) = if own {
            let running = Running { mean: self.mean, var: self.var, momentum: MOMENTUM };
            normalize_with(
                x.clone(),
                add.then(|| other.clone()),
                [gamma.clone(), beta.clone()],
                Some(running),
                EPSILON,
                rectify,
            )
        } else {
            let r = batch_norm_train(x.clone(), gamma.clone(), beta.clone(), EPSILON);
            let y = if add { r.output + other.clone() } else { r.output };
            let y = if rectify { relu(y) } else { y };
            let [m, v] = [r.mean, r.variance].map(|t| t.inner());
            let rows = [m.clone(), v.clone()].map(|t| t.reshape([1, channels]));
            let unbiased = plain::unbiased(count / channels);
            let mean = self.mean * (1.0 - MOMENTUM) + m * MOMENTUM;
            let var = self.var * (1.0 - MOMENTUM) + v * unbiased * MOMENTUM;
            (y, Tensor::cat(rows.to_vec(), 0), [mean, var])
        };
        // The output is used twice: its first user may not overwrite its gradient in place.
        let weighed = y.clone() * self.weights.autodiff();
        let g = (weighed.sum() + y.clone().powi_scalar(2).sum()).backward();
        let mut all = vec![
            ("output", y.into_data()),
            ("moments", moments.into_data()),
            ("running mean", mean.into_data()),
            ("running variance", var.into_data()),
            ("gradient of the input", x.grad(&g).unwrap().into_data()),
            ("gradient of gamma", gamma.grad(&g).unwrap().into_data()),
            ("gradient of beta", beta.grad(&g).unwrap().into_data()),
        ];
        all.extend(other.grad(&g).map(|g| ("gradient of what is added", g.into_data())));
        assert_eq!(all.len(), if add { 8 } else { 7 });
        all
    }
}

fn near(
    what: &str,
    ours: Vec<(&'static str, TensorData)>,
    wanted: Vec<(&'static str, TensorData)>,
    tolerance: f64,
) {
    assert_eq!(ours.len(), wanted.len());
    for ((name, a), (_, b)) in ours.into_iter().zip(wanted) {
        let d = distance(a, b);
        assert!(d < tolerance, "{what}: {name}: {d:e}");
    }
}

#[test]
fn equals_burns_operations() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        let Ok(device) = kind.device(0) else { continue };
        for dtype in [DType::F32, DType::F64] {
            for around in Around::all() {
                let tolerance = if dtype == DType::F64 { 1e-12 } else { 3e-6 };
                let what = format!("{kind:?}, {dtype:?}, {around:?}");
                fn check<const D: usize>(t: Tensors<D>, around: Around, what: &str, most: f64) {
                    near(what, t.clone().pass(around, true), t.pass(around, false), most);
                }
                let types = [dtype; 2];
                check(Tensors::new([3, 4, 5, 7], 0.0, types, &device), around, &what, tolerance);
                check(Tensors::new([2, 3, 4, 16], 0.0, types, &device), around, &what, tolerance);
                check(Tensors::new([6, 5], 0.0, types, &device), around, &what, tolerance);
            }
        }
    }
}

fn the_rectifier_keeps_what_matters_on(device: &Device) {
    for shape in [[2, 3, 4], [1, 5, 3]] {
        let x = noise(shape, 1, device).autodiff().require_grad();
        let gradients = rectify(x.clone()).powi_scalar(2).sum().backward();
        let wanted = relu(x.clone().inner()) * 2.0;
        assert!(distance(x.grad(&gradients).unwrap().into_data(), wanted.into_data()) < 1e-6);
    }
}

#[test]
fn the_rectifier_keeps_what_matters() {
    the_rectifier_keeps_what_matters_on(&Device::default());
}

fn not_a_number_stays_one_on(device: &Device) {
    let x = Tensor::<2>::from_floats([[1.0, 2.0], [f32::NAN, 4.0]], device);
    let (ones, zeros) = (Tensor::ones([2], device), Tensor::zeros([2], device));
    let (y, _) = normalize(x.clone(), ones.clone(), zeros.clone(), EPSILON, true);
    let y = y.into_data().try_to_vec::<f32>().unwrap();
    assert!(y[0].is_nan() && y[2].is_nan() && !y[1].is_nan());
    for y in [rectify(x.clone()), affine(x, None, [ones, zeros], true)] {
        let y = y.into_data().try_to_vec::<f32>().unwrap();
        assert!(y[2].is_nan() && y[3] == 4.0, "{y:?}");
    }
}

#[test]
fn not_a_number_stays_one() {
    not_a_number_stays_one_on(&Device::default());
}

/// The output is beta, and nothing depends on the input.
fn one_value_has_no_deviation_on(device: &Device) {
    for around in Around::all() {
        let types = [DType::F32; 2];
        let tensors = Tensors::<2>::new([1, 3], 0.0, types, device);
        let (beta, var) = (tensors.beta.clone(), tensors.var.clone());
        let all = tensors.pass(around, true);
        assert!(numbers(all[4].1.clone()).iter().all(|g| *g == 0.0), "{:?}", all[4]);
        assert!(distance(all[3].1.clone(), (var * (1.0 - MOMENTUM)).into_data()) < 1e-6);
        if !around.add && !around.rectify {
            // CPUs round x and the mean after they multiply them by 1 / sqrt(epsilon).
            assert!(distance(all[0].1.clone(), beta.reshape([1, 3]).into_data()) < 1e-4);
        }
    }
}

#[test]
fn one_value_has_no_deviation() {
    one_value_has_no_deviation_on(&Device::default());
}

/// Evaluation as one operation against the same as several.
fn affine_equals_its_parts_on(device: &Device, tolerance: f64) {
    fn check<const D: usize>(shape: [usize; D], device: &Device, tolerance: f64) {
        for Around { add, rectify: rectified } in Around::all() {
            let types = [DType::F32; 2];
            let t = Tensors::<D>::new(shape, 0.0, types, device);
            let mut spread = [1; D];
            spread[1] = shape[1];
            let y = t.x.clone() * t.gamma.clone().reshape(spread) + t.beta.clone().reshape(spread);
            let y = if add { y + t.other.clone() } else { y };
            let wanted = if rectified { relu(y) } else { y }.into_data();
            let other = || add.then(|| t.other.clone());
            let line = || [t.gamma.clone(), t.beta.clone()];
            let ours = affine(t.x.clone(), other(), line(), rectified).into_data();
            assert!(distance(ours, wanted.clone()) <= tolerance, "{shape:?}, add {add}");
            // In place of an input that nobody else uses.
            let own = t.x.clone() * 1.0;
            let ours = affine(own, other(), line(), rectified).into_data();
            assert!(distance(ours, wanted) <= tolerance, "{shape:?}, add {add}, in place");
        }
    }
    check([3, 4, 5, 7], device, tolerance);
    check([2, 6, 4, 8], device, tolerance);
    check([5, 3], device, tolerance);
}

#[test]
fn affine_equals_its_parts() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        let Ok(device) = kind.device(0) else { continue };
        affine_equals_its_parts_on(&device, 0.0);
    }
}
