//! A convolution's weights and summands as integers.

use crate::infer::kernels::{Geometry, Ints, Scale, Weights, rounded};
use crate::infer::onnx::builder::Builder;
use crate::infer::onnx::proto::Data;

/// The largest summand, in steps: half of what sums can hold.
const MOST: f64 = (1 << 30) as f64;

/// Writes weights of these dims, `[outputs, inputs, taps...]`, and what is added to each output.
/// `scale` and `shift` are the factor and the summand of each output, `input` is how the bytes
/// stand for values that the weights are multiplied by. Weights are rounded as the runtime rounds
/// them. Returns the names of both.
pub(in crate::infer::onnx) fn write(
    b: &mut Builder,
    name: &str,
    dims: &[usize],
    weights: Weights,
    [scale, shift]: &[Vec<f32>; 2],
    input: Scale,
) -> [String; 2] {
    let outputs = dims[0];
    let (mut ints, steps) = whole(weights, dims);
    let each = ints.len() / outputs;
    let (mut weight_steps, mut summands, mut summand_steps) = (vec![], vec![], vec![]);
    let rows = ints.chunks_exact_mut(each).zip(steps);
    for ((row, step), (&scale, &shift)) in rows.zip(scale.iter().zip(shift)) {
        let step = fold(row, step, scale, shift, input);
        let summand_step = step * input.step;
        weight_steps.push(step);
        summand_steps.push(summand_step);
        summands.push((f64::from(shift) / f64::from(summand_step)).round_ties_even() as i32);
    }
    let weight = b.rows(name.to_owned(), dims, Data::I8(ints), weight_steps);
    let summands = Data::I32(summands);
    [weight, b.rows(format!("{name}.summand"), &[outputs], summands, summand_steps)]
}

/// Weights in whole steps, and each output's step.
fn whole(weights: Weights, dims: &[usize]) -> (Vec<i8>, Vec<f64>) {
    let (output, input, taps) = (dims[0], dims[1], dims[2..].iter().product::<usize>());
    let (kernel, ones) = ([taps, 1], [1, 1]);
    let geometry =
        Geometry { input, output, kernel, stride: ones, dilation: ones, padding: [0, 0] };
    let (ints, steps) = rounded(weights, &geometry);
    let ints = match ints {
        Ints::Bytes(bytes) => bytes,
        Ints::Codes { bits, codes, tables } => {
            let (each, is_one) = (input * taps, tables.len() == 1 << bits);
            let row = |i: usize| if is_one { 0 } else { (i / each) << bits };
            codes.iter().enumerate().map(|(i, &code)| tables[row(i) + usize::from(code)]).collect()
        }
    };
    (ints, steps)
}

/// Multiplies an output's weights, which are whole multiples of a step, by a factor. Returns their
/// step then. It is larger only where sums could not hold the summand otherwise; weights of 0 have
/// any step.
fn fold(row: &mut [i8], step: f64, factor: f32, summand: f32, input: Scale) -> f32 {
    let is_zero = row.iter().all(|&weight| weight == 0);
    let own = if is_zero { 0.0 } else { step * f64::from(factor).abs() };
    // Steps of weights and of summands are normal numbers.
    let (smallest, summand) = (2.0 * f64::from(f32::MIN_POSITIVE), f64::from(summand).abs());
    let least = (summand / MOST).max(smallest) / f64::from(input.step);
    let step = own.max(least).max(smallest) as f32;
    let change = (own / f64::from(step)).copysign(f64::from(factor));
    for weight in row {
        *weight = (f64::from(*weight) * change).round_ties_even() as i8;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    const INPUT: Scale = Scale { step: 0.03, zero: 7 };

    /// Weights and factors of any size: what the integers stand for is the product of the weight
    /// in the runtime's steps and the factor, and the summand, to the rounding of their steps.
    #[test]
    fn integers_stand_for_weights_times_factors() {
        let mut stream = Stream::new(3, "rows", &[]);
        for _ in 0..200 {
            let mut size = |most: f64| stream.between(-most, most).exp2() as f32;
            let (size_of_weights, factor, summand) = (size(20.0), size(20.0), size(20.0));
            let floats: Vec<f32> =
                (0..12).map(|_| size_of_weights * stream.normal() as f32).collect();
            let factors = [factor, -factor, 0.0];
            let shifts = [summand, -summand, summand];
            let weights = || Weights::Floats(floats.clone());
            let (plain, steps) = whole(weights(), &[3, 2, 2]);
            let mut b = Builder::default();
            let both = [factors.to_vec(), shifts.to_vec()];
            write(&mut b, "w", &[3, 2, 2], weights(), &both, INPUT);
            let data = |name: &str| b.tensors.iter().find(|t| t.name == name).unwrap().data.clone();
            let (Data::I8(ints), Data::F32(own)) = (data("w"), data("w.steps")) else {
                panic!("rows of integers");
            };
            let Data::I32(summands) = data("w.summand") else { panic!("summands") };
            for (i, (&int, &plain)) in ints.iter().zip(&plain).enumerate() {
                let row = i / 4;
                let own = f64::from(own[row]);
                let wanted = f64::from(plain) * steps[row] * f64::from(factors[row]);
                let error = (f64::from(int) * own - wanted).abs();
                assert!(error <= 0.5001 * own, "{int} x {own}: {wanted}");
                let is_held = f64::from(shifts[row]).abs() < 0.99 * MOST * own * 0.03;
                // Then no weight is rounded a second time.
                assert!(!is_held || factors[row] == 0.0 || int.abs() == plain.abs(), "{int}");
                let step = f64::from(own as f32 * INPUT.step);
                let error = (f64::from(summands[row]) * step - f64::from(shifts[row])).abs();
                assert!(error <= 0.5001 * step, "{} x {step}: {}", summands[row], shifts[row]);
            }
        }
    }

    /// A large summand, and outputs that are nothing but one.
    #[test]
    fn summands_fit() {
        for (weight, factor, summand) in [
            (1.0, 1.0, 1e9),
            (0.0, 1.0, 0.125),
            (1.0, 0.0, -3.0),
            (0.0, 0.0, 0.0),
            (1e-30, 1.0, 5.0),
        ] {
            let (mut b, both) = (Builder::default(), [vec![factor], vec![summand]]);
            write(&mut b, "w", &[1, 1, 1], Weights::Floats(vec![weight]), &both, INPUT);
            let data = |name: &str| b.tensors.iter().find(|t| t.name == name).unwrap().data.clone();
            let (Data::I32(sum), Data::F32(step)) = (data("w.summand"), data("w.summand.steps"))
            else {
                panic!("a summand");
            };
            let found = f64::from(sum[0]) * f64::from(step[0]);
            let error = (found - f64::from(summand)).abs();
            assert!(error <= 1e-6 * f64::from(summand).abs(), "{found}: {summand}");
            assert!(step[0].is_normal());
        }
    }

    #[test]
    fn codes_have_the_integers_of_their_table() {
        let codes = crate::backend::codes::pack(&[0, 1, 1, 0], 1);
        for (values, per_output, wanted) in [
            (vec![-1.0, 1.0], false, [-127, 127, 127, -127]),
            (vec![-1.0, 1.0, 0.5, 0.0], true, [-127, 127, 0, 127]),
        ] {
            let weights = Weights::Codes { bits: 1, codes: codes.clone(), values, per_output };
            assert_eq!(whole(weights, &[2, 2, 1]).0, wanted);
        }
    }
}
