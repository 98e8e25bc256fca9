//! ResNet34 at full size: one embedding of 3 s, one training step of 8 x 200 frames.
//!
//!     RAYON_NUM_THREADS=1 cargo bench --bench network
//!
//! One thread, so that wall-clock time is CPU time.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::TrainStep;
use revox::backend::reversible::Execution;
use revox::losses::HeadConfig;
use revox::nn::Mode;
use revox::optim::Gate;
use revox::rng::Stream;
use revox::train::{Batch, OptimizerConfig, Trainee};
use revox::zoo::Architecture;

fn main() {
    divan::main();
}

fn features(n: usize) -> Vec<f32> {
    let mut stream = Stream::new(1, "bench", &[]);
    (0..n).map(|_| stream.normal() as f32).collect()
}

#[divan::bench(args = ["resnet34", "gemini-df-resnet60"], sample_count = 10)]
fn embedding_of_3_s(bencher: divan::Bencher, name: &str) {
    let device = Device::default();
    let network = Architecture::named(name).unwrap().init(&device, 1).unwrap();
    let input = features(298 * 80);
    let run = || {
        let x = Tensor::<3>::from_data(TensorData::new(input.clone(), [1, 298, 80]), &device);
        network.forward(x, Mode::Eval).into_data()
    };
    run(); // weights are drawn when first used
    bencher.bench(run);
}

const STEPS: [&str; 8] = [
    "resnet34",
    "rev1-resnet34",
    "rev1-resnet34 taped",
    "rev2-resnet34",
    "rev2-resnet34 taped",
    "gemini-df-resnet60",
    "rev1-gemini-df-resnet60",
    "rev1-gemini-df-resnet60 taped",
];

#[divan::bench(args = STEPS, sample_count = 3)]
fn training_step_8_x_200(bencher: divan::Bencher, name: &str) {
    let device = Device::default();
    let arch = Architecture::named(name.trim_end_matches(" taped")).unwrap();
    let mut trainee = Trainee::new(&arch, &HeadConfig::default(), 1000, &device, 1).unwrap();
    if name.ends_with(" taped") {
        trainee.network = trainee.network.with_execution(Execution::Taped).unwrap();
    }
    let mut trainee = trainee.train();
    let mut optimizer = OptimizerConfig::default().init().unwrap();
    let batch = Batch {
        features: features(8 * 200 * 80),
        shape: [8, 200, 80],
        labels: (0..8).collect(),
        ids: vec![String::new(); 8],
        iteration: 0,
        margin: 0.2,
    };
    bencher.bench_local(|| {
        let step = TrainStep::step(&trainee, batch.clone());
        trainee = optimizer.step(0.01, trainee.clone(), step.grads, Gate::Open(1.0));
        step.item.loss
    });
}
