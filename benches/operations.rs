//! Our operations against Burn's, forwards and backwards, on one thread:
//!
//!     RAYON_NUM_THREADS=1 cargo bench --bench operations
//!
//! Tensors hold 8 x 64 x 40 x 100 values, however many channels they have. Those of
//! [`convolution_of`] have the sizes that networks give them for 3 s of speech.

use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use revox::backend::convolution::{Window, convolve};
use revox::backend::depthwise::depthwise;
use revox::backend::norm::normalize;
use revox::rng::Stream;

fn main() {
    revox::keep_freed_memory();
    divan::main();
}

fn noise<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let mut stream = Stream::new(1, "bench", &[]);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

/// `[8, channels, 40 or less, 100]` of the same number of values.
fn input(channels: usize) -> Tensor<4> {
    noise([8, channels, 2560 / channels, 100])
}

/// One pass there and back.
fn both(
    bencher: divan::Bencher,
    x: Tensor<4>,
    parameters: Vec<Tensor<4>>,
    f: impl Fn(Tensor<4>, &[Tensor<4>]) -> Tensor<4>,
) {
    bencher.bench_local(|| {
        let x = x.clone().autodiff().require_grad();
        let parameters: Vec<_> =
            parameters.iter().map(|p| p.clone().autodiff().require_grad()).collect();
        let gradients = f(x.clone(), &parameters).sum().backward();
        x.grad(&gradients).map(|g| g.dims())
    });
}

#[divan::bench(args = [64, 256, 1280], consts = [true, false], sample_count = 5)]
fn depthwise_3x3<const OURS: bool>(bencher: divan::Bencher, channels: usize) {
    both(bencher, input(channels), vec![noise([channels, 1, 3, 3])], |x, w| match OURS {
        true => depthwise(x, w[0].clone()),
        false => conv2d(x, w[0].clone(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], channels)),
    });
}

#[divan::bench(
    args = [(64, 3), (64, 1), (256, 3), (256, 1)],
    consts = [true, false],
    sample_count = 5,
)]
fn convolution<const OURS: bool>(bencher: divan::Bencher, (channels, kernel): (usize, usize)) {
    let weight = noise([channels, channels, kernel, kernel]);
    let window = Window::same([kernel; 2], [1, 1]);
    both(bencher, input(channels), vec![weight], |x, w| either::<OURS>(x, &w[0], window));
}

/// Our operation or Burn's.
fn either<const OURS: bool>(x: Tensor<4>, weight: &Tensor<4>, window: Window) -> Tensor<4> {
    let Window { stride, padding, dilation, groups } = window;
    match OURS {
        true => convolve(x, weight.clone(), window),
        false => {
            conv2d(x, weight.clone(), None, ConvOptions::new(stride, padding, dilation, groups))
        }
    }
}

/// A convolution of a network: its name, the input, the weights and how they move.
#[derive(Debug, Clone, Copy)]
struct Layer {
    name: &'static str,
    x: [usize; 4],
    weight: [usize; 4],
    window: Window,
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn layer(name: &'static str, x: [usize; 4], weight: [usize; 4], stride: [usize; 2]) -> Layer {
    let window = Window::same([weight[2], weight[3]], stride);
    Layer { name, x, weight, window: Window { groups: x[1] / weight[1], ..window } }
}

const fn windowed(layer: Layer, padding: [usize; 2], dilation: [usize; 2]) -> Layer {
    Layer { window: Window { padding, dilation, ..layer.window }, ..layer }
}

const LAYERS: [Layer; 8] = [
    layer("ECAPA, first", [1, 80, 1, 300], [512, 80, 1, 5], [1, 1]),
    windowed(layer("ECAPA, dilated", [1, 64, 1, 300], [64, 64, 1, 3], [1, 1]), [0, 3], [1, 3]),
    layer("CAM++, strided", [1, 320, 1, 300], [128, 320, 1, 5], [1, 2]),
    windowed(layer("ReDimNet, down", [1, 16, 72, 300], [32, 16, 2, 1], [2, 1]), [0, 0], [1, 1]),
    layer("ReDimNet, groups of 4", [1, 32, 36, 300], [32, 4, 3, 3], [1, 1]),
    layer("ReDimNet, over 59 frames", [1, 144, 1, 300], [144, 1, 1, 59], [1, 1]),
    windowed(layer("ReDimNet2, down", [1, 20, 72, 300], [120, 1, 3, 2], [3, 2]), [0, 0], [1, 1]),
    layer("Res2Net, a split", [1, 16, 40, 300], [16, 16, 3, 3], [1, 1]),
];

#[divan::bench(args = LAYERS, consts = [true, false], sample_count = 20)]
fn convolution_of<const OURS: bool>(bencher: divan::Bencher, layer: Layer) {
    let Layer { name: _, x, weight, window } = layer;
    both(bencher, noise(x), vec![noise(weight)], |x, w| either::<OURS>(x, &w[0], window));
}

/// The output alone, as an embedding needs it.
#[divan::bench(args = LAYERS, consts = [true, false], sample_count = 20)]
fn output_of<const OURS: bool>(bencher: divan::Bencher, layer: Layer) {
    let (x, weight) = (noise(layer.x), noise(layer.weight));
    bencher.bench_local(|| either::<OURS>(x.clone(), &weight, layer.window).dims());
}

#[divan::bench(args = [64, 256], consts = [true, false], sample_count = 5)]
fn batch_norm_and_relu<const OURS: bool>(bencher: divan::Bencher, channels: usize) {
    let parameters = vec![noise([channels, 1, 1, 1]), noise([channels, 1, 1, 1])];
    both(bencher, input(channels), parameters, |x, p| {
        let [gamma, beta] = [0, 1].map(|i| p[i].clone().reshape([channels]));
        match OURS {
            true => normalize(x, gamma, beta, 1e-5, true).0,
            false => relu(batch_norm_train(x, gamma, beta, 1e-5).output),
        }
    });
}
