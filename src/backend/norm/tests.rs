use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;
use burn::tensor::activation::relu;
use burn::tensor::module::batch_norm_train;
use burn::tensor::{DType, Device, TensorData};

fn noise<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut stream = Stream::new(seed, "norm", &[]);
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|_| (1.5 * stream.normal() + 0.4) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn distance(a: TensorData, b: TensorData) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let numbers = |d: TensorData| d.convert::<f64>().try_to_vec::<f64>().unwrap();
    let (a, b) = (numbers(a), numbers(b));
    let difference: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
    (difference / b.iter().map(|b| b * b).sum::<f64>().max(1e-300)).sqrt()
}

/// Output, moments and all gradients against Burn's separate operations.
fn check<const D: usize>(shape: [usize; D], dtype: DType, rectify: bool, device: &Device) {
    let c = shape[1];
    let run = |own: bool| {
        let x = noise(shape, 1, device).cast(dtype).autodiff().require_grad();
        let [gamma, beta] =
            [2, 3].map(|seed| noise([c], seed, device).cast(dtype).autodiff().require_grad());
        let (y, mean, variance) = match own {
            true => {
                let (y, moments) = normalize(
                    x.clone(),
                    gamma.clone(),
                    beta.clone(),
                    Norm { epsilon: 1e-5, rectify },
                );
                let row = |i: usize| moments.clone().slice([i..i + 1, 0..c]).reshape([c]);
                (y, row(0), row(1))
            }
            false => {
                let r = batch_norm_train(x.clone(), gamma.clone(), beta.clone(), 1e-5);
                (if rectify { relu(r.output) } else { r.output }, r.mean, r.variance)
            }
        };
        // The output is used twice: its first user may not overwrite its gradient in place.
        let loss = (y.clone() * noise(shape, 4, device).cast(dtype)).sum()
            + y.clone().powi_scalar(2).sum();
        let g = loss.backward();
        vec![
            y.into_data(),
            mean.into_data(),
            variance.into_data(),
            x.grad(&g).unwrap().into_data(),
            gamma.grad(&g).unwrap().into_data(),
            beta.grad(&g).unwrap().into_data(),
        ]
    };
    let tolerance = if dtype == DType::F64 { 1e-12 } else { 3e-6 };
    for (i, (ours, theirs)) in run(true).into_iter().zip(run(false)).enumerate() {
        let d = distance(ours, theirs);
        assert!(d < tolerance, "{shape:?} {dtype:?} rectify {rectify}, output {i}: {d:e}");
    }
}

#[test]
fn equals_burns_operations() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        let Ok(device) = kind.device(0) else { continue };
        for dtype in [DType::F32, DType::F64] {
            for rectify in [false, true] {
                check([3, 4, 5, 7], dtype, rectify, &device);
                check([2, 3, 4, 16], dtype, rectify, &device);
                check([6, 5], dtype, rectify, &device);
            }
        }
    }
}

#[test]
fn the_rectifier_keeps_what_matters() {
    let device = Device::default();
    let x = noise([2, 3, 4], 1, &device).autodiff().require_grad();
    let gradients = rectify(x.clone()).powi_scalar(2).sum().backward();
    let wanted = relu(x.clone().inner()) * 2.0;
    assert!(distance(x.grad(&gradients).unwrap().into_data(), wanted.into_data()) < 1e-6);
}

#[test]
fn not_a_number_stays_one() {
    let device = Device::default();
    let x = Tensor::<2>::from_floats([[1.0, 2.0], [f32::NAN, 4.0]], &device);
    let (y, _) = normalize(
        x,
        Tensor::ones([2], &device),
        Tensor::zeros([2], &device),
        Norm { epsilon: 1e-5, rectify: true },
    );
    let y = y.into_data().try_to_vec::<f32>().unwrap();
    assert!(y[0].is_nan() && y[2].is_nan() && !y[1].is_nan());
}
