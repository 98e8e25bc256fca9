//! Packed networks against networks with quantizers attached.

use burn::tensor::Device;
use revox::model_file::{Model, NamedTensors, layer_sizes};
use revox::nn::{Mode, PoolingKind};
use revox::quant::Method;

use crate::{bits, config, input, model, quantizer};

const NETWORKS: [(&str, PoolingKind); 6] = [
    ("resnet18", PoolingKind::Tstp),
    ("resnet50", PoolingKind::Astp),
    ("df-resnet56", PoolingKind::Tap),
    ("gemini-df-resnet60", PoolingKind::Tsdp),
    ("rev1-resnet18", PoolingKind::Tstp),
    ("rev2-df-resnet32", PoolingKind::Tstp),
];

#[test]
fn embeddings_are_equal_bit_for_bit() {
    let device = Device::default();
    let mut configs: Vec<_> = (1..=8).map(|bits| config(|c| c.bits = bits)).collect();
    for method in [Method::BinaryStatic, Method::BinaryAdaptive] {
        for (per_channel, offset) in [(false, false), (true, false), (false, true), (true, true)] {
            configs.push(config(|c| {
                (c.method, c.per_channel, c.offset) = (method, per_channel, offset)
            }));
        }
    }
    let x = input(2, 30, "embed");
    for (name, pooling) in NETWORKS {
        let model = model(name, pooling);
        let plain = bits(model.network.forward(x.clone(), Mode::Eval));
        for config in &configs {
            let quantizer = quantizer(&model.network, config);
            let fake = quantizer.attach(model.network.clone()).unwrap();
            let wanted = bits(fake.forward(x.clone(), Mode::Eval));
            assert_ne!(wanted, plain, "{name}: nothing was quantized");
            let packed = Model::packed(&model.header, &fake, &quantizer, &device).unwrap();
            assert!(
                bits(packed.network.forward(x.clone(), Mode::Eval)) == wanted,
                "{name}: {config:?}"
            );
        }
    }
}

/// A packed file that is read and written again stays the same, and it is as long as
/// [`layer_sizes`], its header and its graph.
#[test]
fn files_are_read_and_written_without_a_change() {
    let (device, dir) = (Device::default(), tempfile::tempdir().unwrap());
    for (i, (name, pooling)) in NETWORKS.into_iter().enumerate() {
        for method in [Method::KMeans, Method::BinaryAdaptive] {
            let model = model(name, pooling);
            let config = config(|c| {
                (c.bits, c.method, c.per_channel) = (3, method, method != Method::KMeans)
            });
            let quantizer = quantizer(&model.network, &config);
            let fake = quantizer.attach(model.network.clone()).unwrap();
            let packed = Model::packed(&model.header, &fake, &quantizer, &device).unwrap();
            let (first, second) =
                (dir.path().join(format!("{i}.a")), dir.path().join(format!("{i}.b")));
            packed.save(&first, NamedTensors::default()).unwrap();
            let again = Model::load(&first, &device).unwrap();
            assert_eq!(again.header, packed.header);
            again.save(&second, NamedTensors::default()).unwrap();
            let (first, second) = (std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
            assert!(first == second, "{name}");
            let x = input(1, 26, "embed");
            let embed = |m: &Model| bits(m.network.forward(x.clone(), Mode::Eval));
            assert_eq!(embed(&again), embed(&packed));
            let header = 8 + u64::from_le_bytes(first[..8].try_into().unwrap()) as usize;
            let layers: usize = layer_sizes(&again).iter().map(|l| l.bytes).sum();
            let tensors = safetensors::SafeTensors::deserialize(&first).unwrap();
            let graph = tensors.tensor("graph").unwrap().data().len();
            assert!(graph < 2000, "{name}: {graph}");
            assert_eq!(first.len(), header + layers + graph, "{name}");
        }
    }
}
