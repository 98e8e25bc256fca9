//! Convolutions and their gradients against scalar arithmetic in f64, in shapes that tiled kernels
//! get wrong: sizes that fill no tile, a single input channel as in every network's first layer,
//! strides, more channels than a tile has.

use burn::tensor::{DType, Tensor, TensorData};

use super::{Findings, Subject, values};
use crate::backend::convolution::{Window, allow_tf32, convolve, tf32_allowed};
use crate::backend::depthwise::depthwise;
use crate::error::Result;
use crate::nn::Precision;
use crate::rng::Stream;

/// A convolution of an input `[batch, input, mels, frames]` with weights `[output, input / groups,
/// rows, columns]`.
#[derive(Debug, Clone, Copy)]
struct Shape {
    x: [usize; 4],
    weight: [usize; 4],
    window: Window,
}

/// Padded so that a stride of 1 keeps the size, in as many groups as the weights tell.
const fn shape(x: [usize; 4], weight: [usize; 4], stride: [usize; 2]) -> Shape {
    let window = Window::same([weight[2], weight[3]], stride);
    Shape { x, weight, window: Window { groups: x[1] / weight[1], ..window } }
}

/// With another padding and taps further apart.
const fn windowed(shape: Shape, padding: [usize; 2], dilation: [usize; 2]) -> Shape {
    Shape { window: Window { padding, dilation, ..shape.window }, ..shape }
}

const SHAPES: [(&str, Shape); 21] = [
    ("one input channel", shape([2, 1, 17, 23], [32, 1, 3, 3], [1, 1])),
    ("one input channel, 16 output channels", shape([2, 1, 8, 24], [16, 1, 3, 3], [1, 1])),
    ("1x1, 16 of 8, strided", shape([2, 8, 9, 21], [16, 8, 1, 1], [2, 2])),
    ("width 44", shape([2, 44, 9, 13], [44, 44, 3, 3], [1, 1])),
    ("width 44, strided", shape([2, 44, 9, 14], [44, 44, 3, 3], [2, 1])),
    ("odd sizes", shape([3, 5, 9, 21], [7, 5, 3, 3], [2, 1])),
    ("odd sizes, 5x5", shape([1, 3, 7, 11], [5, 3, 5, 5], [1, 1])),
    ("whole tiles", shape([2, 32, 8, 32], [32, 32, 3, 3], [1, 1])),
    ("several tiles, strided", shape([2, 33, 10, 70], [65, 33, 3, 3], [2, 2])),
    ("1x1, several tiles", shape([2, 70, 3, 50], [66, 70, 1, 1], [1, 1])),
    ("one position", shape([2, 3, 1, 1], [4, 3, 3, 3], [1, 1])),
    ("depthwise", shape([2, 6, 9, 21], [6, 1, 3, 3], [1, 1])),
    ("depthwise, 7x7", shape([1, 5, 11, 13], [5, 1, 7, 7], [1, 1])),
    ("over frames, strided", shape([2, 7, 1, 41], [9, 7, 1, 5], [1, 2])),
    (
        "over frames, dilated",
        windowed(shape([2, 24, 1, 37], [20, 24, 1, 3], [1, 1]), [0, 3], [1, 3]),
    ),
    (
        "kernel of the stride's size",
        windowed(shape([2, 6, 11, 23], [10, 6, 2, 1], [2, 1]), [0, 0], [1, 1]),
    ),
    ("strided and dilated", windowed(shape([1, 4, 9, 20], [3, 4, 3, 3], [2, 2]), [2, 2], [2, 2])),
    ("groups of 4", shape([2, 8, 9, 21], [8, 4, 3, 3], [1, 1])),
    ("groups of 9", shape([2, 18, 5, 13], [20, 9, 3, 3], [1, 1])),
    (
        "groups, kernel of the stride's size",
        windowed(shape([2, 6, 6, 22], [12, 1, 2, 2], [2, 2]), [0, 0], [1, 1]),
    ),
    ("depthwise over frames", shape([2, 9, 1, 50], [9, 1, 1, 19], [1, 1])),
];

/// Output, gradient of the input, gradient of the weights.
const RESULTS: [&str; 3] = ["output", "input's gradient", "weights' gradient"];

impl Shape {
    /// Whether the operation for depthwise ones takes it.
    fn is_depthwise(&self) -> bool {
        let [output, depth, rows, columns] = self.weight;
        let groups = self.x[1];
        let window = Window { groups, ..Window::same([rows, columns], [1, 1]) };
        (depth, output, rows) == (1, groups, columns) && groups > 1 && self.window == window
    }

    /// `[batch, output, mels', frames']`.
    fn output(&self) -> [usize; 4] {
        let [batch, _, mels, frames] = self.x;
        let [output, _, rows, columns] = self.weight;
        let [mels, frames] = self.window.output([mels, frames], [rows, columns]);
        [batch, output, mels, frames]
    }

    /// The sizes in words.
    fn about(&self) -> String {
        let Self { x, weight, window } = self;
        let Window { stride, padding, dilation, groups } = window;
        let mut about = format!("{x:?} with {weight:?}, stride {stride:?}");
        if *window != (Window { groups: *groups, ..Window::same([weight[2], weight[3]], *stride) })
        {
            about += &format!(", padding {padding:?}, dilation {dilation:?}");
        }
        about
    }
}

/// Normal random numbers, rounded to a type.
fn noise(seed: u64, shape: [usize; 4], dtype: DType) -> Vec<f32> {
    let mut stream = Stream::new(seed, "selftest", &[]);
    let numbers: Vec<f32> =
        (0..shape.iter().product::<usize>()).map(|_| stream.normal() as f32).collect();
    values(TensorData::new(numbers, shape).convert_dtype(dtype))
}

/// The results on the device, in a type.
fn computed(
    subject: &Subject,
    shape: &Shape,
    dtype: DType,
    [x, weight, dy]: [&[f32]; 3],
) -> [Vec<f32>; 3] {
    let device = subject.device.clone().autodiff();
    let tensor = |values: &[f32], shape: [usize; 4]| {
        Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), &device)
    };
    let (x, weight) =
        (tensor(x, shape.x).require_grad(), tensor(weight, shape.weight).require_grad());
    let (x_used, weight_used) = (x.clone().cast(dtype), weight.clone().cast(dtype));
    let y = match shape.is_depthwise() {
        true => depthwise(x_used, weight_used),
        false => convolve(x_used, weight_used, shape.window),
    };
    let y = y.cast(DType::F32);
    let gradients = (y.clone() * tensor(dy, shape.output())).sum().backward();
    let gradient =
        |x: &Tensor<4>| x.grad(&gradients).map_or_else(Vec::new, |g| values(g.into_data()));
    [values(y.into_data()), gradient(&x), gradient(&weight)]
}

/// The same by loops over everything, in f64.
fn reference(shape: &Shape, [x, weight, dy]: [&[f32]; 3]) -> [Vec<f32>; 3] {
    let [_, inputs, mels, frames] = shape.x;
    let [batch, outputs, rows, columns] = shape.output();
    let [_, depth, high, wide] = shape.weight;
    let Window { stride, padding, dilation, groups } = shape.window;
    let mut y = vec![0.0f64; dy.len()];
    let (mut dx, mut dw) = (vec![0.0f64; x.len()], vec![0.0f64; weight.len()]);
    let flat = |[a, b, c, d]: [usize; 4], [_, second, third, fourth]: [usize; 4]| {
        ((a * second + b) * third + c) * fourth + d
    };
    let taps: Vec<[usize; 3]> = (0..depth)
        .flat_map(|c| (0..high).flat_map(move |p| (0..wide).map(move |q| [c, p, q])))
        .collect();
    for at in 0..batch * outputs * rows * columns {
        let (b, o) = (at / (outputs * rows * columns), at / (rows * columns) % outputs);
        let (row, column) = (at / columns % rows, at % columns);
        for &[c, p, q] in &taps {
            let h = row * stride[0] + p * dilation[0];
            let v = column * stride[1] + q * dilation[1];
            let [top, left] = padding;
            if h < top || v < left || h - top >= mels || v - left >= frames {
                continue;
            }
            let channel = o / (outputs / groups) * depth + c;
            let i = flat([b, channel, h - top, v - left], [batch, inputs, mels, frames]);
            let w = flat([o, c, p, q], shape.weight);
            let [x, weight, dy] = [x[i], weight[w], dy[at]].map(f64::from);
            y[at] += x * weight;
            dx[i] += dy * weight;
            dw[w] += dy * x;
        }
    }
    [y, dx, dw].map(|values| values.into_iter().map(|v: f64| v as f32).collect())
}

/// Puts the process's switch back, after a panic too.
pub(super) struct Switch(bool);

impl Switch {
    pub(super) fn to(allowed: bool) -> Self {
        let before = Self(tf32_allowed());
        allow_tf32(allowed);
        before
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        allow_tf32(self.0);
    }
}

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let tolerance = &subject.tolerance;
    for precision in Precision::ALL.into_iter().filter(|p| p.check(&subject.device).is_ok()) {
        let (dtype, tolerance) = match precision {
            Precision::F32 => (DType::F32, tolerance.operation),
            Precision::Tf32 => (DType::F32, tolerance.tf32),
            Precision::Bf16 => (DType::BF16, tolerance.half),
            Precision::F16 => (DType::F16, tolerance.half),
        };
        let _switch = Switch::to(precision == Precision::Tf32);
        for (name, shape) in &SHAPES {
            let (x, weight) = (noise(1, shape.x, dtype), noise(2, shape.weight, dtype));
            let dy = noise(3, shape.output(), dtype);
            let given = [x.as_slice(), weight.as_slice(), dy.as_slice()];
            let ours = computed(subject, shape, dtype, given);
            for ((what, ours), wanted) in RESULTS.iter().zip(&ours).zip(&reference(shape, given)) {
                let about = format!("{name}: {}, {}: {what}", shape.about(), precision.name());
                findings.near(about, ours, wanted, tolerance);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two frames, a kernel of three taps in a row, by hand.
    #[test]
    fn the_reference_is_right() {
        let row = |a: f32, b: f32, c: f32| vec![0.0, 0.0, 0.0, a, b, c, 0.0, 0.0, 0.0];
        let shape = shape([1, 1, 1, 2], [1, 1, 3, 3], [1, 1]);
        let (x, weight, dy) = ([3.0, 5.0], row(1.0, 10.0, 100.0), [2.0, 7.0]);
        let [y, dx, dw] = reference(&shape, [&x, &weight, &dy]);
        assert_eq!(y, [530.0, 53.0]);
        assert_eq!(dx, [27.0, 270.0]);
        assert_eq!(dw, row(21.0, 41.0, 10.0));
    }

    #[test]
    fn strides_and_channels_are_those_of_a_convolution() {
        let strided = shape([1, 2, 3, 3], [1, 2, 1, 1], [2, 2]);
        let x: Vec<f32> = (0..18).map(|i| i as f32).collect();
        let [y, ..] = reference(&strided, [&x, &[1.0, 100.0], &[0.0; 4]]);
        assert_eq!(y, [900.0, 1102.0, 1506.0, 1708.0]);
        let depthwise = shape([1, 2, 1, 1], [2, 1, 3, 3], [1, 1]);
        let weight: Vec<f32> = (0..18).map(|i| i as f32).collect();
        let [y, dx, _] = reference(&depthwise, [&[1.0, 2.0], &weight, &[1.0, 1.0]]);
        assert_eq!((y, dx), (vec![4.0, 26.0], vec![4.0, 13.0]));
        // Four frames, two taps that are two apart, without padding.
        let apart = windowed(shape([1, 1, 1, 4], [1, 1, 1, 2], [1, 1]), [0, 0], [1, 2]);
        let [y, dx, dw] = reference(&apart, [&[1.0, 2.0, 3.0, 4.0], &[1.0, 10.0], &[1.0, 2.0]]);
        assert_eq!((y, dx), (vec![31.0, 42.0], vec![1.0, 2.0, 10.0, 20.0]));
        assert_eq!(dw, [5.0, 11.0]);
    }

    #[test]
    #[cfg(all(feature = "flex", feature = "ndarray"))]
    fn a_wrong_shape_is_named() {
        let mut strict = Subject::open(crate::backend::BackendKind::Flex, 0).unwrap();
        strict.tolerance.half = 0.0;
        let mut findings = Findings::default();
        run(&strict, &mut findings).unwrap();
        let failed: Vec<_> = findings.list.iter().filter(|f| !f.passed()).collect();
        let wanted = "one input channel: [2, 1, 17, 23] with [32, 1, 3, 3], stride [1, 1], bf16: ";
        assert!(failed.iter().any(|f| f.what.starts_with(wanted)), "{failed:?}");
        assert!(failed.iter().all(|f| !f.what.contains(", f32: ")), "{failed:?}");
    }
}
