//! Parts of networks between their convolutions, there and back, as training has them: 8 utterances
//! of 200 frames. `peers.py parts` does the same in torch.
//!
//!     RAYON_NUM_THREADS=1 cargo bench --bench parts

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use revox::nn::{Combine, Exec, Init, LayerNorm, Linear, Map, Mix, Mode, Run};
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

/// One pass there and back, with the gradient of the input.
fn both<const D: usize>(
    bencher: divan::Bencher,
    shape: [usize; D],
    f: impl Fn(&mut Run, Tensor<D>) -> Tensor<D>,
) {
    let x = noise(shape);
    bencher.bench_local(|| {
        let x = x.clone().autodiff().require_grad();
        let gradients = f(&mut Run::new(Mode::Train), x.clone()).sum().backward();
        x.grad(&gradients).map(|g| g.into_data())
    });
}

fn root() -> Init {
    Init::new(&Device::default(), 1)
}

/// ReDimNet's, over the channels of an image.
#[divan::bench(sample_count = 9)]
fn layer_norm(bencher: divan::Bencher) {
    let layer = LayerNorm::new(root(), 64).train();
    both(bencher, [8, 64, 18, 200], |e, x| e.layer_norm(&layer, x));
}

/// ReDimNet's four heads.
#[divan::bench(sample_count = 9)]
fn attention(bencher: divan::Bencher) {
    both(bencher, [8, 192, 200], |e, x| e.attend(4, x.clone(), x.clone(), x));
}

/// ReDimNet's sum of five earlier outputs under softmax weights.
#[divan::bench(sample_count = 9)]
fn mix(bencher: divan::Bencher) {
    let layer = Mix::new(root(), 5, 1152).train();
    both(bencher, [8, 1152, 200], |e, x| e.mix(&layer, vec![x; 5]));
}

/// ECAPA-TDNN's squeeze and excitation.
#[divan::bench(sample_count = 9)]
fn squeeze_excitation(bencher: divan::Bencher) {
    let [down, up] = [(512, 128), (128, 512)].map(|(i, o)| Linear::new(root(), i, o).train());
    both(bencher, [8, 512, 200], |e, x| {
        let gate = e.mean(&x, &[2]).squeeze_dim::<2>(2);
        let gate = e.linear(&down, gate);
        let gate = e.map(Map::Relu, gate);
        let gate = e.linear(&up, gate);
        let gate = e.map(Map::Sigmoid, gate).unsqueeze_dim::<3>(2);
        e.combine(Combine::Multiply, x, gate)
    });
}

/// SimAM's gate in the second stage.
#[divan::bench(sample_count = 9)]
fn simam(bencher: divan::Bencher) {
    both(bencher, [8, 128, 40, 100], |e, x| e.simam(x));
}

/// The exact GELU of ReDimNet's blocks.
#[divan::bench(sample_count = 9)]
fn gelu(bencher: divan::Bencher) {
    both(bencher, [8, 64, 18, 200], |e, x| e.map(Map::Gelu, x));
}
