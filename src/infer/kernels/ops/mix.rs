//! The weighted sum of several values.

use super::{Level, Source, Target, fused};

/// The softmax over inputs of a tensor `[1, inputs, channels, 1]`. An input that is alone weighs 1.
pub(crate) fn mix_weights(logits: &[f32], inputs: usize) -> Vec<f32> {
    let channels = logits.len() / inputs;
    let mut weights = vec![0.0; logits.len()];
    for channel in 0..channels {
        let own = || logits.iter().skip(channel).step_by(channels).map(|&v| f64::from(v));
        let largest = own().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = own().map(|v| (v - largest).exp()).sum();
        let places = weights.iter_mut().skip(channel).step_by(channels);
        places.zip(own()).for_each(|(weight, v)| *weight = ((v - largest).exp() / sum) as f32);
    }
    weights
}

/// The sum of values of one size, `[channels, frames]`, weighted by [`mix_weights`].
pub(crate) fn mix(level: Level, weights: &[f32], all: &[Source<'_>], y: Target<'_>) {
    let (channels, width) = (weights.len() / all.len(), y.plane.width);
    let each = y.plane.rows / channels;
    y.rows(all.len() * width, |row, values| {
        values.fill(0.0);
        for (x, weights) in all.iter().zip(weights.chunks(channels)) {
            add(level, values, x.row(row), weights[row / each]);
        }
    });
}

vectorised! {
    fn add<FUSED>(sums: &mut [f32], x: &[f32], weight: f32) {
        for (sum, &x) in sums.iter_mut().zip(x) {
            *sum = fused::<FUSED>(x, weight, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Held, for_levels};
    use super::*;

    #[test]
    fn values_weigh_by_the_softmax_of_their_channel() {
        for_levels(|level| {
            for inputs in [1, 2, 5] {
                let logits = Held::noise(&[inputs, 6], 0, 1);
                let all: Vec<Held> =
                    (0..inputs).map(|seed| Held::noise(&[6, 39], 2, 2 + seed as u64)).collect();
                let sources: Vec<Source<'_>> = all.iter().map(Held::source).collect();
                let mut y = Held::garbage(&[6, 39], 1);
                let weights = mix_weights(&logits.dense(), inputs);
                mix(level, &weights, &sources, y.target());
                let wanted = y.indexed(|_, at| {
                    let power = |i: usize| f64::from(logits.at(&[i, at[0]])).exp();
                    let sum: f64 = (0..inputs).map(power).sum();
                    (0..inputs).map(|i| f64::from(all[i].at(at)) * power(i) / sum).sum()
                });
                y.near(&wanted, 1e-6);
            }
        });
    }
}
