//! Statistics over frames.

use rayon::prelude::*;

use super::sums::{sum, sum_squares};
use super::{Level, Source, Target, per_task};
use crate::lanes::Lanes;
use crate::nn::{DEVIATION_EPSILON, Statistics};

/// Statistics of every channel, `[channels, frames]` -> `[count * channels]`. Attention has the
/// size of `x`; [`Statistics::Weighted`] wants it.
///
/// # Panics
/// Weighted statistics without attention.
pub(crate) fn pool(
    level: Level,
    kind: Statistics,
    x: Source<'_>,
    attention: Option<Source<'_>>,
    y: Target<'_>,
) {
    let (channels, frames) = (x.plane.rows, x.plane.width);
    let least = per_task(4 * frames);
    let of = |channel: usize| {
        let x = x.row(channel);
        if let Statistics::Weighted(floor) = kind {
            let alpha = attention.as_ref().expect("attention weighs the frames").row(channel);
            let [mean, square] = weighted(level, x, alpha);
            return [mean, (square - mean * mean).max(floor.value()).sqrt()];
        }
        let mean = sum(level, x) / frames as f64;
        if kind == Statistics::Mean {
            return [mean, 0.0];
        }
        let squares = sum_squares(level, x, mean as f32);
        [mean, (squares / (frames.max(2) - 1) as f64 + DEVIATION_EPSILON).sqrt()]
    };
    let y = y.inner();
    let place = match kind {
        Statistics::Mean => 0,
        Statistics::Deviation => 1,
        Statistics::Both | Statistics::Weighted(_) => {
            let (means, deviations) = y.split_at_mut(channels);
            let pairs = means.par_iter_mut().zip(deviations).enumerate().with_min_len(least);
            pairs.for_each(|(channel, (mean, deviation))| {
                [*mean, *deviation] = of(channel).map(|v| v as f32);
            });
            return;
        }
    };
    let all = y.par_iter_mut().enumerate().with_min_len(least);
    all.for_each(|(channel, y)| *y = of(channel)[place] as f32);
}

vectorised! {
    /// The weighted sums of the values and of their squares.
    fn weighted<FUSED>(x: &[f32], alpha: &[f32]) -> [f64; 2] {
        let mean = Lanes::<16>::sum2(x, alpha, |x, alpha| f64::from(x) * f64::from(alpha));
        let square = Lanes::<16>::sum2(x, alpha, |x, alpha| {
            f64::from(x) * f64::from(x) * f64::from(alpha)
        });
        [mean, square]
    }
}

#[cfg(test)]
mod tests {
    use super::super::map_in_place;
    use super::super::testing::{Held, for_levels};
    use super::*;
    use crate::nn::{Floor, Map};

    #[test]
    fn statistics_are_sums_over_frames() {
        let weighted = [Statistics::Weighted(Floor::E7), Statistics::Weighted(Floor::E5)];
        let plain = [Statistics::Both, Statistics::Mean, Statistics::Deviation];
        for_levels(|level| {
            for (kind, frames) in
                plain.into_iter().chain(weighted).flat_map(|kind| [(kind, 1), (kind, 77)])
            {
                let size = [9, frames];
                let x = Held::noise(&size, 2, 1);
                let mut alpha = Held::noise(&size, 2, 2);
                map_in_place(level, Map::Softmax, alpha.target());
                let mut y = Held::garbage(&[9 * kind.count()], 2);
                let attention = match kind {
                    Statistics::Weighted(_) => Some(alpha.source()),
                    _ => None,
                };
                pool(level, kind, x.source(), attention, y.target());
                let of = |channel: usize| {
                    let row = |held: &Held| -> Vec<f64> {
                        (0..frames).map(|t| f64::from(held.at(&[channel, t]))).collect()
                    };
                    let x = row(&x);
                    if let Statistics::Weighted(floor) = kind {
                        let both: Vec<(f64, f64)> = x.into_iter().zip(row(&alpha)).collect();
                        let mean: f64 = both.iter().map(|(x, a)| x * a).sum();
                        let variance: f64 = both.iter().map(|(x, a)| (x - mean).powi(2) * a).sum();
                        return [mean, variance.max(floor.value()).sqrt()];
                    }
                    let mean = x.iter().sum::<f64>() / frames as f64;
                    let squares: f64 = x.iter().map(|v| (v - mean).powi(2)).sum();
                    [mean, (squares / (frames.max(2) - 1) as f64 + 1e-7).sqrt()]
                };
                let places = match kind {
                    Statistics::Mean => vec![0],
                    Statistics::Deviation => vec![1],
                    Statistics::Both | Statistics::Weighted(_) => vec![0, 1],
                };
                let wanted: Vec<f64> =
                    places.into_iter().flat_map(|i| (0..9).map(move |c| of(c)[i])).collect();
                y.near(&wanted, 1e-6);
            }
        });
    }
}
