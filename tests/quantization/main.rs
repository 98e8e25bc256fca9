//! Quantized networks: gradients through quantizers, packed files, sensitivities.

#[path = "../shared/sign.rs"]
mod sign;

mod families;
mod files;
mod gradients;
mod hostile;
mod mixed;
mod packed;
mod rows;
mod sensitivity;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use revox::audio::FbankConfig;
use revox::model_file::{Frontend, Header, Model};
use revox::nn::{Mode, PoolingKind, names_and_shapes};
use revox::quant::config::SmallLayers;
use revox::quant::{Plan, QuantizeConfig, Quantizer, uniform};
use revox::rng::Stream;
use revox::zoo::{Architecture, Network};

pub(crate) const MELS: usize = 16;

/// A small network whose running statistics have moved.
pub(crate) fn model(name: &str, pooling: PoolingKind) -> Model {
    let width = if name.starts_with("rev2") { 8 } else { 4 };
    let two_embedding_layers = name == "resnet18";
    let named = Architecture::named(name).unwrap();
    let arch = Architecture {
        width,
        mels: MELS,
        embedding_dim: 8,
        pooling,
        two_embedding_layers,
        ..named
    };
    let network = arch.init(&Device::default(), 5).unwrap().train();
    for i in 0..2 {
        network.forward(input(4, 24, &format!("statistics {i}")).autodiff(), Mode::Train);
    }
    let fbank = FbankConfig { mels: MELS, ..FbankConfig::default() };
    Model { header: Header::new(arch, Frontend { fbank, cmn: true }), network: network.valid() }
}

pub(crate) fn input(batch: usize, frames: usize, name: &str) -> Tensor<3> {
    let mut stream = Stream::new(11, name, &[]);
    let values: Vec<f32> = (0..batch * frames * MELS).map(|_| stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, [batch, frames, MELS]), &Device::default())
}

pub(crate) fn config(change: impl FnOnce(&mut QuantizeConfig)) -> QuantizeConfig {
    let mut config =
        QuantizeConfig { small_layers: SmallLayers::FewerBits, ..QuantizeConfig::default() };
    change(&mut config);
    config
}

pub(crate) fn plan(network: &Network, config: &QuantizeConfig) -> Plan {
    uniform(&names_and_shapes(network), config).unwrap()
}

pub(crate) fn quantizer(network: &Network, config: &QuantizeConfig) -> Quantizer {
    Quantizer::new(plan(network, config), config.clone())
}

pub(crate) fn bits<const D: usize>(x: Tensor<D>) -> Vec<u32> {
    x.into_data().iter::<f32>().map(f32::to_bits).collect()
}
