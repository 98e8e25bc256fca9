mod winograd;

use super::*;
use crate::backend::codes::pack;
use crate::infer::plane::{GUARD, Plane, TAIL};
use crate::rng::Stream;

/// Marks places that no kernel may change.
const UNTOUCHED: f32 = 12345.0;

fn random(name: &str, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(7, name, &[count as u64]);
    (0..count).map(|_| stream.between(-1.0, 1.0) as f32).collect()
}

/// Rows with zeros behind them. In guards there is no number, but for the first row's zeros.
fn laid(values: &[f32], width: usize, pad: usize) -> Vec<f32> {
    let mut all = vec![f32::NAN; GUARD - pad];
    all.extend(vec![0.0; pad]);
    for row in values.chunks(width) {
        all.extend(row);
        all.extend(vec![0.0; pad]);
    }
    all.extend([f32::NAN; TAIL]);
    all
}

struct Case {
    geometry: Geometry,
    size: [usize; 2],
    pad: usize,
}

/// Channels, kernel, stride, dilation, padding; rows and frames of the input.
fn case(
    [input, output]: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 2],
    size: [usize; 2],
) -> Case {
    let geometry = Geometry { input, output, kernel, stride, dilation, padding };
    Case { geometry, size, pad: padding[1].max(1) }
}

/// Every way that a convolution can go, at sizes around those of tiles.
fn cases() -> Vec<Case> {
    let one = [1, 1];
    let three = [3, 3];
    vec![
        case([1, 8], three, one, one, one, [5, 48]),
        case([3, 5], three, one, one, one, [7, 33]),
        case([16, 32], three, one, one, one, [10, 38]),
        case([9, 13], three, one, one, one, [2, 1]),
        case([9, 13], three, one, one, one, [1, 2]),
        case([5, 8], three, one, [2, 3], [2, 3], [9, 21]),
        case([5, 8], three, one, [3, 2], [3, 2], [4, 50]),
        case([4, 9], [5, 5], one, one, [2, 2], [6, 17]),
        case([4, 9], [5, 3], [2, 1], [1, 2], [2, 2], [11, 70]),
        case([6, 8], three, [2, 1], one, one, [80, 10]),
        case([6, 8], three, [1, 2], one, one, [6, 99]),
        case([6, 8], three, [2, 2], one, one, [9, 63]),
        case([6, 8], three, [2, 2], one, one, [8, 64]),
        case([6, 8], three, [2, 2], [2, 2], [2, 2], [8, 1]),
        case([6, 7], three, [3, 3], one, one, [10, 100]),
        case([6, 7], [1, 1], [2, 2], one, [0, 0], [9, 37]),
        case([6, 7], [5, 5], [3, 3], one, [0, 0], [11, 31]),
        case([6, 7], three, one, one, [0, 0], [7, 50]),
        case([6, 7], [1, 5], [1, 2], [1, 2], [0, 0], [3, 120]),
        case([3, 4], [1, 5], [1, 2], one, [0, 0], [2, 40]),
        case([6, 7], [1, 3], one, one, [0, 0], [1, 700]),
        case([2, 3], [1, 1], one, one, [2, 0], [3, 20]),
        case([2, 3], three, [2, 1], [1, 2], [5, 2], [3, 20]),
        case([2, 3], [3, 2], one, one, [2, 1], [3, 20]),
        case([20, 33], [1, 1], one, one, [0, 0], [1, 300]),
        case([24, 16], [1, 5], one, [1, 4], [0, 8], [1, 61]),
        case([40, 40], three, one, one, one, [20, 75]),
        case([64, 64], three, one, one, one, [16, 66]),
        case([32, 64], three, [2, 2], one, one, [20, 75]),
        case([300, 24], [1, 1], one, one, [0, 0], [3, 500]),
        case([3, 4], three, one, one, [0, 0], [2, 9]),
    ]
}

impl Case {
    fn weights(&self) -> Vec<f32> {
        let Geometry { input, output, kernel, .. } = self.geometry;
        random("weights", output * input * kernel[0] * kernel[1])
    }

    fn scale(&self) -> Vec<f32> {
        random("scale", self.geometry.output)
    }

    fn shift(&self) -> Vec<f32> {
        random("shift", self.geometry.output)
    }

    fn dense(&self, level: Level) -> Dense {
        let weights = Weights::Floats(self.weights());
        Dense::new(weights, self.scale(), self.shift(), self.geometry, level)
    }

    fn x(&self) -> Vec<f32> {
        random("x", self.geometry.input * self.size[0] * self.size[1])
    }

    fn plane(&self) -> Plane {
        let [rows, width] = self.geometry.made(self.size);
        Plane::of(&[self.geometry.output, rows, width], self.pad)
    }

    /// The values of the output. Pads are checked to be 0, guards to be as they were.
    fn found(&self, dense: &Dense, add: Option<&[f32]>, in_place: bool, relu: bool) -> Vec<f32> {
        self.found_with(dense, add, in_place, relu, self.scratch(dense))
    }

    fn scratch(&self, dense: &Dense) -> Vec<f32> {
        let size = [self.geometry.input, self.size[0], self.size[1]];
        vec![f32::NAN; dense.scratch(size, self.pad)]
    }

    fn found_with(
        &self,
        dense: &Dense,
        add: Option<&[f32]>,
        in_place: bool,
        relu: bool,
        mut scratch: Vec<f32>,
    ) -> Vec<f32> {
        let Case { geometry, size: [mels, frames], pad } = *self;
        let plane = self.plane();
        let x = laid(&self.x(), frames, pad);
        let size = [geometry.input, mels, frames];
        let added = add.map(|add| laid(add, plane.width.max(1), pad));
        let mut y = match &added {
            Some(added) if in_place => added.clone(),
            _ => vec![f32::NAN; plane.buffer()],
        };
        y[..GUARD].fill(UNTOUCHED);
        y[GUARD + plane.len()..].fill(UNTOUCHED);
        let add = match &added {
            None => Add::Nothing,
            Some(_) if in_place => Add::InPlace,
            Some(add) => Add::Of(add),
        };
        let call = Call { x: &x, size, pad, y: &mut y, add, relu, scratch: &mut scratch };
        dense.run(call);
        let guards = y[..GUARD].iter().chain(&y[GUARD + plane.len()..]);
        assert!(guards.into_iter().all(|&v| v == UNTOUCHED), "{geometry:?}: a guard has changed");
        let mut values = Vec::new();
        for row in y[GUARD..GUARD + plane.len()].chunks(plane.pitch) {
            values.extend(&row[..plane.width]);
            assert!(row[plane.width..].iter().all(|&v| v == 0.0), "{geometry:?}: pads {row:?}");
        }
        values
    }

    /// The definition, in f64, with nothing added.
    fn wanted(&self) -> Vec<f64> {
        let Geometry { input, output, kernel, stride, dilation, padding } = self.geometry;
        let [mels, frames] = self.size;
        let [rows, width] = self.geometry.made(self.size);
        let (x, weights, scale, shift) = (self.x(), self.weights(), self.scale(), self.shift());
        let inside = |at: usize, tap: usize, axis: usize| {
            let place = at * stride[axis] + tap * dilation[axis];
            place.checked_sub(padding[axis]).filter(|&place| place < self.size[axis])
        };
        let mut y = Vec::new();
        for (o, row, frame) in
            (0..output * rows * width).map(|i| (i / width / rows, i / width % rows, i % width))
        {
            let mut sum = 0.0;
            for (c, i, j) in (0..input * kernel[0] * kernel[1])
                .map(|t| (t / kernel[1] / kernel[0], t / kernel[1] % kernel[0], t % kernel[1]))
            {
                if let (Some(r), Some(f)) = (inside(row, i, 0), inside(frame, j, 1)) {
                    let weight = weights[((o * input + c) * kernel[0] + i) * kernel[1] + j];
                    sum += f64::from(weight) * f64::from(x[(c * mels + r) * frames + f]);
                }
            }
            y.push(sum * f64::from(scale[o]) + f64::from(shift[o]));
        }
        y
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn every_level_computes_the_definition() {
    for case in cases() {
        let computed = case.wanted();
        let added = random("add", case.plane().rows * case.plane().width);
        for (add, in_place, relu) in [
            (None, false, false),
            (None, false, true),
            (Some(&added[..]), false, true),
            (Some(&added[..]), true, false),
        ] {
            let finished = |(i, &value): (usize, &f64)| {
                let value = value + add.map_or(0.0, |add| f64::from(add[i]));
                if relu { value.max(0.0) } else { value }
            };
            let wanted: Vec<f64> = computed.iter().enumerate().map(finished).collect();
            let largest = wanted.iter().fold(0.0f64, |most, v| most.max(v.abs()));
            for level in Level::available() {
                let found = case.found(&case.dense(level), add, in_place, relu);
                assert_eq!(found.len(), wanted.len());
                for (i, (&f, &w)) in found.iter().zip(&wanted).enumerate() {
                    let difference = (f64::from(f) - w).abs();
                    assert!(
                        difference <= 1e-5 * largest,
                        "{level:?}, {:?}, {:?}: value {i} is {f} instead of {w}",
                        case.geometry,
                        case.size,
                    );
                }
            }
        }
    }
}

#[test]
fn a_kernel_beyond_the_input_makes_nothing() {
    let case = case([2, 3], [1, 5], [1, 1], [1, 1], [0, 0], [1, 4]);
    assert_eq!(case.geometry.made(case.size), [1, 0]);
    let found = case.found(&case.dense(Level::best()), None, false, false);
    assert!(found.is_empty());
}

#[test]
fn codes_give_the_bits_of_their_values() {
    for case in [
        case([5, 13], [3, 3], [1, 1], [1, 1], [1, 1], [6, 30]),
        case([7, 8], [1, 1], [1, 1], [1, 1], [0, 0], [1, 50]),
        case([32, 64], [3, 3], [2, 2], [1, 1], [1, 1], [20, 75]),
        case([17, 19], [3, 3], [1, 1], [1, 1], [1, 1], [5, 20]),
    ] {
        let Geometry { input, output, kernel, .. } = case.geometry;
        let each = input * kernel[0] * kernel[1];
        let rows = if output == 64 { vec![(4, 16, false)] } else { Vec::new() };
        let schemes = (1..=8).map(|bits| (bits, 1 << bits, false));
        let schemes = schemes.chain([(3, 5, false), (1, 2, true), (3, 8, true), (2, 3, true)]);
        for (bits_each, entries, per_output) in schemes.chain(rows) {
            let groups = if per_output { output } else { 1 };
            let values = random("values", groups * entries);
            let mut stream = Stream::new(3, "codes", &[bits_each as u64]);
            let codes: Vec<u8> =
                (0..output * each).map(|_| (stream.bits() % entries as u64) as u8).collect();
            let value = |(i, &code): (usize, &u8)| {
                let group = if per_output { i / each } else { 0 };
                values[group * entries + usize::from(code)]
            };
            let floats = Weights::Floats(codes.iter().enumerate().map(value).collect());
            let packed = Weights::Codes {
                bits: bits_each as u32,
                codes: pack(&codes, bits_each),
                values: values.clone(),
                per_output,
            };
            for level in Level::available() {
                let dense =
                    |weights| Dense::new(weights, case.scale(), case.shift(), case.geometry, level);
                let (floats, packed) = (dense(floats.clone()), dense(packed.clone()));
                let of = |dense| bits(&case.found(dense, None, false, true));
                assert!(of(&floats) == of(&packed), "{level:?}, {bits_each} bits, {per_output}");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in cases().into_iter().filter(|case| case.geometry.output >= 16) {
        for level in Level::available() {
            let dense = case.dense(level);
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| bits(&case.found(&dense, None, false, false)))
            };
            let one = on(1);
            assert!([2, 3, 7].into_iter().all(|threads| on(threads) == one), "{level:?}");
        }
    }
}

#[test]
fn bytes_are_those_of_weights_scale_and_shift() {
    let case = case([16, 32], [3, 3], [1, 1], [1, 1], [0, 0], [10, 38]);
    assert_eq!(case.dense(Level::best()).bytes(), 4 * (16 * 32 * 9 + 2 * 32));
    let codes = vec![0; 16 * 32 * 9 / 2];
    let codes = Weights::Codes { bits: 4, codes, values: vec![0.5; 16], per_output: false };
    let packed = Dense::new(codes, case.scale(), case.shift(), case.geometry, Level::best());
    assert_eq!(packed.bytes(), 16 * 32 * 9 / 2 + 8 + 4 * (16 + 2 * 32));
}
