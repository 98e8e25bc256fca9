//! Networks at full size: one embedding of 3 s, one training step of 8 x 200 frames.
//!
//!     RAYON_NUM_THREADS=1 cargo bench --bench network
//!
//! One thread, so that wall-clock time is CPU time. `peers.py` does the same in torch.

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
    revox::keep_freed_memory();
    divan::main();
}

fn features(n: usize) -> Vec<f32> {
    let mut stream = Stream::new(1, "bench", &[]);
    (0..n).map(|_| stream.normal() as f32).collect()
}

const NETWORKS: [&str; 9] = [
    "resnet34",
    "gemini-df-resnet60",
    "ecapa-tdnn-512",
    "campplus",
    "redimnet-b2",
    "redimnet2-b2",
    "eres2net34",
    "simam-resnet34",
    "tdnn",
];

#[divan::bench(args = NETWORKS, sample_count = 10)]
fn embedding_of_3_s(bencher: divan::Bencher, name: &str) {
    let device = Device::default();
    let arch = Architecture::named(name).unwrap();
    let network = arch.init(&device, 1).unwrap();
    let shape = [1, 298, arch.mels];
    let input = features(shape.iter().product());
    let run = || {
        let x = Tensor::<3>::from_data(TensorData::new(input.clone(), shape), &device);
        network.forward(x, Mode::Eval).into_data()
    };
    run(); // weights are drawn when first used
    bencher.bench(run);
}

const STEPS: [&str; 11] = [
    "resnet34",
    "rev1-resnet34",
    "rev1-resnet34 taped",
    "rev2-resnet34",
    "rev2-resnet34 taped",
    "gemini-df-resnet60",
    "rev1-gemini-df-resnet60",
    "rev1-gemini-df-resnet60 taped",
    "ecapa-tdnn-512",
    "campplus",
    "redimnet2-b2",
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
    let shape = [8, 200, arch.mels];
    let batch = Batch {
        on_device: None,
        features: features(shape.iter().product()),
        shape,
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
