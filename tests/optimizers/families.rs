//! One small network of each family behind the ResNets, trained with 8-bit states.

use std::collections::HashMap;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use revox::losses::{Head, HeadConfig};
use revox::nn::{Init, Mode, collect_named, gradients_named};
use revox::optim::{AdamW8bitConfig, Gate, Sgd8bitConfig, Stepper};
use revox::rng::Stream;
use revox::zoo::{Architecture, Network};

/// The networks. Those with a width are as small as it makes them; widths and mels of ReDimNets fit
/// each other and stay.
const NETWORKS: [(&str, Option<usize>); 7] = [
    ("ecapa-tdnn-512", Some(8)),
    ("campplus", Some(8)),
    ("redimnet-b0", None),
    ("redimnet2-b0", None),
    ("eres2net34", Some(8)),
    ("simam-resnet34", Some(8)),
    ("tdnn", Some(8)),
];
const BATCH: usize = 4;
const FRAMES: usize = 40;
const SPEAKERS: usize = 4;
const RATE: f64 = 0.001;

/// A network and the head that it is trained with.
#[derive(Module, Debug)]
struct Learner {
    network: Network,
    head: Head,
}

impl Learner {
    fn new(arch: &Architecture) -> Self {
        let device = Device::default();
        let place = Init::new(&device, 3).at("head");
        let head = HeadConfig::default().init(place, arch.embedding_dim, SPEAKERS);
        Self { network: arch.init(&device, 3).unwrap(), head }.train()
    }

    /// The loss of a batch of noise.
    fn loss(&self, mels: usize) -> Tensor<1> {
        let device = Device::default().autodiff();
        let mut stream = Stream::new(4, "batch", &[]);
        let values: Vec<f32> = (0..BATCH * FRAMES * mels).map(|_| stream.normal() as f32).collect();
        let shape = [BATCH, FRAMES, mels];
        let features = Tensor::<3>::from_data(TensorData::new(values, shape), &device);
        let labels: Vec<i64> = (0..BATCH).map(|i| (i % SPEAKERS) as i64).collect();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &device);
        let embeddings = self.network.forward(features, Mode::Train);
        let output = self.head.forward(embeddings, labels.clone(), 0.2);
        self.head.loss(output.logits, labels)
    }
}

fn small(name: &str, width: Option<usize>) -> Architecture {
    let own = Architecture::named(name).unwrap();
    match width {
        Some(width) => Architecture { width, mels: 48, embedding_dim: 20, ..own },
        None => Architecture { embedding_dim: 20, ..own },
    }
}

/// Bytes of one moment of a tensor of so many values: a byte a value, in words of four, and an f32
/// for each block of 256; below 4096 values an f32 each.
fn moment(count: usize) -> usize {
    match count < 4096 {
        true => 4 * count,
        false => 4 * count.div_ceil(4) + 4 * count.div_ceil(256),
    }
}

/// Bytes of all tensors in an optimizer's record.
fn held(optimizer: &Stepper) -> usize {
    let record = burn_pack::Reader::from_bytes(optimizer.into_bytes().unwrap()).unwrap();
    record.into_tensors().unwrap().iter().map(|tensor| tensor.byte_len()).sum()
}

/// Trains for two steps. All parameters but biases must move: a gradient of a bias is rounding
/// noise where BatchNorm or a softmax over frames takes the bias away again.
fn train(name: &str, arch: &Architecture, mut optimizer: Stepper, moments: usize) {
    let mut learner = Learner::new(arch);
    let before: HashMap<String, TensorData> = collect_named(&learner).into_iter().collect();
    let mut trained: Vec<(String, usize)> = Vec::new();
    for step in 1..=2 {
        let loss = learner.loss(arch.mels);
        let value = loss.clone().into_scalar::<f32>();
        assert!(value.is_finite() && value > 0.0, "{name}: loss {value} in step {step}");
        let gradients = loss.backward();
        trained = gradients_named(&learner, &gradients)
            .into_iter()
            .map(|(name, data)| (name, data.num_elements()))
            .collect();
        let gradients = GradientsParams::from_grads(gradients, &learner);
        learner = optimizer.step(RATE, learner, gradients, Gate::Open(1.0));
    }
    let after: HashMap<String, TensorData> = collect_named(&learner).into_iter().collect();
    for (tensor, _) in &trained {
        assert!(after[tensor].iter::<f32>().all(f32::is_finite), "{name}: {tensor}");
        let stays = after[tensor].iter::<f32>().eq(before[tensor].iter::<f32>());
        assert!(!stays || tensor.ends_with("bias"), "{name}: {tensor} has not moved");
    }
    assert!(trained.iter().any(|(_, count)| *count >= 4096), "{name}: nothing is in 8 bits");
    let wanted: usize = trained.iter().map(|(_, count)| moments * moment(*count)).sum();
    assert_eq!(held(&optimizer), wanted, "{name}: bytes of state");
}

#[test]
fn every_family_trains_with_sgd_in_8_bits() {
    for (name, width) in NETWORKS {
        train(name, &small(name, width), Sgd8bitConfig::recipe().stepper().unwrap(), 1);
    }
}

#[test]
fn every_family_trains_with_adamw_in_8_bits() {
    for (name, width) in NETWORKS {
        train(name, &small(name, width), AdamW8bitConfig::new().stepper().unwrap(), 2);
    }
}
