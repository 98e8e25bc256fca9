use super::*;
use crate::backend::BackendKind;
use crate::losses::composed_unit_rows;
use crate::rng::Stream;
#[cfg(feature = "wgpu-bare")]
use burn::tensor::DType;
use burn::tensor::{Device, TensorData};

fn traced(device: &Device, rows: usize, columns: usize, own: bool) -> [Vec<f64>; 2] {
    let mut stream = Stream::new(1, "rows", &[]);
    let mut values: Vec<f32> = (0..rows * columns).map(|_| stream.normal() as f32).collect();
    // A row that is too short for its own length.
    values[..columns].iter_mut().for_each(|v| *v *= 1e-8);
    let weights: Vec<f32> = (0..rows * columns).map(|_| stream.normal() as f32).collect();
    let on = |values: Vec<f32>| {
        Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), device).autodiff()
    };
    let x = on(values).require_grad();
    let y = if own { unit_rows(x.clone()) } else { composed_unit_rows(x.clone()) };
    let gradients = (y.clone() * on(weights)).sum().backward();
    [y.into_data(), x.grad(&gradients).unwrap().into_data()].map(|d| d.iter::<f64>().collect())
}

fn check(device: &Device, kind: BackendKind) {
    for (rows, columns) in [(1, 1), (3, 7), (130, 256), (5, 65)] {
        let (ours, wanted) =
            (traced(device, rows, columns, true), traced(device, rows, columns, false));
        for (ours, wanted) in ours.iter().zip(&wanted) {
            // The short row has gradients of their own size.
            for (ours, wanted) in [(&ours[..columns], &wanted[..columns]), (&ours[..], &wanted[..])]
            {
                let top = wanted.iter().fold(1e-30f64, |m, x| m.max(x.abs()));
                let off = ours.iter().zip(wanted).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
                assert!(off <= 2e-6 * top, "{kind:?} {rows}x{columns}: {off} of {top}");
            }
        }
    }
}

#[test]
fn rows_are_what_separate_operations_make() {
    for kind in [BackendKind::Flex, BackendKind::Ndarray] {
        if let Ok(device) = kind.device(0) {
            check(&device, kind);
        }
    }
}

#[cfg(feature = "wgpu-bare")]
#[test]
fn rows_on_wgpu_are_what_separate_operations_make() {
    let device = BackendKind::Wgpu.device(0).unwrap();
    check(&device, BackendKind::Wgpu);
    if device.supports_dtype(DType::F16) {
        let x = Tensor::<2>::from_floats([[3.0, 4.0], [0.0, 2.0]], &device).cast(DType::F16);
        let y: Vec<f32> = unit_rows(x).into_data().iter().collect();
        assert!(y.iter().zip([0.6, 0.8, 0.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-3), "{y:?}");
    }
}
