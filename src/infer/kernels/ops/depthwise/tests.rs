use super::super::testing::{Held, for_levels};
use super::*;

struct Case {
    size: [usize; 3],
    geometry: Geometry,
    pad: usize,
}

fn case(size: [usize; 3], output: usize, kernel: [usize; 2], more: [[usize; 2]; 3]) -> Case {
    let [stride, dilation, padding] = more;
    let geometry = Geometry { input: 1, output, kernel, stride, dilation, padding };
    Case { size, geometry, pad: padding[1].max(1) }
}

fn check(level: Level, case: &Case) {
    let Case { size: [channels, mels, frames], geometry, pad } = *case;
    let Geometry { output, kernel, stride, dilation, padding, .. } = geometry;
    let x = Held::noise(&case.size, pad, 1);
    let outputs = channels * output;
    let weights = Held::noise(&[outputs, kernel[0], kernel[1]], 0, 2);
    let numbers = |seed: u64| Held::noise(&[outputs], 0, seed).dense();
    let (scale, shift) = (numbers(3), numbers(4));
    let made = |i: usize, n: usize| {
        (n + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i] + 1
    };
    let size = [outputs, made(0, mels), made(1, frames)];
    let other = Held::noise(&size, pad, 5);
    let convolution = other.indexed(|_, at| {
        let mut sum = 0.0;
        for (i, j) in (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| (i, j))) {
            let mel = (at[1] * stride[0] + i * dilation[0]).checked_sub(padding[0]);
            let frame = (at[2] * stride[1] + j * dilation[1]).checked_sub(padding[1]);
            if let (Some(mel), Some(frame)) = (mel, frame)
                && mel < mels
                && frame < frames
            {
                let weight = f64::from(weights.at(&[at[0], i, j]));
                sum += weight * f64::from(x.at(&[at[0] / output, mel, frame]));
            }
        }
        sum * f64::from(scale[at[0]]) + f64::from(shift[at[0]])
    });
    let of = Depthwise::new(weights.dense(), scale, shift, channels, geometry, level);
    let sums = convolution.iter().zip(other.dense());
    let sums: Vec<f64> = sums.map(|(v, o)| (v + f64::from(o)).max(0.0)).collect();
    let x_values = x.source().values;
    let mut y = Held::garbage(&size, pad);
    let run = |y: &mut Held, add: Add<'_>, relu: bool| {
        let (size, y, scratch) = (case.size, y.memory(), &mut [][..]);
        of.run(Call { x: x_values, size, pad, y, add, relu, scratch });
    };
    run(&mut y, Add::Nothing, false);
    y.near(&convolution, 2e-6);
    run(&mut y, Add::Of(other.source().values), true);
    y.near(&sums, 2e-6);
    let mut y = other.clone();
    run(&mut y, Add::InPlace, true);
    y.near(&sums, 2e-6);
}

#[test]
fn outputs_are_sums_over_taps() {
    let one = [1, 1];
    let cases = [
        case([5, 6, 70], 1, [3, 3], [one, one, one]),
        case([3, 1, 37], 1, [1, 7], [one, one, [0, 3]]),
        case([3, 1, 200], 1, [1, 59], [one, one, [0, 29]]),
        case([2, 5, 33], 2, [3, 3], [one, [2, 2], [2, 2]]),
        case([4, 7, 41], 1, [3, 3], [[2, 2], one, one]),
        case([4, 7, 64], 1, [3, 3], [[2, 1], one, one]),
        case([2, 6, 20], 3, [2, 4], [[2, 3], [1, 2], [0, 0]]),
        case([2, 1, 3], 1, [1, 1], [one, one, [0, 0]]),
        case([2, 3, 9], 1, [3, 3], [one, one, [2, 4]]),
    ];
    for_levels(|level| cases.iter().for_each(|case| check(level, case)));
}
