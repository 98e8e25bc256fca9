//! Bounds of rounding, and tensors against single numbers.

use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;

/// What 24 bits make of `x`.
fn cut(x: f32, addend: u32) -> f32 {
    let bits = encoded(x, addend).to_le_bytes();
    decoded([bits[0], bits[1], bits[2]])
}

/// Numbers of all exponents and both signs, subnormal ones among them.
fn numbers() -> Vec<f32> {
    let mut stream = Stream::new(1, "24 bits", &[]);
    let drawn = (0..20_000).map(|_| f32::from_bits(stream.bits() as u32));
    let edges = (1..255u32).flat_map(|exponent| {
        let power = exponent << 23;
        [power - 1, power, power + 1, power + 0x7f, power + 0x80, power + 0x7f_ffff]
    });
    let small = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x80_0000];
    let edges = edges.chain(small).flat_map(|bits| [bits, bits | (1 << 31)]).map(f32::from_bits);
    drawn.chain(edges).filter(|x| x.is_finite()).collect()
}

/// The relative error is at most 2^-16 to the nearest value, and below 2^-15 by chance. Subnormal
/// numbers have the absolute error of the smallest normal one.
#[test]
fn errors_are_bounded() {
    let largest = f32::from_bits(0x7f7f_ff00);
    for x in numbers() {
        let least = f32::MIN_POSITIVE;
        let size = f64::from(x.abs().max(least));
        let error = |addend| (f64::from(cut(x, addend)) - f64::from(x)).abs();
        if x.abs() <= largest {
            assert!(error(0x80) <= size * 2f64.powi(-16), "{x:e}");
        }
        for addend in [0, 1, 0x55, 0xfe, 0xff] {
            assert!(error(addend) < size * 2f64.powi(-15), "{x:e}, {addend}");
            assert!(cut(x, addend).is_finite(), "{x:e}, {addend}");
            assert_eq!(cut(x, addend).is_sign_negative(), x.is_sign_negative(), "{x:e}");
        }
    }
}

/// What has been rounded once stays what it is, whatever the chances.
#[test]
fn rounded_values_stay() {
    for x in numbers() {
        let once = cut(x, 0x80);
        for addend in 0..=0xff {
            assert_eq!(cut(once, addend).to_bits(), once.to_bits(), "{x:e}, {addend}");
        }
    }
}

/// The mean over all chances is the number itself, to the bit.
#[test]
fn rounding_by_chance_has_no_bias() {
    for x in numbers().into_iter().step_by(40).filter(|x| x.abs() < 1e38) {
        let sum: f64 = (0..=0xff).map(|addend| f64::from(cut(x, addend)) - f64::from(x)).sum();
        assert_eq!(sum, 0.0, "{x:e}");
    }
}

#[test]
fn infinities_and_nan_stay_what_they_are() {
    for addend in [0, 0x80, 0xff] {
        for x in [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(cut(x, addend).to_bits(), x.to_bits(), "{x}, {addend}");
        }
        for bits in [0x7f80_0001, 0x7fff_ffff, 0xffff_ffff, 0xff80_0001] {
            assert!(cut(f32::from_bits(bits), addend).is_nan(), "{bits:x}, {addend}");
        }
        assert_eq!(cut(f32::MAX, addend).to_bits(), 0x7f7f_ff00);
    }
}

/// 4096 changes of 2^-20, where the step between two values is 2^-15: all of it by chance, within
/// four deviations, and nothing to the nearest value.
#[test]
fn small_changes_add_up() {
    let walk = |rounding: &dyn Fn(u32) -> Rounding| {
        (0..4096).fold(1.0f32, |x, step| cut(x + 2f32.powi(-20), rounding(step).addend(3)))
    };
    assert_eq!(walk(&|_| Rounding::Nearest), 1.0);
    let moved = f64::from(walk(&|step| Rounding::of(step, 5))) - 1.0;
    let wanted = 4096.0 * 2f64.powi(-20);
    let deviation = (4096.0f64 * 31.0 / 32.0 / 32.0).sqrt() * 2f64.powi(-15);
    assert!((moved - wanted).abs() < 4.0 * deviation, "{moved} instead of {wanted}");
}

/// Tensors of several tasks are rounded element by element, on every CPU backend alike.
#[test]
fn tensors_are_their_elements() {
    let mut stream = Stream::new(2, "24 bits", &[]);
    let count = 2 * (RUN + 3);
    let values: Vec<f32> = (0..count).map(|_| stream.normal() as f32).collect();
    let devices = [BackendKind::Flex, BackendKind::Ndarray].map(|kind| kind.device(0));
    for device in devices.into_iter().flatten() {
        for rounding in [Rounding::Nearest, Rounding::of(7, 1)] {
            let data = TensorData::new(values.clone(), [2, RUN + 3]);
            let x = Tensor::<2>::from_data(data, (&device, DType::F32));
            let packed = Packed::new(x, rounding);
            assert_eq!(packed.bytes.len(), 3 * count);
            let back = packed.value::<2>();
            assert_eq!(back.dims(), [2, RUN + 3]);
            let back = back.into_data().try_to_vec::<f32>().unwrap();
            for (i, (&x, &y)) in values.iter().zip(&back).enumerate() {
                assert_eq!(y.to_bits(), cut(x, rounding.addend(i)).to_bits(), "{i}");
            }
        }
    }
    // Steps, tensors and elements have chances of their own.
    let chances = |step, tensor| -> Vec<u32> {
        (0..64).map(|i| Rounding::of(step, tensor).addend(i)).collect()
    };
    let all = [chances(0, 0), chances(1, 0), chances(0, 1), chances(1, 1)];
    assert!((1..4).all(|i| all[..i].iter().all(|other| *other != all[i])));
    assert!(all[0].iter().any(|chance| *chance != all[0][0]));
}
