//! Convolutions to test, and their definition.

use super::super::weights::{Ints, rounded};
use super::super::*;
use super::UNTOUCHED;
use crate::backend::codes::pack;
use crate::infer::plane::{GUARD, Plane, TAIL};
use crate::rng::Stream;

/// A value `[channels, rows, frames]`, without guards and pads.
#[derive(Clone, PartialEq)]
pub(super) enum Value {
    Floats(Vec<f32>),
    Bytes(Vec<u8>, Scale),
}

impl Value {
    pub fn random(stream: &mut Stream, count: usize, scale: Option<Scale>) -> Self {
        match scale {
            None => Self::Floats((0..count).map(|_| stream.between(-3.0, 3.0) as f32).collect()),
            Some(scale) => {
                Self::Bytes((0..count).map(|_| stream.below(256) as u8).collect(), scale)
            }
        }
    }

    pub fn at(&self, i: usize) -> f32 {
        match self {
            Self::Floats(values) => values[i],
            Self::Bytes(bytes, scale) => scale.value(bytes[i]),
        }
    }

    /// Words as they lie in memory. In guards is anything, but for the first row's zeros.
    pub fn laid(&self, size: [usize; 3], pad: usize) -> Vec<u32> {
        let [channels, mels, frames] = size;
        let mut stream = Stream::new(9, "guards", &[]);
        let (each, zero) = match self {
            Self::Floats(_) => (1, 0),
            Self::Bytes(_, scale) => (4, scale.word()),
        };
        let mut words: Vec<u32> = (0..GUARD - pad).map(|_| stream.bits() as u32).collect();
        words.extend(vec![zero; pad]);
        for (plane, row) in (0..channels.div_ceil(each) * mels).map(|i| (i / mels, i % mels)) {
            words.extend((0..frames).map(|frame| {
                let at = |channel: usize| (channel * mels + row) * frames + frame;
                match self {
                    Self::Floats(values) => values[at(plane)].to_bits(),
                    Self::Bytes(bytes, scale) => u32::from_le_bytes([0, 1, 2, 3].map(|i| {
                        let channel = 4 * plane + i;
                        if channel < channels { bytes[at(channel)] } else { scale.zero }
                    })),
                }
            }));
            words.extend(vec![zero; pad]);
        }
        words.extend((0..TAIL).map(|_| stream.bits() as u32));
        words
    }
}

#[derive(Clone)]
pub(super) struct Case {
    pub geometry: Geometry,
    pub size: [usize; 2],
    pub pad: usize,
    pub weights: Weights,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub x: Vec<u8>,
    pub input: Scale,
    pub output: Scale,
}

fn random_weights(stream: &mut Stream, geometry: &Geometry) -> Weights {
    let Geometry { input, output, kernel, .. } = *geometry;
    let count = input * output * kernel[0] * kernel[1];
    let mut floats = |count: usize| -> Vec<f32> {
        (0..count).map(|_| stream.between(-1.0, 1.0) as f32).collect()
    };
    let mut drawn = Stream::new(4, "codes", &[count as u64, output as u64]);
    if drawn.chance(0.4) {
        return Weights::Floats(floats(count));
    }
    let (bits, per_output) = (1 + drawn.below(8), drawn.chance(0.5));
    let entries = 1 + drawn.below(1 << bits);
    let values = floats(if per_output { output * entries } else { entries });
    let codes: Vec<u8> = (0..count).map(|_| drawn.below(entries) as u8).collect();
    Weights::Codes { bits: bits as u32, codes: pack(&codes, bits), values, per_output }
}

impl Case {
    pub fn of(stream: &mut Stream, geometry: Geometry, size: [usize; 2], pad: usize) -> Self {
        let Geometry { input, output, kernel, .. } = geometry;
        let mut floats = |count: usize, most: f64| -> Vec<f32> {
            (0..count).map(|_| stream.between(-most, most) as f32).collect()
        };
        let (scale, shift) = (floats(output, 2.0), floats(output, 1.0));
        let spread = ((input * kernel[0] * kernel[1]) as f64).sqrt() as f32;
        Self {
            geometry,
            size,
            pad,
            weights: random_weights(stream, &geometry),
            scale,
            shift,
            x: (0..input * size[0] * size[1]).map(|_| stream.below(256) as u8).collect(),
            input: Scale { step: 0.017, zero: [0, 128, stream.below(256) as u8][stream.below(3)] },
            output: Scale::of([-spread * stream.below(3) as f32, spread * 2.0]),
        }
    }

    /// A convolution of any kind, at sizes around those of tiles.
    pub fn random(stream: &mut Stream) -> Self {
        let kernel = [[1, 1], [3, 3], [1, 5], [5, 3], [2, 2]][stream.below(5)];
        let mut two =
            |least: usize, most: usize| [0, 1].map(|_| least + stream.below(most - least + 1));
        let (stride, dilation, padding) = (two(1, 3), two(1, 3), two(0, 3));
        let ([input, output], [mels, frames]) = (two(1, 21), [two(1, 12)[0], two(1, 70)[0]]);
        let geometry = Geometry { input, output, kernel, stride, dilation, padding };
        let pad = padding[1].max(1) + stream.below(2);
        Self::of(stream, geometry, [mels, frames], pad)
    }

    /// Of usual layers, large enough for several parts and threads.
    pub fn usual(stream: &mut Stream) -> Vec<Self> {
        let cases = [
            [[40, 40], [3, 3], [1, 1], [1, 1], [20, 75]],
            [[64, 62], [3, 3], [1, 1], [1, 1], [16, 66]],
            [[32, 64], [3, 3], [2, 2], [1, 1], [20, 75]],
            [[300, 24], [1, 1], [1, 1], [0, 0], [1, 1500]],
            [[64, 96], [1, 1], [2, 2], [0, 0], [20, 75]],
        ];
        let case = |[[input, output], kernel, stride, padding, size]: [[usize; 2]; 5]| {
            let dilation = [1, 1];
            let geometry = Geometry { input, output, kernel, stride, dilation, padding };
            Self::of(stream, geometry, size, 1)
        };
        cases.into_iter().map(case).collect()
    }

    pub fn made(&self) -> [usize; 3] {
        let [rows, width] = self.geometry.made(self.size);
        [self.geometry.output, rows, width]
    }

    pub fn dense(&self, kernel: &'static Kernel) -> IntDense {
        let Self { weights, scale, shift, geometry, input, .. } = self.clone();
        IntDense::with_kernel(weights, scale, shift, geometry, input, kernel)
    }

    /// The definition, one value after the other.
    pub fn wanted(&self, add: Option<&Value>, relu: bool, output: Option<Scale>) -> Value {
        let Geometry { input, kernel, stride, dilation, padding, .. } = self.geometry;
        let ([mels, frames], [outputs, rows, width]) = (self.size, self.made());
        let (ints, steps) = rounded(self.weights.clone(), &self.geometry);
        let ints: Vec<i64> = match ints {
            Ints::Bytes(bytes) => bytes.into_iter().map(i64::from).collect(),
            Ints::Codes { bits, codes, tables } => {
                let each = codes.len() / outputs;
                let table =
                    |i: usize| if tables.len() > 1 << bits { (i / each) << bits } else { 0 };
                let int = |(i, code): (usize, &u8)| tables[table(i) + usize::from(*code)].into();
                codes.iter().enumerate().map(int).collect()
            }
        };
        let inside = |at: usize, tap: usize, axis: usize| {
            let place = at * stride[axis] + tap * dilation[axis];
            place.checked_sub(padding[axis]).filter(|&place| place < self.size[axis])
        };
        let mut values = Vec::new();
        for i in 0..outputs * rows * width {
            let (o, row, frame) = (i / width / rows, i / width % rows, i % width);
            let mut sum = 0;
            for t in 0..input * kernel[0] * kernel[1] {
                let (c, down, right) =
                    (t / kernel[1] / kernel[0], t / kernel[1] % kernel[0], t % kernel[1]);
                if let (Some(r), Some(f)) = (inside(row, down, 0), inside(frame, right, 1)) {
                    let byte = i64::from(self.x[(c * mels + r) * frames + f]);
                    let weight = ints[o * input * kernel[0] * kernel[1] + t];
                    sum += (byte - i64::from(self.input.zero)) * weight;
                }
            }
            let step = f64::from(self.input.step) * steps[o];
            let mut value = sum as f32 * ((f64::from(self.scale[o]) * step) as f32) + self.shift[o];
            if let Some(add) = add {
                value += add.at(i);
            }
            values.push(if relu && value < 0.0 { 0.0 } else { value });
        }
        match output {
            None => Value::Floats(values),
            Some(scale) => {
                Value::Bytes(values.into_iter().map(|value| scale.byte(value)).collect(), scale)
            }
        }
    }

    /// The output's words. Guards are checked to be as they were.
    pub fn found(
        &self,
        dense: &IntDense,
        add: Option<&Value>,
        in_place: bool,
        relu: bool,
        output: Option<Scale>,
    ) -> Vec<u32> {
        let size = [self.geometry.input, self.size[0], self.size[1]];
        let (pad, made) = (self.pad, self.made());
        let x = Value::Bytes(self.x.clone(), self.input).laid(size, pad);
        let planes = if output.is_some() { made[0].div_ceil(4) } else { made[0] };
        let plane = Plane::of(&[planes, made[1], made[2]], pad);
        let added = add.map(|add| add.laid(made, pad));
        let mut y = match &added {
            Some(added) if in_place => added.clone(),
            _ => vec![0x7fc0_1234; plane.buffer()],
        };
        let floats: Vec<f32> = added.iter().flatten().map(|&word| f32::from_bits(word)).collect();
        y[..GUARD].fill(UNTOUCHED);
        y[GUARD + plane.len()..].fill(UNTOUCHED);
        let add = match (add, &added) {
            (Some(_), _) if in_place => IntAdd::InPlace,
            (Some(Value::Bytes(_, scale)), Some(added)) => IntAdd::Bytes(added, *scale),
            (Some(Value::Floats(_)), _) => IntAdd::Floats(&floats),
            _ => IntAdd::Nothing,
        };
        let mut scratch = vec![0xdead_beef; dense.scratch(size, pad)];
        let mut call = |y: IntOutput<'_>| {
            dense.run(IntCall { x: &x, size, pad, y, add, relu, scratch: &mut scratch });
        };
        match output {
            Some(scale) => call(IntOutput::Bytes(&mut y, scale)),
            None => {
                let mut values: Vec<f32> = y.iter().map(|&word| f32::from_bits(word)).collect();
                call(IntOutput::Floats(&mut values));
                y = values.into_iter().map(f32::to_bits).collect();
            }
        }
        let (guard, rest) = y.split_at(GUARD);
        let (value, tail) = rest.split_at(plane.len());
        let is_kept = guard.iter().chain(tail).all(|&word| word == UNTOUCHED);
        assert!(is_kept, "{:?}: a guard has changed", self.geometry);
        value.to_vec()
    }
}
