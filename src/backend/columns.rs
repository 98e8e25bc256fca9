//! Values of each row, read and changed: the score of an example's own class, or of some others.
//!
//! They are gathered and scattered, but for one value of each row on GPUs, which a mask finds:
//! fused with operations on whole rows, Burn's gather of one column reads the indices of
//! neighbouring rows, and one behind the last row (docs/upstream).

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};

use super::is_gpu;

/// 1 where a column is that of `at`, `[rows, 1]`, and 0 elsewhere: `[rows, columns]`. Made by
/// arithmetic, which is fused. Columns are exact as floats below 2^24.
fn own(columns: usize, at: Tensor<2, Int>, device: &Device) -> Tensor<2> {
    let all = Tensor::<1, Int>::arange(0..columns as i64, device).float().unsqueeze_dim::<2>(0);
    (all - at.float()).abs().clamp_max(1.0).neg().add_scalar(1.0)
}

/// Whether Burn's gather and scatter of these columns are right on the device.
fn is_gathered(at: &Tensor<2, Int>) -> bool {
    at.dims()[1] > 1 || !is_gpu(&at.device())
}

/// `x[i, at[i, j]]`, `[rows, n]`, of `x`, `[rows, columns]`, and `at`, `[rows, n]`.
pub fn pick(x: Tensor<2>, at: Tensor<2, Int>) -> Tensor<2> {
    if is_gathered(&at) {
        return x.gather(1, at);
    }
    let own = own(x.dims()[1], at, &x.device());
    (x * own).sum_dim(1)
}

/// `x`, `[rows, columns]`, with `change[i, j]` added to `x[i, at[i, j]]`. Both are `[rows, n]`.
pub fn add_at(x: Tensor<2>, at: Tensor<2, Int>, change: Tensor<2>) -> Tensor<2> {
    if is_gathered(&at) {
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
