//! The largest of many values.

use std::cmp::Ordering;

/// Puts the largest values in front, and returns the one at place `n` of their order.
///
/// # Panics
/// If there are no more than `n` values.
pub(super) fn nth_largest<T: Copy>(
    values: &mut [T],
    n: usize,
    order: impl Fn(&T, &T) -> Ordering,
) -> T {
    *values.select_nth_unstable_by(n, |a, b| order(b, a)).1
}
