//! Every family: embeddings of packed networks, and bytes of their files.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use revox::audio::FbankConfig;
use revox::model_file::{Frontend, Header, Model, NamedTensors, planned_bytes};
use revox::nn::{Mode, names_and_shapes};
use revox::quant::Method;
use revox::rng::Stream;
use revox::zoo::Architecture;

use crate::{bits, config, quantizer};

/// One network of each family behind the ResNets, and a width at which it is small.
const NETWORKS: [(&str, usize); 9] = [
    ("ecapa-tdnn-512", 64),
    ("ecapa-tdnn-glob-512", 64),
    ("campplus", 32),
    ("redimnet-b2", 16),
    ("redimnet2-b0", 12),
    ("eres2net34", 8),
    ("res2net34", 8),
    ("simam-resnet34", 8),
    ("tdnn", 64),
];

/// A network of the registry with this width, whose running statistics have moved.
pub(crate) fn model(name: &str, width: usize) -> Model {
    let arch = Architecture { width, embedding_dim: 16, ..Architecture::named(name).unwrap() };
    let network = arch.init(&Device::default(), 5).unwrap().train();
    network.forward(noise("statistics", arch.mels).autodiff(), Mode::Train);
    let fbank = FbankConfig { mels: arch.mels, ..FbankConfig::default() };
    Model { header: Header::new(arch, Frontend { fbank, cmn: true }), network: network.valid() }
}

/// Two utterances for a model.
pub(crate) fn utterances(model: &Model) -> Tensor<3> {
    noise("families", model.header.arch.mels)
}

fn noise(purpose: &str, mels: usize) -> Tensor<3> {
    let mut stream = Stream::new(7, purpose, &[]);
    let shape = [2, 40, mels];
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

#[test]
fn packed_networks_compute_what_training_computed_and_take_what_is_planned() {
    let device = Device::default();
    for (name, width) in NETWORKS {
        let model = model(name, width);
        let x = utterances(&model);
        let plain = bits(model.network.forward(x.clone(), Mode::Eval));
        for config in [
            config(|c| c.bits = 4),
            config(|c| c.bits = 8),
            config(|c| c.method = Method::BinaryStatic),
            config(|c| (c.method, c.per_channel) = (Method::BinaryAdaptive, true)),
        ] {
            let quantizer = quantizer(&model.network, &config);
            let fake = quantizer.attach(model.network.clone()).unwrap();
            let wanted = bits(fake.forward(x.clone(), Mode::Eval));
            assert_ne!(wanted, plain, "{name}: nothing was quantized");
            let packed = Model::packed(&model.header, &fake, &quantizer, &device).unwrap();
            let ours = bits(packed.network.forward(x.clone(), Mode::Eval));
            assert!(ours == wanted, "{name}: {config:?}");
            let file = packed.to_bytes(Path::new(name), NamedTensors::default()).unwrap();
            let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
            let planned = planned_bytes(&names_and_shapes(&model.network), quantizer.plan());
            let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
            let graph = tensors.tensor("graph").unwrap().data().len();
            assert_eq!(file.len(), header + planned + graph, "{name}: {config:?}");
        }
    }
}
