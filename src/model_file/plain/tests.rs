use burn::tensor::{Device, TensorData};

use super::*;
use crate::audio::FbankConfig;
use crate::model_file::{Frontend, KEY, Model, NamedTensors, SHIPPED};
use crate::nn::collect_named;
use crate::quant::config::SmallLayers;
use crate::quant::{QuantizeConfig, Quantizer, uniform};
use crate::zoo::Architecture;

const PATH: &str = "m.safetensors";

fn small() -> Model {
    let arch = Architecture {
        width: 4,
        mels: 16,
        embedding_dim: 8,
        ..Architecture::named("resnet10").unwrap()
    };
    let network = arch.init(&Device::default(), 3).unwrap();
    let fbank = FbankConfig { mels: 16, ..FbankConfig::default() };
    Model { header: Header::new(arch, Frontend { fbank, cmn: true }), network }
}

fn packed(bits: usize) -> Model {
    let (model, small_layers) = (small(), SmallLayers::FewerBits);
    let config = QuantizeConfig { bits, small_layers, ..QuantizeConfig::default() };
    let tensors = model.header.arch.layout().unwrap().names_and_shapes();
    let quantizer = Quantizer::new(uniform(&tensors, &config).unwrap(), config);
    let attached = quantizer.attach(model.network.clone()).unwrap();
    quantizer.set_stage(quantizer.stages());
    Model::packed(&model.header, &attached, &quantizer, &Device::default()).unwrap()
}

fn read(bytes: Vec<u8>) -> Result<Plain> {
    Plain::from_bytes(Path::new(PATH), bytes)
}

fn written(model: &Model) -> Vec<u8> {
    model.to_bytes(Path::new(PATH), NamedTensors::default()).unwrap()
}

/// A file of these tensors, without a graph.
fn file(header: &Header, tensors: NamedTensors) -> Vec<u8> {
    let json = serde_json::to_string(header).unwrap();
    tensors.to_safetensors(Path::new(PATH), KEY, json).unwrap()
}

#[test]
fn files_hold_the_networks_graph_and_it_takes_its_tensors() {
    for model in [small(), packed(1), packed(4)] {
        let plain = read(written(&model)).unwrap();
        assert_eq!(plain.header, model.header);
        assert_eq!(plain.network, model.header.arch.stored_graph().unwrap());
        let all = collect_named(&small().network);
        let is_packed = !model.header.quantization.is_empty();
        let statistics = all.iter().filter(|(name, _)| name.contains(".running_")).count();
        let missing = if is_packed { statistics } else { 0 };
        assert_eq!(plain.tensors.len(), all.len() - missing);
        for (name, tensor) in &plain.tensors {
            let is_codes = matches!(tensor, PlainTensor::Codes(..));
            assert_eq!(is_codes, model.header.quantization.contains_key(name), "{name}");
        }
    }
}

#[test]
fn files_of_older_versions_have_no_graph() {
    let model = small();
    let bytes = file(&model.header, model.tensors());
    assert_eq!(read(bytes).unwrap().network, model.header.arch.stored_graph().unwrap());
}

#[test]
fn tensors_that_do_not_fit_are_errors() {
    let model = small();
    type Change<'a> = &'a dyn Fn(&mut Vec<(String, TensorData)>);
    let find = |all: &[(String, TensorData)]| {
        all.iter().position(|(name, _)| name == "bn1.weight").unwrap()
    };
    let changes: [(Change, &str); 4] = [
        (&|all| drop(all.remove(find(all))), "no tensor `bn1.weight`"),
        (
            &|all| {
                let place = find(all);
                all[place].0 = "bn9.weight".into();
            },
            "no tensor `bn1.weight`",
        ),
        (
            &|all| {
                let place = find(all);
                all[place].1 = TensorData::new(vec![f32::NAN; 4], [4]);
            },
            "value 0 of tensor `bn1.weight` is NaN",
        ),
        (
            &|all| {
                let place = find(all);
                all[place].1 = TensorData::new(vec![1.0f32; 5], [5]);
            },
            "bn1.weight",
        ),
    ];
    for (change, wanted) in changes {
        let mut tensors = model.tensors();
        change(&mut tensors.0);
        let error = read(file(&model.header, tensors)).err().unwrap().to_string();
        assert!(error.contains(PATH) && error.contains(wanted), "{error}");
    }
    let mut tensors = packed(4).tensors();
    tensors.0.retain(|(name, _)| name != "layer1.0.conv1.weight.codes");
    let error = read(file(&packed(4).header, tensors)).err().unwrap().to_string();
    assert!(error.contains("no tensor `layer1.0.conv1.weight.codes`"), "{error}");
}

#[test]
fn a_graph_of_another_network_is_refused() {
    let mut other = small();
    other.header.frontend.fbank.mels = 24;
    other.header.arch.mels = 24;
    let mut tensors = small().tensors();
    let graph = other.header.arch.stored_graph().unwrap().to_bytes().unwrap();
    let count = graph.len();
    tensors.0.push(("graph".into(), TensorData::new(graph, [count])));
    let error = read(file(&small().header, tensors)).err().unwrap().to_string();
    assert!(error.contains("the header says 16 mels"), "{error}");
}

#[test]
fn the_shipped_model_has_its_networks_graph() {
    let bytes = SHIPPED.to_vec();
    let file = tensor_file::from_bytes(Path::new(PATH), bytes.clone(), FILE).unwrap();
    let stored = stored_graph(Path::new(PATH), &file).unwrap().expect("the model has a graph");
    assert_eq!(stored, read(bytes).unwrap().header.arch.stored_graph().unwrap());
}
