//! 8-bit Adam in a plain training loop of Burn: a small network learns a wave.
//!
//!     cargo run --release --example adam8bit

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Tensor, TensorData};
use revox::optim::Adam8bitConfig;

const POINTS: usize = 256;
const WIDTH: usize = 128;

/// Adam's two moments of `middle` take a byte a value instead of four.
#[derive(Module, Debug)]
struct Wave {
    first: Linear,
    middle: Linear,
    last: Linear,
}

impl Wave {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(1, WIDTH).init(device),
            middle: LinearConfig::new(WIDTH, WIDTH).init(device),
            last: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    /// From `[points, 1]` to `[points, 1]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = tanh(self.first.forward(x));
        self.last.forward(tanh(self.middle.forward(x)))
    }
}

fn main() {
    let device = Device::default().autodiff();
    let column = |value: &dyn Fn(f32) -> f32| {
        let values: Vec<f32> = (0..POINTS).map(|i| value(i as f32 / POINTS as f32)).collect();
        Tensor::<2>::from_data(TensorData::new(values, [POINTS, 1]), &device)
    };
    let (x, y) = (column(&|x| x), column(&|x| (6.0 * x).sin()));
    let mut model = Wave::new(&device);
    let mut optimizer = Adam8bitConfig::new().init();
    for step in 0..=400 {
        let off = model.forward(x.clone()) - y.clone();
        let loss = (off.clone() * off).mean();
        if step % 50 == 0 {
            println!("step {step:3}  loss {:.5}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
    }
}
