//! The codec, and counting what is not finite.

mod gates;
mod steps;

use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;
use burn::tensor::TensorData;
use proptest::prelude::*;

const RULES: [Rounding; 3] = [Rounding::Nearest, Rounding::SignPreserving, Rounding::AboveZero];
const MAPS: [CodeMap; 2] = [CodeMap::Signed, CodeMap::Unsigned];

/// Values of many sizes: a block has zeros, neighbours fifteen decades apart, and values that lie
/// on bounds.
fn values(count: usize, seed: u64, signed: bool) -> Vec<f32> {
    let mut stream = Stream::new(seed, "optim8", &[]);
    let bounds = CodeMap::Signed.bounds();
    (0..count)
        .map(|i| {
            let x = match i % 7 {
                0 => 0.0,
                1 => bounds[stream.below(255)],
                2 => stream.normal() as f32 * 10f32.powi(stream.below(16) as i32 - 15),
                _ => stream.normal() as f32,
            };
            if signed { x } else { x.abs() }
        })
        .collect()
}

fn floats(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

fn bits(x: Tensor<1>) -> Vec<u32> {
    x.into_data().try_to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

fn bytes(x: Tensor<1, Int>, count: usize) -> Vec<u8> {
    let data = x.into_data();
    assert_eq!(data.dtype(), DType::U32);
    data.try_to_vec::<u32>().unwrap().into_iter().flat_map(u32::to_le_bytes).take(count).collect()
}

#[track_caller]
fn equal<T: PartialEq + std::fmt::Debug>(ours: &[T], wanted: &[T], what: &str) {
    assert_eq!(ours.len(), wanted.len(), "{what}");
    if let Some(i) = (0..ours.len()).find(|&i| ours[i] != wanted[i]) {
        panic!("{what}: value {i} of {} is {:?}, not {:?}", ours.len(), ours[i], wanted[i]);
    }
}

fn devices() -> Vec<(BackendKind, Device)> {
    [BackendKind::Flex, BackendKind::Ndarray]
        .into_iter()
        .filter_map(|k| Some((k, k.device(0).ok()?)))
        .collect()
}

/// The codec on every backend against scalar Rust.
#[test]
fn codec_equals_scalar_twin() {
    for (kind, device) in devices() {
        for (block, count) in [
            (1, 9),
            (3, 10),
            (256, 0),
            (256, 1),
            (256, 257),
            (256, 5000),
            (2048, 4097),
            (2048, 40_000),
        ] {
            for (map, rounding) in MAPS.into_iter().flat_map(|m| RULES.map(|r| (m, r))) {
                let what = format!("{kind:?} {map:?} {rounding:?}, {count} in blocks of {block}");
                let codec = Codec { map, rounding, block };
                let x = values(count, block as u64, map == CodeMap::Signed);
                let (codes, absmax) = codec.quantize(&x);
                let ours = Blocks::quantize(floats(&x, &device), codec);
                equal(&bytes(ours.words.clone(), count), &codes, &what);
                equal(
                    &bits(ours.absmax.clone()),
                    &absmax.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                    &what,
                );
                assert_eq!(ours.bytes(), count.next_multiple_of(4) + 4 * count.div_ceil(block));
                let back: Vec<u32> =
                    codec.dequantize(&codes, &absmax).into_iter().map(f32::to_bits).collect();
                equal(&bits(ours.dequantize(codec, [count])), &back, &what);
            }
        }
    }
}

proptest! {
    /// Any finite f32, in blocks of any size.
    #[test]
    fn codec_equals_scalar_twin_on_any_value(
        x in prop::collection::vec(any::<f32>().prop_filter("finite", |x| x.is_finite()), 1..80),
        block in 1usize..32,
        map in prop::sample::select(MAPS.to_vec()),
        rounding in prop::sample::select(RULES.to_vec()),
    ) {
        let codec = Codec { map, rounding, block };
        let (codes, absmax) = codec.quantize(&x);
        let ours = Blocks::quantize(floats(&x, &Device::default()), codec);
        prop_assert_eq!(bytes(ours.words, x.len()), codes);
        prop_assert_eq!(bits(ours.absmax), absmax.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_not_finite_is_counted() {
    for (kind, device) in devices() {
        let x = Tensor::<2>::from_floats(
            [[1.0, f32::NAN, f32::MAX], [f32::INFINITY, f32::NEG_INFINITY, 0.0]],
            &device,
        );
        assert_eq!(not_finite(x.clone()).into_scalar::<f32>(), 3.0, "{kind:?}");
        assert_eq!(not_finite(x.slice([0..1, 0..1])).into_scalar::<f32>(), 0.0, "{kind:?}");
        assert_eq!(
            not_finite(Tensor::<1>::zeros([0], &device)).into_scalar::<f32>(),
            0.0,
            "{kind:?}"
        );
    }
}
