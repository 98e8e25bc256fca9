//! The grid of reversible bodies: multiples of `2^-bits`.

use super::element::{each, pairs};
use super::{Level, Source, Target};

/// Adding it pushes lower bits than `2^-bits` out of the significand, as
/// [`crate::backend::reversible`] does.
fn large(bits: i32) -> f32 {
    1.5 * 2f32.powi(23 - bits)
}

/// The nearest multiples of `2^-bits`, ties to even.
pub(crate) fn snap(level: Level, bits: i32, x: Source<'_>, y: Target<'_>) {
    y.rows_of(x, x.plane.width, |_, row| snap_row(level, large(bits), row));
}

/// [`snap`] in place.
pub(crate) fn snap_in_place(level: Level, bits: i32, y: Target<'_>) {
    let width = y.plane.width;
    y.rows(width, |_, row| snap_row(level, large(bits), row));
}

/// `x` plus the nearest multiples of `2^-bits` to `change`, of the same size.
pub(crate) fn shift(level: Level, bits: i32, x: Source<'_>, change: Source<'_>, out: Target<'_>) {
    out.rows_of(x, x.plane.width, |row, values| {
        shift_row(level, large(bits), values, change.row(row));
    });
}

/// [`shift`] in the place of `x`.
pub(crate) fn shift_in_place(level: Level, bits: i32, x: Target<'_>, change: Source<'_>) {
    let width = x.plane.width;
    x.rows(width, |row, values| shift_row(level, large(bits), values, change.row(row)));
}

vectorised! {
    fn snap_row<FUSED>(large: f32, row: &mut [f32]) {
        each(row, |v| (v + large) - large);
    }
}

vectorised! {
    fn shift_row<FUSED>(large: f32, x: &mut [f32], change: &[f32]) {
        pairs(x, change, |x, change| x + ((change + large) - large));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Held, for_levels};
    use super::*;

    #[test]
    fn values_move_to_the_grid() {
        for_levels(|level| {
            let (mut x, change) = (Held::noise(&[3, 2, 21], 1, 5), Held::noise(&[3, 2, 21], 1, 6));
            let round = |v: f32| (f64::from(v) * 32.0).round_ties_even() / 32.0;
            let snapped: Vec<f64> = x.dense().into_iter().map(round).collect();
            let moved: Vec<f64> =
                snapped.iter().zip(change.dense()).map(|(x, c)| x + round(c)).collect();
            let mut y = Held::garbage(&[3, 2, 21], 1);
            snap(level, 5, x.source(), y.target());
            y.near(&snapped, 0.0);
            snap_in_place(level, 5, x.target());
            shift(level, 5, x.source(), change.source(), y.target());
            y.near(&moved, 0.0);
            shift_in_place(level, 5, x.target(), change.source());
            x.near(&moved, 0.0);
        });
    }
}
