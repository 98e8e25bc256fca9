//! Normalisation by a value's own statistics.

use rayon::prelude::*;

use super::sums::{BLOCK, add, add_squares, sum, sum_squares};
use super::{Level, Plane, Source, Target, per_task};
use crate::functions::sigmoid;
use crate::nn::{LAYER_NORM_EPSILON, SIMAM_LAMBDA};

/// Normalises the channels of every frame and mel by their own mean and (biased) variance; then a
/// factor and a summand for each channel.
pub(crate) fn layer_norm(level: Level, weight: &[f32], bias: &[f32], x: Source<'_>, y: Target<'_>) {
    normalise(level, [weight, bias], Some(x), y);
}

/// [`layer_norm`] in place.
pub(crate) fn layer_norm_in_place(level: Level, weight: &[f32], bias: &[f32], y: Target<'_>) {
    normalise(level, [weight, bias], None, y);
}

/// Memory of which every task reads and writes columns of its own.
#[derive(Clone, Copy)]
struct Columns {
    first: *mut f32,
    /// Values from a channel to the next.
    step: usize,
}

// SAFETY: each task keeps to columns of its own.
unsafe impl Sync for Columns {}

impl Columns {
    /// Some columns of a channel.
    ///
    /// # Safety
    /// They are within the memory, which outlives them, and nobody else uses them meanwhile.
    unsafe fn of<'a>(self, channel: usize, at: usize, count: usize) -> &'a mut [f32] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(channel * self.step + at), count) }
    }
}

fn normalise(level: Level, [weight, bias]: [&[f32]; 2], x: Option<Source<'_>>, y: Target<'_>) {
    let Plane { rows, width, pitch } = y.plane;
    let channels = weight.len();
    assert_eq!((rows % channels, bias.len()), (0, channels), "channels of a layer norm");
    let inner = rows / channels;
    let blocks = width.div_ceil(BLOCK);
    let values = y.inner();
    let columns = Columns { first: values.as_mut_ptr(), step: inner * pitch };
    let least = per_task(4 * BLOCK * channels);
    (0..inner * blocks).into_par_iter().with_min_len(least).for_each(|task| {
        let columns = &columns;
        let (row, first) = (task / blocks, task % blocks * BLOCK);
        let count = BLOCK.min(width - first);
        // SAFETY: `first + count` is at most a row's width; no other task has this row and block,
        // and this one is done with each channel's columns before it takes the next.
        let own = |channel| unsafe { columns.of(channel, row * pitch + first, count) };
        let read = |channel: usize, into: &mut [f32; BLOCK]| match &x {
            Some(x) => {
                into[..count].copy_from_slice(&x.row(channel * inner + row)[first..][..count])
            }
            None => into[..count].copy_from_slice(own(channel)),
        };
        let (mut block, mut sums, mut squares) = ([0.0; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
        for channel in 0..channels {
            read(channel, &mut block);
            add(level, &mut sums, &block);
        }
        let means = sums.map(|sum| (sum / channels as f64) as f32);
        for channel in 0..channels {
            read(channel, &mut block);
            add_squares(level, &mut squares, &block, &means);
        }
        let scales =
            squares.map(|sum| (1.0 / (sum / channels as f64 + LAYER_NORM_EPSILON).sqrt()) as f32);
        for (channel, (&weight, &bias)) in weight.iter().zip(bias).enumerate() {
            read(channel, &mut block);
            scale(level, &mut block, &means, &scales, weight, bias);
            own(channel).copy_from_slice(&block[..count]);
        }
    });
    values.chunks_mut(pitch).for_each(|row| row[width..].fill(0.0));
}

vectorised! {
    fn scale<FUSED>(
        x: &mut [f32; BLOCK],
        means: &[f32; BLOCK],
        scales: &[f32; BLOCK],
        weight: f32,
        bias: f32,
    ) {
        for ((x, &mean), &scale) in x.iter_mut().zip(means).zip(scales) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

/// SimAM: each value times the sigmoid of `d / (4 (v + 1e-4)) + 1/2`, where `d` is its squared
/// distance from its channel's mean and `v` the channel's unbiased variance.
pub(crate) fn simam(level: Level, x: Source<'_>, y: Target<'_>) {
    gate(level, Some(x), y);
}

/// [`simam`] in place.
pub(crate) fn simam_in_place(level: Level, y: Target<'_>) {
    gate(level, None, y);
}

fn gate(level: Level, x: Option<Source<'_>>, y: Target<'_>) {
    let Plane { width, pitch, .. } = y.plane;
    let mels = y.size[1];
    let count = mels * width;
    let channels = y.inner().par_chunks_mut(mels * pitch).enumerate();
    channels.with_min_len(per_task(8 * count)).for_each(|(channel, values)| {
        for (mel, row) in values.chunks_mut(pitch).enumerate() {
            if let Some(x) = &x {
                row[..width].copy_from_slice(x.row(channel * mels + mel));
            }
            row[width..].fill(0.0);
        }
        let rows = |values: &[f32], f: &dyn Fn(&[f32]) -> f64| -> f64 {
            values.chunks(pitch).map(|row| f(&row[..width])).sum()
        };
        let mean = (rows(values, &|row| sum(level, row)) / count as f64) as f32;
        let squares = rows(values, &|row| sum_squares(level, row, mean));
        let variance = squares / (count.max(2) - 1) as f64;
        let scale = (1.0 / ((variance + SIMAM_LAMBDA) * 4.0)) as f32;
        values.chunks_mut(pitch).for_each(|row| gate_row(level, &mut row[..width], mean, scale));
    });
}

vectorised! {
    fn gate_row<FUSED>(row: &mut [f32], mean: f32, scale: f32) {
        for v in row {
            let off = *v - mean;
            *v *= sigmoid(off * off * scale + 0.5);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Held, for_levels};
    use super::*;

    #[test]
    fn channels_are_normalised_at_each_place() {
        for_levels(|level| {
            for size in [vec![7, 150], vec![7, 3, 65], vec![7, 3, 5]] {
                let mut x = Held::noise(&size, 2, 1);
                x.scale(3.0);
                let (weight, bias): (Vec<f32>, Vec<f32>) =
                    (0..7).map(|i| (1.0 + i as f32, 0.5 * i as f32)).unzip();
                let wanted = x.indexed(|v, at| {
                    let other = |c: usize| {
                        let mut at = at.to_vec();
                        at[0] = c;
                        f64::from(x.at(&at))
                    };
                    let mean = (0..7).map(other).sum::<f64>() / 7.0;
                    let variance = (0..7).map(|c| (other(c) - mean).powi(2)).sum::<f64>() / 7.0;
                    let normal = (f64::from(v) - mean) / (variance + 1e-6).sqrt();
                    normal * f64::from(weight[at[0]]) + f64::from(bias[at[0]])
                });
                let mut y = Held::garbage(&size, 3);
                layer_norm(level, &weight, &bias, x.source(), y.target());
                y.near(&wanted, 1e-6);
                layer_norm_in_place(level, &weight, &bias, x.target());
                x.near(&wanted, 1e-6);
            }
        });
    }

    #[test]
    fn values_far_from_their_channels_mean_pass() {
        for_levels(|level| {
            for size in [vec![3, 4, 45], vec![2, 1, 1]] {
                let mut x = Held::noise(&size, 2, 1);
                let count = (size[1] * size[2]) as f64;
                let wanted = x.indexed(|v, at| {
                    let own = x.indexed(|v, other| (other[0] == at[0]).then_some(f64::from(v)));
                    let own: Vec<f64> = own.into_iter().flatten().collect();
                    let mean = own.iter().sum::<f64>() / count;
                    let squares: f64 = own.iter().map(|v| (v - mean).powi(2)).sum();
                    let variance = squares / (count - 1.0).max(1.0);
                    let v = f64::from(v);
                    let logit = (v - mean).powi(2) / (4.0 * (variance + 1e-4)) + 0.5;
                    v / (1.0 + (-logit).exp())
                });
                let mut y = Held::garbage(&size, 1);
                simam(level, x.source(), y.target());
                y.near(&wanted, 1e-6);
                simam_in_place(level, x.target());
                x.near(&wanted, 1e-6);
            }
        });
    }
}
