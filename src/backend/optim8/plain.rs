//! The codec and the steps in operations that every backend has: the plain twin of the fast paths.

mod passage;
mod step;

#[cfg(all(test, feature = "flex"))]
pub(super) use step::step8;
pub(super) use step::{gate, one_by_one, step_blocks, step_values};

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{BoolDType, DType, FloatDType, IntDType, Slice, TensorData};

use super::{Codec, PER_WORD, Rounding};

pub(super) type Moment<B> = (IntTensor<B>, FloatTensor<B>);

fn bools<B: Backend>(x: &FloatTensor<B>) -> BoolDType {
    get_or_init_device_settings::<B>(&x.device()).bool_dtype
}

fn count<B: Backend>(x: &FloatTensor<B>) -> usize {
    x.shape().num_elements()
}

fn cast<B: Backend>(x: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    if x.dtype() == dtype { x } else { B::float_cast(x, dtype.into()) }
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

pub(super) fn not_finite<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let (dtype, bools) = (FloatDType::from(x.dtype()), bools::<B>(&x));
    let odd = B::bool_or(B::float_is_nan(x.clone(), bools), B::float_is_inf(x, bools));
    B::float_sum(B::bool_into_float(odd, dtype))
}
