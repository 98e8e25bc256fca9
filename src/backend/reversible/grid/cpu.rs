//! The grid on f32 values in memory: adding a large number pushes the lower bits out of the
//! significand. Values of `2^(22 - bits)` and more keep a bit more or less than asked for.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use super::plain;
use crate::backend::flex::own;

fn large(bits: i32) -> f32 {
    1.5 * 2f32.powi(23 - bits)
}

/// See [`super::GridOps::snap`]; in place if nobody else uses the tensor.
pub(super) fn snap(mut x: FloatTensor<Flex>, bits: i32) -> FloatTensor<Flex> {
    let large = large(bits);
    match own(&mut x) {
        Some(values) => values.iter_mut().for_each(|v| *v = (*v + large) - large),
        None => return plain::snap::<Flex>(x, bits),
    }
    x
}

/// See [`super::GridOps::shift`]; in the place of whichever operand nobody else uses.
pub(super) fn shift(
    mut x: FloatTensor<Flex>,
    mut change: FloatTensor<Flex>,
    bits: i32,
    back: bool,
) -> FloatTensor<Flex> {
    let (large, sign) = (large(bits), if back { -1.0f32 } else { 1.0 });
    let sum = |x: f32, change: f32| x + sign * ((change + large) - large);
    if let (Some(values), Some(changes)) = (own(&mut x), change.as_slice::<f32>()) {
        values.iter_mut().zip(changes).for_each(|(v, &c)| *v = sum(*v, c));
        return x;
    }
    if let (Some(changes), Some(values)) = (own(&mut change), x.as_slice::<f32>()) {
        changes.iter_mut().zip(values).for_each(|(c, &v)| *c = sum(v, *c));
        return change;
    }
    plain::shift::<Flex>(x, change, bits, back)
}
