//! What the units of a cube have found, put together.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use crate::backend::gpu::UNITS;

/// The sum of a vector's lanes.
#[cube]
pub(super) fn total<N: Size>(x: Vector<f32, N>) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for k in 0..N::value() {
        sum += x.extract(k);
    }
    sum
}

/// Mean and sum of squared deviations of all lanes, from those of each lane over `seen` values.
#[cube]
pub(super) fn joined<N: Size>(
    mean: Vector<f32, N>,
    square: Vector<f32, N>,
    seen: f32,
) -> (f32, f32) {
    let width = N::value();
    let center = total::<N>(mean) * comptime![1.0 / width as f32];
    let off = mean - Vector::<f32, N>::new(center);
    (center, total::<N>(square + off * off * Vector::<f32, N>::new(seen)))
}

/// Joins the counts, means and sums of squared deviations of all units, by Chan's formula and in
/// the same order in every cube. The result is at 0.
#[cube]
pub(super) fn join(
    counts: &mut Shared<[f32]>,
    means: &mut Shared<[f32]>,
    squares: &mut Shared<[f32]>,
) {
    let unit = UNIT_POS_X;
    sync_cube();
    let mut half = comptime![UNITS / 2].runtime();
    while half > 0 {
        if unit < half {
            let here = unit as usize;
            let there = (unit + half) as usize;
            let before = counts[here];
            let count = before + counts[there];
            // Both are empty where there are fewer values than units.
            let share = counts[there] / select(count > 0.0f32, count, 1.0f32);
            let off = means[there] - means[here];
            counts[here] = count;
            means[here] += off * share;
            squares[here] += squares[there] + off * share * off * before;
        }
        sync_cube();
        half /= 2;
    }
}

/// Adds up the numbers of all units, in the same order in every cube. The sums are at 0.
#[cube]
pub(super) fn add_up(first: &mut Shared<[f32]>, second: &mut Shared<[f32]>) {
    let unit = UNIT_POS_X;
    sync_cube();
    let mut half = comptime![UNITS / 2].runtime();
    while half > 0 {
        if unit < half {
            let here = unit as usize;
            let there = (unit + half) as usize;
            first[here] += first[there];
            second[here] += second[there];
        }
        sync_cube();
        half /= 2;
    }
}
