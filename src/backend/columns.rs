//! One value of each row, read and changed: the score of an example's own class.
//!
//! On CPUs it is gathered and scattered. On GPUs a mask finds it: fused with operations on whole
//! rows, Burn's gather reads the indices of neighbouring rows, and one behind the last row
//! (docs/upstream). The mask is fused too, and never stored.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};

use super::is_gpu;

/// 1 where a column is that of `at`, `[rows, 1]`, and 0 elsewhere: `[rows, columns]`. Made by
/// arithmetic, which is fused. Columns are exact as floats below 2^24.
fn own(columns: usize, at: Tensor<2, Int>, device: &Device) -> Tensor<2> {
    let all = Tensor::<1, Int>::arange(0..columns as i64, device).float().unsqueeze_dim::<2>(0);
    (all - at.float()).abs().clamp_max(1.0).neg().add_scalar(1.0)
}

/// `x[i, at[i]]`, `[rows, 1]`, of `x`, `[rows, columns]`, and `at`, `[rows, 1]`.
pub fn pick(x: Tensor<2>, at: Tensor<2, Int>) -> Tensor<2> {
    if !is_gpu(&x.device()) {
        return x.gather(1, at);
    }
    let own = own(x.dims()[1], at, &x.device());
    (x * own).sum_dim(1)
}

/// `x`, `[rows, columns]`, with `change[i]` added to `x[i, at[i]]`. Both are `[rows, 1]`.
pub fn add_at(x: Tensor<2>, at: Tensor<2, Int>, change: Tensor<2>) -> Tensor<2> {
    if !is_gpu(&x.device()) {
        return x.scatter(1, at, change, IndexingUpdateOp::Add);
    }
    let own = own(x.dims()[1], at, &x.device());
    x + own * change
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_of_each_row_is_read_and_changed() {
        let device = Device::default();
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], &device);
        let at = Tensor::<2, Int>::from_ints([[2], [0]], &device);
        assert_eq!(
            pick(x.clone(), at.clone()).into_data().try_to_vec::<f32>().unwrap(),
            [3.0, 5.0]
        );
        let change = Tensor::<2>::from_floats([[0.5], [-1.0]], &device);
        let changed = add_at(x, at, change).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(changed, [1.0, 2.0, 3.5, 4.0, 4.0, 6.0, 7.0, 8.0]);
    }
}
