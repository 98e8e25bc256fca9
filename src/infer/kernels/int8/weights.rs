//! Weights are rounded to whole multiples of a step.

use super::super::dense::{Geometry, Weights};
use crate::backend::codes::codes as stored;

/// The largest weight, in steps.
const MOST: f64 = 127.0;

/// Weights `[output, input, rows, frames]` in whole steps.
pub(crate) enum Ints {
    /// Each by itself.
    Bytes(Vec<i8>),
    /// Few values.
    Codes {
        /// Bits of a code.
        bits: usize,
        /// The codes, one a byte.
        codes: Vec<u8>,
        /// What each code stands for: `2^bits` for all outputs, or for each.
        tables: Vec<i8>,
    },
}

/// Rounds weights. With them comes each output's step.
///
/// # Panics
/// If there are too few weights, codes or values.
pub(crate) fn rounded(weights: Weights, geometry: &Geometry) -> (Ints, Vec<f64>) {
    let outputs = geometry.output;
    let each = geometry.input * geometry.kernel[0] * geometry.kernel[1];
    match weights {
        Weights::Floats(floats) => {
            assert_eq!(floats.len(), outputs * each, "weights of another convolution");
            let mut bytes = Vec::with_capacity(floats.len());
            let steps = floats.chunks(each).map(|row| {
                let step = step(row, MOST);
                bytes.extend(row.iter().map(|&weight| nearest(weight, step)));
                step
            });
            let steps = steps.collect();
            (Ints::Bytes(bytes), steps)
        }
        Weights::Codes { bits, codes, values, per_output } => {
            let bits = bits as usize;
            let codes: Vec<u8> = stored(&codes, bits, outputs * each).collect();
            let groups = if per_output { outputs } else { 1 };
            let entries = values.len() / groups;
            assert_eq!(values.len(), entries * groups, "values of each output");
            assert!(codes.iter().all(|&code| usize::from(code) < entries), "codes beyond values");
            let mut tables = Vec::with_capacity(groups << bits);
            let mut steps = Vec::with_capacity(outputs);
            for values in values.chunks(entries) {
                let step = best(values);
                steps.push(step);
                tables.extend(values.iter().map(|&value| nearest(value, step)));
                tables.resize(steps.len() << bits, 0);
            }
            let is_one = tables.chunks(1 << bits).all(|table| *table == tables[..1 << bits]);
            if is_one {
                // Outputs that differ in their step only have one table.
                tables.truncate(1 << bits);
                tables.shrink_to_fit();
            }
            steps.resize(outputs, steps[0]);
            (Ints::Codes { bits, codes, tables }, steps)
        }
    }
}

/// The step of which the largest value has `most`; 1 where all values are 0.
fn step(values: &[f32], most: f64) -> f64 {
    let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    if largest == 0.0 { 1.0 } else { f64::from(largest) / most }
}

fn nearest(value: f32, step: f64) -> i8 {
    (f64::from(value) / step).round_ties_even() as i8
}

/// The step with which a table's values are nearest to whole numbers, in mean square. Values at
/// equal distances, as most methods have them, become exact.
fn best(values: &[f32]) -> f64 {
    // What rounding of the values themselves makes of an exact step.
    const EXACT: f64 = 1e-9;
    let whole = step(values, 1.0);
    let mut best = (f64::INFINITY, 1.0);
    for most in (64..=127).rev() {
        let step = step(values, f64::from(most));
        let off = |&value: &f32| f64::from(value) - f64::from(nearest(value, step)) * step;
        let error = values.iter().map(|value| (off(value) / whole).powi(2)).sum::<f64>();
        if error.max(EXACT) < best.0 {
            best = (error.max(EXACT), step);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::codes::pack;

    const GEOMETRY: Geometry = Geometry {
        input: 2,
        output: 2,
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [0, 0],
    };

    #[test]
    fn every_output_has_its_step() {
        let floats = Weights::Floats(vec![0.5, -254.0, 0.0, 0.0]);
        let (Ints::Bytes(bytes), steps) = rounded(floats, &GEOMETRY) else {
            panic!("codes");
        };
        assert_eq!((bytes, steps), (vec![0, -127, 0, 0], vec![2.0, 1.0]));
    }

    #[test]
    fn tables_of_equal_distances_are_exact_and_one() {
        let values: Vec<f32> = [0.3f32, 0.007]
            .map(|s| (-7..=8).map(move |i| s * i as f32))
            .into_iter()
            .flatten()
            .collect();
        let codes = pack(&[0, 15, 7, 8], 4);
        let weights = Weights::Codes { bits: 4, codes, values: values.clone(), per_output: true };
        let (Ints::Codes { codes, tables, .. }, steps) = rounded(weights, &GEOMETRY) else {
            panic!("bytes");
        };
        assert_eq!((codes, tables.len()), (vec![0, 15, 7, 8], 16));
        for (values, step) in values.chunks(16).zip(steps) {
            for (&value, &int) in values.iter().zip(&tables) {
                let error = (f64::from(value) - f64::from(int) * step).abs();
                assert!(error <= 1e-6 * f64::from(values[15]), "{value} is {int} x {step}");
            }
        }
    }

    #[test]
    fn tables_of_their_own_stay() {
        let values = vec![-1.0, 1.0, -1.0, 3.0];
        let codes = pack(&[0, 1, 1, 0], 1);
        let weights = Weights::Codes { bits: 1, codes, values, per_output: true };
        let (Ints::Codes { tables, .. }, steps) = rounded(weights, &GEOMETRY) else {
            panic!("bytes");
        };
        assert_eq!(tables.len(), 4);
        assert!(tables[0] == -tables[1] && f64::from(tables[3]) * steps[1] == 3.0);
    }
}
