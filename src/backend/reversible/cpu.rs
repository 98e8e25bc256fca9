//! The grid on f32 values in memory: adding a large number pushes the lower bits out of the
//! significand. Values of `2^(22 - bits)` and more keep a bit more or less than asked for.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;

use super::op::{shift_plain, snap_plain};
use crate::backend::flex::own;

fn large(bits: i32) -> f32 {
    1.5 * 2f32.powi(23 - bits)
}

/// See [`super::ReversibleOps::snap`].
pub(super) fn snap(mut x: FloatTensor<Flex>, bits: i32) -> FloatTensor<Flex> {
    if x.dtype() != DType::F32 {
        return snap_plain::<Flex>(x, bits);
    }
    let large = large(bits);
    match own(&mut x) {
        Some(values) => values.iter_mut().for_each(|v| *v = (*v + large) - large),
        None => return snap_plain::<Flex>(x, bits),
    }
    x
}

/// See [`super::ReversibleOps::shift`]; in the place of whichever operand nobody else uses.
pub(super) fn shift(
    mut x: FloatTensor<Flex>,
    mut change: FloatTensor<Flex>,
    bits: i32,
    back: bool,
) -> FloatTensor<Flex> {
    if x.dtype() != DType::F32 {
        return shift_plain::<Flex>(x, change, bits, back);
    }
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
    shift_plain::<Flex>(x, change, bits, back)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn equals_the_plain_operations() {
        let values: Vec<f32> =
            (0..4001).map(|i| (i as f32 - 2000.0) * 0.001_2 * 1.0001f32.powi(i)).collect();
        let tensor = |values: &[f32]| {
            FloatTensor::<Flex>::from_data(TensorData::new(values.to_vec(), [values.len()]))
        };
        let read = |t: FloatTensor<Flex>| t.as_slice::<f32>().unwrap().to_vec();
        let other: Vec<f32> = values.iter().rev().map(|v| 0.7 * v).collect();
        for bits in [10, 18, 20] {
            let wanted = read(snap_plain::<Flex>(tensor(&values), bits));
            assert!(read(snap(tensor(&values), bits)) == wanted, "snap, {bits} bits");
            for back in [false, true] {
                let (x, change) = (tensor(&other), tensor(&values));
                let wanted = read(shift_plain::<Flex>(x.clone(), change.clone(), bits, back));
                // Both shared, one of the two shared, none.
                assert!(
                    read(shift(x.clone(), change.clone(), bits, back)) == wanted,
                    "{bits} bits, back {back}"
                );
                assert!(
                    read(shift(tensor(&other), change.clone(), bits, back)) == wanted,
                    "{bits} bits, back {back}"
                );
                assert!(
                    read(shift(x.clone(), tensor(&values), bits, back)) == wanted,
                    "{bits} bits, back {back}"
                );
                assert!(
                    read(shift(tensor(&other), tensor(&values), bits, back)) == wanted,
                    "{bits} bits, back {back}"
                );
            }
        }
    }
}
