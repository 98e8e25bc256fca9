//! Our operations against Burn's, forwards and backwards, on one thread:
//!
//!     RAYON_NUM_THREADS=1 cargo bench --bench operations
//!
//! All tensors hold 8 x 64 x 40 x 100 values, however many channels they have.

use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use revox::backend::convolution::{Window, convolve};
use revox::backend::depthwise::depthwise;
use revox::backend::norm::normalize;
use revox::rng::Stream;

fn main() {
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
    both(bencher, input(channels), vec![weight], |x, w| match OURS {
        true => convolve(x, w[0].clone(), Window { stride: [1, 1] }),
        false => {
            conv2d(x, w[0].clone(), None, ConvOptions::new([1, 1], [kernel / 2; 2], [1, 1], 1))
        }
    });
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
