//! A reversible body of one's own. Its backward pass recomputes what a tape would keep, and gives
//! the tape's gradients.
//!
//!     cargo run --release --example reversible

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor};
use revox::backend::reversible::{Execution, Reversible, Step, run};
use revox::backend::{Layer, Mode, Streams};
use revox::nn::{Halves, gradients_named};

const CHANNELS: usize = 16;

/// A function within a coupling: any module that keeps the shape of its input.
#[derive(Module, Debug)]
struct Unit {
    up: Conv2d,
    down: Conv2d,
}

impl Unit {
    fn new(device: &Device) -> Self {
        let half = CHANNELS / 2;
        let conv = |from, to| {
            let config = Conv2dConfig::new([from, to], [3, 3]);
            config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
        };
        Self { up: conv(half, 2 * half), down: conv(2 * half, half) }
    }
}

impl Layer for Unit {
    fn forward(&self, x: Streams, _mode: Mode) -> Streams {
        x.into_iter().map(|x| self.down.forward(relu(self.up.forward(x)))).collect()
    }
}

/// Couplings of the two halves of the channels: each half gets a function of the other one added.
#[derive(Module, Debug)]
struct Body {
    blocks: Vec<(Unit, Unit)>,
}

impl Reversible for Body {
    fn steps(&self) -> Vec<Step<'_>> {
        let couplings = self.blocks.iter().map(|(f, g)| Step::Couple(f, g));
        let (split, join) = (Step::Rearrange(&Halves::Split), Step::Rearrange(&Halves::Join));
        [split].into_iter().chain(couplings).chain([join]).collect()
    }
}

/// The mean square error of the body's output.
fn loss(body: &Body, x: &Tensor<4>, wanted: &Tensor<4>, execution: Execution) -> Tensor<1> {
    let off = run(body, x.clone(), Mode::Train, execution) - wanted.clone();
    (off.clone() * off).mean()
}

fn main() {
    let device = Device::default().autodiff();
    let blocks = (0..3).map(|_| (Unit::new(&device), Unit::new(&device))).collect();
    let mut body = Body { blocks };
    // The first half of the channels is to become the sum of both.
    let noise = Distribution::Normal(0.0, 1.0);
    let x = Tensor::<4>::random([8, CHANNELS, 10, 20], noise, &device);
    let [first, second] = [0, CHANNELS / 2].map(|c| x.clone().narrow(1, c, CHANNELS / 2));
    let wanted = Tensor::cat(vec![first + second.clone(), second], 1);

    let gradients = |execution| {
        let gradients = loss(&body, &x, &wanted, execution).backward();
        gradients_named(&body, &gradients)
    };
    let (ours, taped) = (gradients(Execution::Reversible), gradients(Execution::Taped));
    for ((name, ours), (_, taped)) in ours.iter().zip(&taped) {
        let pairs = ours.iter::<f32>().zip(taped.iter::<f32>());
        let (off, most) = pairs.fold((0.0_f32, 0.0_f32), |(off, most), (ours, taped)| {
            (off.max((ours - taped).abs()), most.max(taped.abs()))
        });
        println!("{name}: off by {off:.1e} of {most:.1e}");
        assert!(off <= 1e-4 * most, "{name}");
    }

    let mut optimizer = AdamConfig::new().init();
    for step in 0..=40 {
        let loss = loss(&body, &x, &wanted, Execution::Reversible);
        if step % 10 == 0 {
            println!("step {step:2}  loss {:.5}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &body);
        body = optimizer.step(3e-3, body, gradients);
    }
}
