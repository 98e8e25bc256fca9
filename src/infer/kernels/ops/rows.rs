//! Values in other places and other sizes.

use super::{GUARD, Source, Target, outer, places};
use crate::nn::Squeeze;

/// Values side by side along an axis, which is 0 for channels.
pub(crate) fn concat(axis: usize, all: &[Source<'_>], y: Target<'_>) {
    let (size, width) = (y.size, y.plane.width);
    if axis + 1 >= size.len() {
        y.rows(width, |row, mut values| {
            for x in all {
                let (own, rest) = values.split_at_mut(x.plane.width);
                own.copy_from_slice(x.row(row));
                values = rest;
            }
        });
        return;
    }
    // Rows of one place on the axes in front.
    let rows_of = |size: &[usize]| size[axis..size.len() - 1].iter().product::<usize>();
    let whole = rows_of(size);
    y.rows(width, |row, values| {
        let (front, mut behind) = (row / whole, row % whole);
        for x in all {
            let own = rows_of(x.size);
            if behind < own {
                values.copy_from_slice(x.row(front * own + behind));
                return;
            }
            behind -= own;
        }
    });
}

/// Values side by side along the first axis, where `y` holds those that stand in front of `all`.
/// Their rows are as long and as far apart as those of `y`.
pub(crate) fn append(all: &[Source<'_>], y: Target<'_>) {
    // One thread copies: more would wait for what is in each other's caches.
    let end = GUARD + y.plane.len();
    let mut to = end - all.iter().map(|x| x.plane.len()).sum::<usize>();
    for x in all {
        let rows = &x.values[GUARD..][..x.plane.len()];
        y.values[to..][..rows.len()].copy_from_slice(rows);
        to += rows.len();
    }
    y.values[end..].fill(0.0);
}

/// Channels and mels change places.
pub(crate) fn swap(x: Source<'_>, y: Target<'_>) {
    let (first, second, width) = (x.size[0], x.size[1], y.plane.width);
    y.rows(width, |row, values| {
        values.copy_from_slice(x.row(row % first * second + row / first));
    });
}

/// Each axis cut down, or zeros behind it.
pub(crate) fn fit(x: Source<'_>, y: Target<'_>) {
    let (axes, width) = (outer(y.size), y.plane.width);
    let kept = width.min(x.plane.width);
    y.rows(width, |row, values| {
        let (own, behind) = values.split_at_mut(kept);
        behind.fill(0.0);
        let places = places(axes, row);
        if outer(x.size).iter().zip(places).all(|(&size, place)| place < size) {
            own.copy_from_slice(&x.row_at(places)[..kept]);
        } else {
            own.fill(0.0);
        }
    });
}

/// Every value of the last axis so many times, one after the other.
pub(crate) fn repeat(times: usize, x: Source<'_>, y: Target<'_>) {
    let width = y.plane.width;
    y.rows(width, |row, values| {
        for (own, &v) in values.chunks_exact_mut(times).zip(x.row(row)) {
            own.fill(v);
        }
    });
}

/// Mels and frames into channels.
pub(crate) fn squeeze(by: Squeeze, x: Source<'_>, y: Target<'_>) {
    let (channels, mels, width) = (x.size[0], x.size[1], y.plane.width);
    let inner = mels / by.mels;
    y.rows(2 * width, |row, values| {
        let (made, mel) = (row / inner, row % inner);
        let (part, channel) = (made / channels, made % channels);
        let (down, right) = (part / by.frames, part % by.frames);
        let from = x.row(channel * mels + mel * by.mels + down);
        let from = from[right..].iter().step_by(by.frames);
        values.iter_mut().zip(from).for_each(|(y, &v)| *y = v);
    });
}

/// The same values, in row-major order, in another size or another place.
pub(crate) fn reshape(x: Source<'_>, y: Target<'_>) {
    let (from, width) = (x.plane.width, y.plane.width);
    y.rows(width, |row, mut values| {
        let mut at = row * width;
        while !values.is_empty() {
            let rest = &x.row(at / from)[at % from..];
            let count = rest.len().min(values.len());
            let (own, behind) = values.split_at_mut(count);
            own.copy_from_slice(&rest[..count]);
            (at, values) = (at + count, behind);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::Held;
    use super::*;

    /// Asserts that an operation makes what a function of places says.
    fn makes(size: &[usize], run: impl FnOnce(Target<'_>), wanted: impl Fn(&[usize]) -> f32) {
        let mut y = Held::garbage(size, 2);
        run(y.target());
        let wanted = y.indexed(|_, at| f64::from(wanted(at)));
        y.near(&wanted, 0.0);
    }

    #[test]
    fn values_lie_side_by_side_along_any_axis() {
        let sizes: [&[usize]; 3] = [&[4], &[3, 5], &[3, 4, 5]];
        for size in sizes {
            for axis in 0..size.len() {
                let mut parts = Vec::new();
                for (seed, count) in [1, 4, 2].into_iter().enumerate() {
                    let mut size = size.to_vec();
                    size[axis] = count;
                    // Pitches may differ.
                    parts.push(Held::noise(&size, 1 + seed, seed as u64));
                }
                let mut whole = size.to_vec();
                whole[axis] = 7;
                let sources: Vec<Source<'_>> = parts.iter().map(Held::source).collect();
                makes(
                    &whole,
                    |y| concat(axis, &sources, y),
                    |at| {
                        let (part, first) = match at[axis] {
                            0 => (0, 0),
                            1..5 => (1, 1),
                            _ => (2, 5),
                        };
                        let mut at = at.to_vec();
                        at[axis] -= first;
                        parts[part].at(&at)
                    },
                );
            }
        }
    }

    /// What is behind the rows that are there may be anything before.
    #[test]
    fn rows_are_appended_as_they_are_put_side_by_side() {
        let sizes: [[&[usize]; 3]; 2] =
            [[&[4, 5], &[1, 5], &[2, 5]], [&[2, 3, 5], &[3, 3, 5], &[1, 3, 5]]];
        for sizes in sizes {
            let parts = [0, 1, 2].map(|i| Held::noise(sizes[i], 2, i as u64));
            let sources = parts.each_ref().map(Held::source);
            let mut whole = sizes[0].to_vec();
            whole[0] = sizes.iter().map(|size| size[0]).sum();
            let (mut wanted, mut found) = (Held::garbage(&whole, 2), Held::garbage(&whole, 2));
            concat(0, &sources, wanted.target());
            let there = GUARD + sources[0].plane.len();
            found.memory()[..there].copy_from_slice(&sources[0].values[..there]);
            found.memory()[there..].fill(9.0);
            append(&sources[1..], found.target());
            let wanted: Vec<f64> = wanted.dense().into_iter().map(f64::from).collect();
            found.near(&wanted, 0.0);
        }
    }

    #[test]
    fn axes_change_places_and_sizes() {
        let x = Held::noise(&[3, 4, 6], 1, 1);
        makes(&[4, 3, 6], |y| swap(x.source(), y), |at| x.at(&[at[1], at[0], at[2]]));
        makes(&[3, 4, 4], |y| fit(x.source(), y), |at| x.at(at));
        let inside = |at: &[usize]| at[1] < 4 && at[2] < 6;
        makes(&[3, 6, 8], |y| fit(x.source(), y), |at| if inside(at) { x.at(at) } else { 0.0 });
        makes(&[3, 2, 8], |y| fit(x.source(), y), |at| if inside(at) { x.at(at) } else { 0.0 });
        let flat = Held::noise(&[3, 4], 1, 1);
        makes(&[3, 12], |y| repeat(3, flat.source(), y), |at| flat.at(&[at[0], at[1] / 3]));
    }

    #[test]
    fn squeezing_orders_channels_as_documented() {
        let x = Held::noise(&[3, 4, 6], 1, 1);
        for [mels, frames] in [[2, 2], [2, 1], [4, 3], [1, 2]] {
            let by = Squeeze { mels, frames };
            makes(
                &[3 * mels * frames, 4 / mels, 6 / frames],
                |y| squeeze(by, x.source(), y),
                |at| {
                    let (part, c) = (at[0] / 3, at[0] % 3);
                    let (down, right) = (part / frames, part % frames);
                    x.at(&[c, at[1] * mels + down, at[2] * frames + right])
                },
            );
        }
    }

    #[test]
    fn reshaping_keeps_the_row_major_order() {
        let sizes: [&[usize]; 6] = [&[24], &[24, 1], &[4, 6], &[2, 3, 4], &[3, 8], &[2, 2, 6]];
        for from in sizes {
            let x = Held::noise(from, 3, 1);
            for to in sizes {
                let mut y = Held::garbage(to, 1);
                reshape(x.source(), y.target());
                let wanted: Vec<f64> = x.dense().into_iter().map(f64::from).collect();
                y.near(&wanted, 0.0);
            }
        }
    }
}
