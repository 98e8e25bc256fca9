//! Lookups in tables by operations that every backend has.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::IntDType;

/// Each value's place among the entries of its group's row, as an index into all rows.
fn rows<B: Backend>(
    count: usize,
    groups: usize,
    entries: usize,
    device: &B::Device,
) -> IntTensor<B> {
    let place = B::int_arange(0..count as i64, device, IntDType::I32);
    match groups {
        1 => B::int_mul_scalar(place, 0i64.into()),
        _ => {
            let group = B::int_div_scalar(place, ((count / groups) as i64).into());
            B::int_mul_scalar(group, (entries as i64).into())
        }
    }
}

fn flat<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let count = x.shape().num_elements();
    B::float_reshape(x, [count].into())
}

pub(super) fn nearest<B: Backend>(
    x: FloatTensor<B>,
    bounds: FloatTensor<B>,
    table: FloatTensor<B>,
) -> FloatTensor<B> {
    let (groups, entries) = (table.shape()[0], table.shape()[1]);
    let (count, device) = (x.shape().num_elements(), x.device());
    let bools = get_or_init_device_settings::<B>(&device).bool_dtype;
    let (bounds, table) = (flat::<B>(bounds), flat::<B>(table));
    let row = rows::<B>(count, groups, entries - 1, &device);
    let mut above = B::int_zeros([count].into(), &device, IntDType::I32);
    let mut step = entries as i64 / 2;
    while step > 0 {
        let probe = B::int_add_scalar(B::int_add(row.clone(), above.clone()), (step - 1).into());
        let higher = B::float_greater(x.clone(), B::float_select(bounds.clone(), 0, probe), bools);
        let gained = B::int_mul_scalar(B::bool_into_int(higher, IntDType::I32), step.into());
        above = B::int_add(above, gained);
        step /= 2;
    }
    let row = rows::<B>(count, groups, entries, &device);
    B::float_select(table, 0, B::int_add(row, above))
}

pub(super) fn unpack<B: Backend>(
    words: IntTensor<B>,
    table: FloatTensor<B>,
    bits: usize,
    count: usize,
) -> FloatTensor<B> {
    let (groups, entries) = (table.shape()[0], table.shape()[1]);
    let device = table.device();
    let bools = get_or_init_device_settings::<B>(&device).bool_dtype;
    let last = words.shape().num_elements() as i64 - 1;
    let bits = bits as i64;
    let place =
        B::int_mul_scalar(B::int_arange(0..count as i64, &device, IntDType::I32), bits.into());
    let word = B::bitwise_right_shift_scalar(place.clone(), 5i64.into());
    let offset = B::bitwise_and_scalar(place, 31i64.into());
    // Bits of the code in its first word; the others are the lowest of the next.
    let room = B::int_add_scalar(B::int_neg(offset.clone()), 32i64.into());
    let whole = B::int_greater_elem(room.clone(), bits.into(), bools);
    let first = B::int_mask_fill(room, whole, bits.into());
    let ones = |n: IntTensor<B>| {
        let one = B::int_ones([count].into(), &device, IntDType::I32);
        B::int_sub_scalar(B::bitwise_left_shift(one, n), 1i64.into())
    };
    // Copies of a word's highest bit that an arithmetic shift brings in lie outside of the mask.
    let low = B::bitwise_right_shift(B::int_select(words.clone(), 0, word.clone()), offset);
    let low = B::bitwise_and(low, ones(first.clone()));
    let next = B::int_add_scalar(word, 1i64.into());
    let beyond = B::int_greater_elem(next.clone(), last.into(), bools);
    let next = B::int_mask_fill(next, beyond, last.into());
    let rest = B::int_add_scalar(B::int_neg(first.clone()), bits.into());
    let high =
        B::bitwise_left_shift(B::bitwise_and(B::int_select(words, 0, next), ones(rest)), first);
    let code = B::bitwise_or(low, high);
    let row = rows::<B>(count, groups, entries, &device);
    B::float_select(flat::<B>(table), 0, B::int_add(row, code))
}
