//! Functions of single values, of one tensor or two.

use super::{Level, Source, Target, fused, outer, places, softmax_in_place};
use crate::functions::{exp, gelu, gelu_tanh, sigmoid, tanh};
use crate::nn::{Combine, Map};

/// A function of every value of `x`.
pub(crate) fn map(level: Level, f: Map, x: Source<'_>, y: Target<'_>) {
    if f == Map::Softmax {
        return super::attend::softmax(level, x, y);
    }
    y.rows_of(x, map_cost(f, x.plane.width), |_, row| map_row(level, f, row));
}

/// [`map`] in place.
pub(crate) fn map_in_place(level: Level, f: Map, y: Target<'_>) {
    if f == Map::Softmax {
        return softmax_in_place(level, y);
    }
    let cost = map_cost(f, y.plane.width);
    y.rows(cost, |_, row| map_row(level, f, row));
}

/// What a row costs, measured in values that are read.
fn map_cost(f: Map, width: usize) -> usize {
    match f {
        Map::Relu | Map::Clip20 => width,
        Map::Sigmoid | Map::Tanh | Map::Silu | Map::Gelu | Map::GeluTanh | Map::Softmax => {
            4 * width
        }
    }
}

vectorised! {
    fn map_row<FUSED>(f: Map, row: &mut [f32]) {
        match f {
            // Without the sum, the compiler stores under a condition, which is slow.
            Map::Relu => each(row, |v| relu(v + 0.0)),
            Map::Clip20 => each(row, |v| (v + 0.0).clamp(0.0, 20.0)),
            Map::Sigmoid => each(row, sigmoid),
            Map::Tanh => each(row, tanh),
            Map::Silu => each(row, |v| v / (1.0 + exp(-v))),
            Map::Gelu => each(row, gelu),
            Map::GeluTanh => each(row, gelu_tanh),
            Map::Softmax => unreachable!("softmax is no function of single values"),
        }
    }
}

/// `max(v, 0)`, and NaN of NaN.
#[inline(always)]
pub(super) fn relu(v: f32) -> f32 {
    if v < 0.0 { 0.0 } else { v }
}

#[inline(always)]
pub(super) fn each(row: &mut [f32], f: impl Fn(f32) -> f32) {
    row.iter_mut().for_each(|v| *v = f(*v));
}

/// `x * scale + shift`, with a factor and a summand for each channel, and ReLU if wanted.
pub(crate) fn affine(
    level: Level,
    scale: &[f32],
    shift: &[f32],
    relu: bool,
    x: Source<'_>,
    y: Target<'_>,
) {
    let each = Affine { level, scale, shift, relu, rows: rows_of_channel(x.size) };
    y.rows_of(x, x.plane.width, |row, values| each.row(row, values));
}

/// [`affine`] in place.
pub(crate) fn affine_in_place(
    level: Level,
    scale: &[f32],
    shift: &[f32],
    relu: bool,
    y: Target<'_>,
) {
    let each = Affine { level, scale, shift, relu, rows: rows_of_channel(y.size) };
    let width = y.plane.width;
    y.rows(width, |row, values| each.row(row, values));
}

/// Rows of a channel; `None` where channels are the values of a single row.
fn rows_of_channel(size: &[usize]) -> Option<usize> {
    match size {
        [_, inner @ .., _] => Some(inner.iter().product()),
        _ => None,
    }
}

struct Affine<'a> {
    level: Level,
    scale: &'a [f32],
    shift: &'a [f32],
    relu: bool,
    rows: Option<usize>,
}

impl Affine<'_> {
    fn row(&self, row: usize, values: &mut [f32]) {
        let channels = match self.rows {
            Some(rows) => row / rows..row / rows + 1,
            None => 0..values.len(),
        };
        let (scale, shift) = (&self.scale[channels.clone()], &self.shift[channels]);
        affine_row(self.level, scale, shift, self.relu, values);
    }
}

vectorised! {
    /// One factor and summand for all values, or one of each for each.
    fn affine_row<FUSED>(scale: &[f32], shift: &[f32], positive: bool, row: &mut [f32]) {
        let of = |v, a, b| fused::<FUSED>(v, a, b);
        match (scale, shift, positive) {
            (&[a], &[b], true) => each(row, |v| relu(of(v, a, b))),
            (&[a], &[b], false) => each(row, |v| of(v, a, b)),
            _ => {
                for ((v, &a), &b) in row.iter_mut().zip(scale).zip(shift) {
                    let y = of(*v, a, b);
                    *v = if positive { relu(y) } else { y };
                }
            }
        }
    }
}

/// A function of every value of `x` and the one of `y` at its place. Axes of size 1 in `y` are
/// repeated. The result has the size of `x`.
pub(crate) fn combine(level: Level, f: Combine, x: Source<'_>, y: Source<'_>, out: Target<'_>) {
    let outer = outer(x.size);
    out.rows_of(x, x.plane.width, |row, values| {
        combine_row(level, f, values, repeated(outer, y, row));
    });
}

/// [`combine`] in the place of `x`.
pub(crate) fn combine_in_place(level: Level, f: Combine, x: Target<'_>, y: Source<'_>) {
    let (outer, width) = (outer(x.size), x.plane.width);
    x.rows(width, |row, values| {
        combine_row(level, f, values, repeated(outer, y, row));
    });
}

/// The values of `y` for a row of a value whose rows count these axes.
fn repeated<'a>(axes: &[usize], y: Source<'a>, row: usize) -> &'a [f32] {
    let mut places = places(axes, row);
    for (place, &size) in places.iter_mut().zip(outer(y.size)) {
        if size == 1 {
            *place = 0;
        }
    }
    y.row_at(places)
}

vectorised! {
    fn combine_row<FUSED>(f: Combine, x: &mut [f32], y: &[f32]) {
        match f {
            Combine::Add => pairs(x, y, |x, y| x + y),
            Combine::Subtract => pairs(x, y, |x, y| x - y),
            Combine::Multiply => pairs(x, y, |x, y| x * y),
            Combine::Mean => pairs(x, y, |x, y| (x + y) * 0.5),
        }
    }
}

/// A `y` that is alone is repeated.
#[inline(always)]
pub(super) fn pairs(x: &mut [f32], y: &[f32], f: impl Fn(f32, f32) -> f32) {
    match *y {
        [y] => x.iter_mut().for_each(|x| *x = f(*x, y)),
        _ => x.iter_mut().zip(y).for_each(|(x, &y)| *x = f(*x, y)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Held, for_levels};
    use super::*;

    fn map_64(f: Map, v: f64) -> f64 {
        let erf_free = |t: f64| v * (1.0 + t) / 2.0;
        match f {
            Map::Relu => v.max(0.0),
            Map::Clip20 => v.clamp(0.0, 20.0),
            Map::Sigmoid => 1.0 / (1.0 + (-v).exp()),
            Map::Tanh => v.tanh(),
            Map::Silu => v / (1.0 + (-v).exp()),
            Map::GeluTanh => {
                erf_free(((2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v.powi(3))).tanh())
            }
            Map::Gelu | Map::Softmax => unreachable!("tested where they are computed"),
        }
    }

    #[test]
    fn maps_are_functions_of_each_value() {
        let maps =
            [Map::Relu, Map::Clip20, Map::Sigmoid, Map::Tanh, Map::Silu, Map::GeluTanh, Map::Gelu];
        for_levels(|level| {
            for (f, size) in maps.iter().flat_map(|&f| [(f, vec![3, 5, 37]), (f, vec![41])]) {
                let mut x = Held::noise(&size, 2, 1);
                x.scale(12.0);
                let wanted = |v: f32| match f {
                    Map::Gelu => f64::from(gelu(v)),
                    _ => map_64(f, f64::from(v)),
                };
                let wanted: Vec<f64> = x.dense().into_iter().map(wanted).collect();
                let mut y = Held::garbage(&size, 2);
                map(level, f, x.source(), y.target());
                y.near(&wanted, 1e-6);
                map_in_place(level, f, x.target());
                assert_eq!(x.dense(), y.dense());
                x.near(&wanted, 1e-6);
            }
        });
    }

    #[test]
    fn an_affine_function_has_numbers_for_each_channel() {
        for_levels(|level| {
            for size in [vec![3], vec![3, 19], vec![3, 4, 19]] {
                let mut x = Held::noise(&size, 1, 2);
                let (scale, shift) = ([0.5f32, -2.0, 3.0], [1.0f32, 0.1, -0.3]);
                let each = x.dense().len() / 3;
                let wanted: Vec<f64> = x
                    .dense()
                    .iter()
                    .enumerate()
                    .map(|(i, &v)| {
                        f64::from(v) * f64::from(scale[i / each]) + f64::from(shift[i / each])
                    })
                    .collect();
                let mut y = Held::garbage(&size, 1);
                affine(level, &scale, &shift, false, x.source(), y.target());
                y.near(&wanted, 1e-6);
                affine_in_place(level, &scale, &shift, true, x.target());
                x.near(&wanted.iter().map(|v| v.max(0.0)).collect::<Vec<_>>(), 1e-6);
            }
        });
    }

    #[test]
    fn the_second_value_is_repeated_along_axes_of_size_one() {
        let all = [Combine::Add, Combine::Subtract, Combine::Multiply, Combine::Mean];
        let sizes: [(&[usize], &[usize]); 8] = [
            (&[7], &[7]),
            (&[4, 9], &[4, 9]),
            (&[4, 9], &[4, 1]),
            (&[4, 9], &[1, 9]),
            (&[4, 3, 9], &[4, 3, 9]),
            (&[4, 3, 9], &[4, 1, 1]),
            (&[4, 3, 9], &[1, 3, 1]),
            (&[4, 3, 9], &[4, 1, 9]),
        ];
        for_levels(|level| {
            for (f, (size, by)) in all.iter().flat_map(|&f| sizes.map(|s| (f, s))) {
                let (mut x, y) = (Held::noise(size, 3, 3), Held::noise(by, 3, 4));
                let wanted = x.indexed(|v, at| {
                    let at: Vec<usize> = at.iter().zip(by).map(|(&i, &n)| i.min(n - 1)).collect();
                    let (x, y) = (f64::from(v), f64::from(y.at(&at)));
                    match f {
                        Combine::Add => x + y,
                        Combine::Subtract => x - y,
                        Combine::Multiply => x * y,
                        Combine::Mean => (x + y) / 2.0,
                    }
                });
                let mut out = Held::garbage(size, 3);
                combine(level, f, x.source(), y.source(), out.target());
                out.near(&wanted, 1e-6);
                combine_in_place(level, f, x.target(), y.source());
                x.near(&wanted, 1e-6);
            }
        });
    }
}
