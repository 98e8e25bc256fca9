//! The codec and the steps in operations that every backend has: the plain twin of the fast paths.

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{BoolDType, DType, FloatDType, IntDType, Slice, TensorData};

use super::rules::{with_one, with_two};
use super::{Codec, OneMoment, PER_WORD, Rounding, TwoMoments, Update, Value};

type Moment<B> = (IntTensor<B>, FloatTensor<B>);

fn bools<B: Backend>(x: &FloatTensor<B>) -> BoolDType {
    get_or_init_device_settings::<B>(&x.device()).bool_dtype
}

fn count<B: Backend>(x: &FloatTensor<B>) -> usize {
    x.shape().num_elements()
}

/// Zeros behind a flat tensor, up to a multiple of `step`.
fn padded<B: Backend>(x: FloatTensor<B>, step: usize) -> FloatTensor<B> {
    let missing = count::<B>(&x).next_multiple_of(step) - count::<B>(&x);
    if missing == 0 {
        return x;
    }
    let zeros = B::float_zeros([missing].into(), &x.device(), FloatDType::F32);
    B::float_cat(vec![x, zeros], 0)
}

fn table<B: Backend>(values: &[f32], device: &B::Device) -> FloatTensor<B> {
    B::float_from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

pub(super) fn quantize<B: Backend>(x: FloatTensor<B>, codec: Codec) -> Moment<B> {
    let (n, device, bools) = (count::<B>(&x), x.device(), bools::<B>(&x));
    if n == 0 {
        return (
            B::int_zeros([0].into(), &device, IntDType::U32),
            B::float_zeros([0].into(), &device, FloatDType::F32),
        );
    }
    let blocks = codec.blocks(n);
    let x = B::float_cast(x, FloatDType::F32);
    let x = B::float_reshape(padded::<B>(x, codec.block), [blocks, codec.block].into());
    let absmax = B::float_max_dim(B::float_abs(x.clone()), 1);
    let empty = B::float_equal_elem(absmax.clone(), 0f32.into(), bools);
    let divisor = B::float_mask_fill(absmax.clone(), empty, 1f32.into());
    let scaled = B::float_div(x.clone(), divisor);

    // A value's code is the number of bounds below it, found by bisection.
    let flat = |x| B::float_reshape(x, [blocks * codec.block].into());
    let (x, scaled) = (flat(x), flat(scaled));
    let bounds = table::<B>(codec.map.bounds(), &device);
    let mut codes = B::int_zeros([blocks * codec.block].into(), &device, IntDType::I32);
    for step in (0..8).rev().map(|bit| 1i64 << bit) {
        let probe = B::int_add_scalar(codes.clone(), (step - 1).into());
        let above =
            B::float_greater(scaled.clone(), B::float_select(bounds.clone(), 0, probe), bools);
        let gained = B::int_mul_scalar(B::bool_into_int(above, IntDType::I32), step.into());
        codes = B::int_add(codes, gained);
    }
    let zero = i64::from(codec.map.zero());
    let raised = |mask: BoolTensor<B>, codes: IntTensor<B>, by: i64| {
        let stored = B::int_equal_elem(codes.clone(), zero.into(), bools);
        B::int_mask_fill(codes, B::bool_and(stored, mask), (zero + by).max(0).into())
    };
    codes = match codec.rounding {
        Rounding::Nearest => codes,
        Rounding::SignPreserving => raised(B::float_lower_elem(x, 0f32.into(), bools), codes, -1),
        Rounding::AboveZero => raised(B::float_greater_elem(x, 0f32.into(), bools), codes, 1),
    };

    // Four codes a word; the rest of the last word is 0.
    let words = n.div_ceil(PER_WORD);
    let codes = B::int_slice(codes, &[Slice::from(0..n)]);
    let codes = match words * PER_WORD - n {
        0 => codes,
        missing => {
            B::int_cat(vec![codes, B::int_zeros([missing].into(), &device, IntDType::I32)], 0)
        }
    };
    let codes = B::int_reshape(B::int_cast(codes, IntDType::U32), [words, PER_WORD].into());
    let column = |k: usize| {
        let column = B::int_slice(codes.clone(), &[Slice::from(0..words), Slice::from(k..k + 1)]);
        B::bitwise_left_shift_scalar(B::int_reshape(column, [words].into()), (8 * k as i64).into())
    };
    let packed = (1..PER_WORD).fold(column(0), |sum, k| B::bitwise_or(sum, column(k)));
    (packed, B::float_reshape(absmax, [blocks].into()))
}

pub(super) fn dequantize<B: Backend>(
    words: IntTensor<B>,
    absmax: FloatTensor<B>,
    codec: Codec,
    n: usize,
) -> FloatTensor<B> {
    let (device, blocks, packed) = (absmax.device(), codec.blocks(n), n.div_ceil(PER_WORD));
    if n == 0 {
        return B::float_zeros([0].into(), &device, FloatDType::F32);
    }
    let column = |k: usize| {
        let codes = B::bitwise_right_shift_scalar(words.clone(), (8 * k as i64).into());
        B::int_reshape(B::bitwise_and_scalar(codes, 255i64.into()), [packed, 1].into())
    };
    let codes = B::int_reshape(
        B::int_cat((0..PER_WORD).map(column).collect(), 1),
        [packed * PER_WORD].into(),
    );
    let codes = B::int_cast(B::int_slice(codes, &[Slice::from(0..n)]), IntDType::I32);
    let values = B::float_select(table::<B>(codec.map.values(), &device), 0, codes);
    let values = B::float_reshape(padded::<B>(values, codec.block), [blocks, codec.block].into());
    let values = B::float_mul(values, B::float_reshape(absmax, [blocks, 1].into()));
    let values = B::float_reshape(values, [blocks * codec.block].into());
    B::float_slice(values, &[Slice::from(0..n)])
}

/// A flat tensor that a rule computes with: f32, or the parameter in its own type of floats.
/// Moments that 8 bits will hold are `BOUNDED`.
struct Values<B: Backend, const BOUNDED: bool>(FloatTensor<B>);

impl<B: Backend, const BOUNDED: bool> Clone for Values<B, BOUNDED> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backend, const BOUNDED: bool> Value for Values<B, BOUNDED> {
    fn blend(a: f32, x: Self, b: f32, y: Self) -> Self {
        Self(B::float_add(x.scaled(a).0, y.scaled(b).0))
    }

    fn plus(self, factor: f32, other: &Self) -> Self {
        match factor {
            0.0 => self,
            _ => {
                let other = Self(cast::<B>(other.0.clone(), DType::F32));
                Self(B::float_add(self.0, other.scaled(factor).0))
            }
        }
    }

    fn scaled(self, factor: f32) -> Self {
        match factor {
            1.0 => self,
            _ => Self(B::float_mul_scalar(self.0, factor.into())),
        }
    }

    fn raised(self, number: f32) -> Self {
        Self(B::float_add_scalar(self.0, number.into()))
    }

    fn times(self, other: Self) -> Self {
        Self(B::float_mul(self.0, other.0))
    }

    fn over(self, other: Self) -> Self {
        Self(B::float_div(self.0, other.0))
    }

    fn root(self) -> Self {
        Self(B::float_sqrt(self.0))
    }

    fn sign(self) -> Self {
        Self(B::float_sign(self.0))
    }

    fn bounded(self) -> Self {
        match BOUNDED {
            true => Self(B::float_clamp(self.0, f32::MIN.into(), f32::MAX.into())),
            false => self,
        }
    }
}

fn cast<B: Backend>(x: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    if x.dtype() == dtype { x } else { B::float_cast(x, dtype.into()) }
}

/// New parameter, in its own type of floats, and moments.
fn update<B: Backend, R: Update<M>, const M: usize, const BOUNDED: bool>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    moments: [Values<B, BOUNDED>; M],
    rule: &R,
) -> (FloatTensor<B>, [Values<B, BOUNDED>; M]) {
    let parameter = Values::<B, BOUNDED>(parameter);
    let gradient = Values::<B, BOUNDED>(cast::<B>(gradient, DType::F32));
    let (change, moments) = rule.change(&parameter, gradient, moments);
    let change = cast::<B>(change.0, parameter.0.dtype());
    (B::float_sub(parameter.scaled(rule.shrink()).0, change), moments)
}

/// A step with moments in 32 bits.
pub(super) fn step32<B: Backend, R: Update<M>, const M: usize>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    moments: [FloatTensor<B>; M],
    rule: &R,
) -> (FloatTensor<B>, [FloatTensor<B>; M]) {
    let moments = moments.map(Values::<B, false>);
    let (parameter, moments) = update(parameter, gradient, moments, rule);
    (parameter, moments.map(|moment| moment.0))
}

/// A step with moments in 8 bits: decode, update, encode.
pub(super) fn step8<B: Backend, R: Update<M>, const M: usize>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    moments: [Moment<B>; M],
    codecs: [Codec; M],
    rule: &R,
) -> (FloatTensor<B>, [Moment<B>; M]) {
    let n = count::<B>(&parameter);
    let mut each = codecs.iter();
    let moments = moments.map(|(words, absmax)| {
        let codec = *each.next().expect("a codec for each moment");
        Values::<B, true>(dequantize::<B>(words, absmax, codec, n))
    });
    let (parameter, moments) = update(parameter, gradient, moments, rule);
    let mut each = codecs.iter();
    let moments = moments.map(|moment| {
        let codec = *each.next().expect("a codec for each moment");
        quantize::<B>(moment.0, codec)
    });
    (parameter, moments)
}

/// A step of a rule with one moment, as the backends' operation takes and gives tensors.
pub(super) fn step_one<B: Backend>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    words: IntTensor<B>,
    absmax: FloatTensor<B>,
    codec: Codec,
    rule: OneMoment,
) -> (FloatTensor<B>, IntTensor<B>, FloatTensor<B>) {
    let moments = [(words, absmax)];
    let (parameter, [(words, absmax)]) = with_one!(
        rule,
        step => step8::<B, _, 1>(parameter, gradient, moments, [codec], &step)
    );
    (parameter, words, absmax)
}

/// The same with two moments.
#[allow(clippy::type_complexity, reason = "the operation's result")]
pub(super) fn step_two<B: Backend>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    moments: [Moment<B>; 2],
    codecs: [Codec; 2],
    rule: TwoMoments,
) -> (FloatTensor<B>, IntTensor<B>, FloatTensor<B>, IntTensor<B>, FloatTensor<B>) {
    let (parameter, [(words1, absmax1), (words2, absmax2)]) = with_two!(
        rule,
        step => step8::<B, _, 2>(parameter, gradient, moments, codecs, &step)
    );
    (parameter, words1, absmax1, words2, absmax2)
}

pub(super) fn not_finite<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let (dtype, bools) = (FloatDType::from(x.dtype()), bools::<B>(&x));
    let odd = B::bool_or(B::float_is_nan(x.clone(), bools), B::float_is_inf(x, bools));
    B::float_sum(B::bool_into_float(odd, dtype))
}
