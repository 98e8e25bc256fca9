//! Time of a checkpoint of ResNet34 with 1,000 speakers and 8-bit Adam. The training waits only for
//! `copied`; `written` happens in another thread. `a_step` is a step on 8 crops of 2 s, to compare.
//!
//!     cargo bench --bench checkpoint

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Int, Tensor};
use revox::losses::HeadConfig;
use revox::optim::{Gate, Stepper};
use revox::train::checkpoint::{Average, Snapshot, State};
use revox::train::{Identity, OptimizerConfig, Trainee};
use revox::zoo::Architecture;

fn main() {
    divan::main();
}

fn start() -> (Trainee, Stepper) {
    let arch = Architecture::named("resnet34").unwrap();
    let trainee = Trainee::new(&arch, &HeadConfig::default(), 1000, &Device::default(), 1).unwrap();
    let mut optimizer = OptimizerConfig::named("adam8bit").unwrap().init().unwrap();
    let trainee = step(trainee.train(), &mut optimizer);
    (trainee, optimizer)
}

fn step(trainee: Trainee, optimizer: &mut Stepper) -> Trainee {
    let device = Device::default().autodiff();
    let features = Tensor::<3>::random([8, 200, 80], Distribution::Default, &device);
    let labels = Tensor::<1, Int>::zeros([8], &device);
    let gradients = trainee.pass(features, labels, 0.2).loss.backward();
    let gradients = GradientsParams::from_grads(gradients, &trainee);
    optimizer.step(1e-3, trainee, gradients, Gate::Open(1.0))
}

fn snapshot(trainee: &Trainee, optimizer: &Stepper) -> Snapshot {
    let state = State::start(Identity::default());
    Snapshot::take(&trainee.valid(), optimizer, &Average::new(), &state).unwrap()
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn a_step(bencher: divan::Bencher) {
    let (trainee, mut optimizer) = start();
    let mut trainee = Some(trainee);
    bencher.bench_local(|| trainee = trainee.take().map(|t| step(t, &mut optimizer)));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn copied(bencher: divan::Bencher) {
    let (trainee, optimizer) = start();
    bencher.bench_local(|| snapshot(&trainee, &optimizer));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn written(bencher: divan::Bencher) {
    let (trainee, optimizer) = start();
    let folder = tempfile::tempdir().unwrap();
    let (snapshot, path) =
        (snapshot(&trainee, &optimizer), folder.path().join("checkpoint.safetensors"));
    bencher.bench_local(|| snapshot.write(&path).unwrap());
}
