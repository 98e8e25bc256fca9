//! Operations of networks that ONNX lacks at opset 13, composed of those that it has. Formulas are
//! those of [`Exec`](crate::nn::Exec); axis 0 is the batch, and frames, the last axis, are as many
//! as there are.

use super::builder::Builder;
use crate::nn::{DEVIATION_EPSILON, LAYER_NORM_EPSILON, SIMAM_LAMBDA, Squeeze, Statistics};

/// Normalisation over channels; weight and bias have as many axes as the value, but for the batch.
pub(super) fn layer_norm(b: &mut Builder, x: &str, weight: &str, bias: &str) -> String {
    let centred = b.centred(x, &[1]);
    let square = b.op("Mul", &[&centred, &centred]);
    let variance = b.mean(&square, &[1]);
    let added = b.number(LAYER_NORM_EPSILON);
    let variance = b.op("Add", &[&variance, &added]);
    let deviation = b.op("Sqrt", &[&variance]);
    let y = b.op("Div", &[&centred, &deviation]);
    let y = b.op("Mul", &[&y, weight]);
    b.op("Add", &[&y, bias])
}

/// `x (1 + erf(x / sqrt(2))) / 2`.
pub(super) fn gelu(b: &mut Builder, x: &str) -> String {
    let root = b.number(std::f64::consts::SQRT_2);
    let y = b.op("Div", &[x, &root]);
    let y = b.op("Erf", &[&y]);
    half_of_gated(b, x, &y)
}

/// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
pub(super) fn gelu_tanh(b: &mut Builder, x: &str) -> String {
    let (cubic, root) = (b.number(0.044_715), b.number(std::f64::consts::FRAC_2_PI.sqrt()));
    let cube = b.op("Mul", &[x, x]);
    let cube = b.op("Mul", &[&cube, x]);
    let y = b.op("Mul", &[&cube, &cubic]);
    let y = b.op("Add", &[x, &y]);
    let y = b.op("Mul", &[&y, &root]);
    let y = b.op("Tanh", &[&y]);
    half_of_gated(b, x, &y)
}

/// `x (1 + gate) / 2`.
fn half_of_gated(b: &mut Builder, x: &str, gate: &str) -> String {
    let (one, half) = (b.number(1.0), b.number(0.5));
    let y = b.op("Add", &[gate, &one]);
    let y = b.op("Mul", &[x, &y]);
    b.op("Mul", &[&y, &half])
}

/// Every frame of `[B, channels, T]` becomes the mean of its segment. The last segment is filled up
/// with zeros, and every mean divided by the share of frames that a segment has.
pub(super) fn segments(b: &mut Builder, x: &str, channels: usize, frames: usize) -> String {
    let length = b.length(x, 2);
    let behind = missing(b, &length, frames);
    let front = b.ints(&[0, 0, 0, 0, 0]);
    let pads = b.concat(&[&front, &behind], 0);
    let (one, row) = (b.number(1.0), b.ints(&[1, 1]));
    let row = b.concat(&[&row, &length], 0);
    let ones = b.op("Expand", &[&one, &row]);
    let mut means = |x: &str, channels: usize| {
        let whole = b.op("Pad", &[x, &pads]);
        let parts = b.reshape(&whole, &[0, channels as i64, -1, frames as i64]);
        b.mean(&parts, &[3])
    };
    let (sums, shares) = (means(x, channels), means(&ones, 1));
    let means = b.op("Div", &[&sums, &shares]);
    let all = repeated(b, &means, channels, frames);
    b.first(&all, 2, &length)
}

/// Every value of the last axis, which has size 1, so many times: `[B, channels, n, 1]` ->
/// `[B, channels, n * times]`.
fn repeated(b: &mut Builder, x: &str, channels: usize, times: usize) -> String {
    let shape = b.ints(&[1, 1, 1, times as i64]);
    let all = b.op("Expand", &[x, &shape]);
    b.reshape(&all, &[0, channels as i64, -1])
}

/// What a length lacks to the next multiple.
fn missing(b: &mut Builder, length: &str, multiple: usize) -> String {
    let multiple = b.ints(&[multiple as i64]);
    let past = b.op("Mod", &[length, &multiple]);
    let missing = b.op("Sub", &[&multiple, &past]);
    b.op("Mod", &[&missing, &multiple])
}

/// `[B, channels, 1]` over the frames of `like`.
pub(super) fn spread(b: &mut Builder, x: &str, like: &str) -> String {
    let (ones, length) = (b.ints(&[1, 1]), b.length(like, 2));
    let shape = b.concat(&[&ones, &length], 0);
    b.op("Expand", &[x, &shape])
}

/// Every frame of `[B, channels, T]` so many times.
pub(super) fn repeat(b: &mut Builder, x: &str, channels: usize, times: usize) -> String {
    let each = b.reshape(x, &[0, channels as i64, -1, 1]);
    repeated(b, &each, channels, times)
}

/// Frames of `[B, channels, mels, T]` cut down to a multiple.
pub(super) fn trim(b: &mut Builder, x: &str, multiple: usize) -> String {
    let (length, multiple) = (b.length(x, 3), b.ints(&[multiple as i64]));
    let past = b.op("Mod", &[&length, &multiple]);
    let end = b.op("Sub", &[&length, &past]);
    b.first(x, 3, &end)
}

/// So many mels of zeros behind `[B, channels, mels, T]`, and frames up to a multiple.
pub(super) fn pad(b: &mut Builder, x: &str, mels: usize, multiple: usize) -> String {
    let length = b.length(x, 3);
    let behind = missing(b, &length, multiple);
    let front = b.ints(&[0, 0, 0, 0, 0, 0, mels as i64]);
    let pads = b.concat(&[&front, &behind], 0);
    b.op("Pad", &[x, &pads])
}

/// Channels `[B, channels, T]` as heads, `[B, heads, share, T]`.
fn split(b: &mut Builder, x: &str, heads: usize, channels: usize) -> String {
    b.reshape(x, &[0, heads as i64, (channels / heads) as i64, -1])
}

/// Logits of attention, `[B, heads, T, T]`: rows attend to columns.
pub(super) fn scores(b: &mut Builder, [q, k]: [&str; 2], heads: usize, channels: usize) -> String {
    let (q, k) = (split(b, q, heads, channels), split(b, k, heads, channels));
    let root = b.number(((channels / heads) as f64).sqrt());
    let q = b.op("Div", &[&q, &root]);
    let q = b.transpose(&q, &[0, 1, 3, 2]);
    b.op("MatMul", &[&q, &k])
}

/// The values weighted by attention, `[B, channels, T]`.
pub(super) fn attend(
    b: &mut Builder,
    [weights, v]: [&str; 2],
    heads: usize,
    channels: usize,
) -> String {
    let v = split(b, v, heads, channels);
    let weights = b.transpose(weights, &[0, 1, 3, 2]);
    let y = b.op("MatMul", &[&v, &weights]);
    b.reshape(&y, &[0, channels as i64, -1])
}

/// SimAM's gate on `[B, channels, mels, T]`.
pub(super) fn simam(b: &mut Builder, x: &str, mels: usize) -> String {
    let centred = b.centred(x, &[2, 3]);
    let square = b.op("Mul", &[&centred, &centred]);
    let (sum, divisor) = (b.sum(&square, &[2, 3]), b.divisor(x, 3, mels));
    let variance = b.op("Div", &[&sum, &divisor]);
    let (added, four, half) = (b.number(SIMAM_LAMBDA), b.number(4.0), b.number(0.5));
    let y = b.op("Add", &[&variance, &added]);
    let y = b.op("Mul", &[&y, &four]);
    let y = b.op("Div", &[&square, &y]);
    let y = b.op("Add", &[&y, &half]);
    let gate = b.op("Sigmoid", &[&y]);
    b.op("Mul", &[x, &gate])
}

/// Statistics over the frames of `[B, channels, T]`, weighted by attention where it is there, in so
/// many outputs `[B, outputs]`.
pub(super) fn pool(b: &mut Builder, kind: Statistics, x: &[&str], outputs: usize) -> String {
    let statistics = match kind {
        Statistics::Mean => b.mean(x[0], &[2]),
        Statistics::Deviation => deviation(b, x[0]),
        Statistics::Both => {
            let (mean, deviation) = (b.mean(x[0], &[2]), deviation(b, x[0]));
            b.concat(&[&mean, &deviation], 1)
        }
        Statistics::Weighted(floor) => {
            let weighted = b.op("Mul", &[x[1], x[0]]);
            let squares = b.op("Mul", &[&weighted, x[0]]);
            let (mean, square) = (b.sum(&weighted, &[2]), b.sum(&squares, &[2]));
            let of_mean = b.op("Mul", &[&mean, &mean]);
            let variance = b.op("Sub", &[&square, &of_mean]);
            let floor = b.number(floor.value());
            let variance = b.op("Max", &[&variance, &floor]);
            let deviation = b.op("Sqrt", &[&variance]);
            b.concat(&[&mean, &deviation], 1)
        }
    };
    b.reshape(&statistics, &[0, outputs as i64])
}

/// Standard deviation over frames, `[B, channels, 1]`.
fn deviation(b: &mut Builder, x: &str) -> String {
    let centred = b.centred(x, &[2]);
    let square = b.op("Mul", &[&centred, &centred]);
    let (sum, divisor) = (b.sum(&square, &[2]), b.divisor(x, 2, 1));
    let variance = b.op("Div", &[&sum, &divisor]);
    let added = b.number(DEVIATION_EPSILON);
    let variance = b.op("Add", &[&variance, &added]);
    b.op("Sqrt", &[&variance])
}

/// Mels and frames of `[B, channels, mels, T]` into channels; `size` is that of the value, without
/// the batch.
pub(super) fn squeeze(b: &mut Builder, x: &str, squeeze: Squeeze, size: &[usize]) -> String {
    let Squeeze { mels, frames } = squeeze;
    let (channels, rows) = (size[0], (size[1] / mels) as i64);
    let parts = b.reshape(x, &[0, channels as i64, rows, mels as i64, -1, frames as i64]);
    let parts = b.transpose(&parts, &[0, 3, 5, 1, 2, 4]);
    b.reshape(&parts, &[0, (channels * mels * frames) as i64, rows, -1])
}

/// The nearest multiples of 2 to the power of minus so many bits, ties to even.
pub(super) fn snap(b: &mut Builder, x: &str, bits: i32) -> String {
    let (steps, step) = (b.number(2f64.powi(bits)), b.number(2f64.powi(-bits)));
    let y = b.op("Mul", &[x, &steps]);
    let y = b.op("Round", &[&y]);
    b.op("Mul", &[&y, &step])
}
