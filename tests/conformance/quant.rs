//! Quantized weights: tables on every backend, training through a quantizer, packed networks and their files.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use revox::backend::codes::{nearest, pack, unpack, words};
use revox::losses::HeadConfig;
use revox::model_file::{Frontend, Header, Model, NamedTensors};
use revox::nn::{Mode, PoolingKind, gradients_named, names_and_shapes};
use revox::quant::config::SmallLayers;
use revox::quant::{Codebook, Method, QuantizeConfig, Quantizer, TensorScheme, uniform};
use revox::train::Trainee;
use revox::train::quantize::quantize;

use crate::{devices, distance, numbers, small, values};

/// Nothing is computed but comparisons and copies: equal to the bit everywhere.
#[test]
fn tables_agree_with_the_scalar_twin() {
    let weights = numbers(6000);
    for (backend, device) in devices() {
        for bits in 1..=8 {
            for per_channel in [false, true] {
                let scheme = match (bits, per_channel) {
                    (1, true) => {
                        QuantizeConfig { method: Method::BinaryStatic, per_channel, ..Default::default() }.scheme(1)
                    }
                    (_, true) => continue,
                    _ => TensorScheme::kmeans(bits),
                };
                let book = Codebook::fit(scheme, &weights, &[30, 200]).unwrap();
                let (codes, what) = (book.encode(&weights), format!("{bits} bits on {backend}"));
                let wanted = book.decode(&codes);
                let rows = |values: Vec<f32>| {
                    let columns = values.len() / book.groups();
                    Tensor::<2>::from_data(TensorData::new(values, [book.groups(), columns]), &device)
                };
                let x = Tensor::<2>::from_data(TensorData::new(weights.clone(), [30, 200]), &device);
                assert!(values(nearest(x, rows(book.bounds()), rows(book.table())).into_data()) == wanted, "{what}");
                let words = words(&pack(&codes, bits), &device);
                assert!(values(unpack(words, rows(book.table()), bits, [6000]).into_data()) == wanted, "{what}");
            }
        }
    }
}

/// A training step through a quantizer: loss and gradients of the latent weights are those of the first backend.
#[test]
fn steps_through_a_quantizer_agree() {
    for name in ["resnet10", "rev1-resnet10"] {
        let mut first: Option<HashMap<String, Vec<f32>>> = None;
        for (backend, device) in devices() {
            let trainee = Trainee::new(&small(name, PoolingKind::Tstp), &HeadConfig::default(), 4, &device, 3).unwrap();
            let config = QuantizeConfig { bits: 3, small_layers: SmallLayers::FewerBits, ..Default::default() };
            let plan = uniform(&names_and_shapes(&trainee.network), &config).unwrap();
            let quantizer = Quantizer::new(plan, config);
            let network = quantizer.attach(trainee.network).unwrap();
            let trainee = Trainee { network, ..trainee }.train();
            let autodiff = device.autodiff();
            let x = Tensor::<3>::from_data(TensorData::new(numbers(4 * 40 * 16), [4, 40, 16]), &autodiff);
            let labels = Tensor::from_data(TensorData::new(vec![0i64, 3, 1, 3], [4]), &autodiff);
            let pass = trainee.pass(x, labels, 0.2);
            let gradients = pass.loss.backward();
            let named = gradients_named(&trainee, &gradients);
            let mut all: HashMap<_, _> = named.into_iter().map(|(n, d)| (n, values(d))).collect();
            all.insert("loss".into(), values(pass.loss.into_data()));
            assert!(all.contains_key("network.seg_1.weight") && all.keys().all(|n| !n.contains("quantizer")));
            let reference = first.get_or_insert_with(|| all.clone());
            assert_eq!(all.len(), reference.len());
            for (what, ours) in &all {
                // Some gradients are 0 but for rounding: a shift that the next normalisation takes away.
                if reference[what].iter().all(|x| x.abs() < 1e-5) {
                    continue;
                }
                let d = distance(ours, &reference[what]);
                assert!(d < 1e-3, "{name}, {what} on {backend}: {d}");
            }
        }
    }
}

/// A packed file made on one backend is read on every other, gives the same embeddings, and is written again as it was.
#[test]
fn packed_models_travel() {
    let arch = small("df-resnet32", PoolingKind::Tstp);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("packed.safetensors");
    let mut first: Option<(Vec<f32>, Vec<u8>)> = None;
    for (backend, device) in devices() {
        let network = arch.init(&device, 5).unwrap();
        let frontend = Frontend { fbank: revox::audio::FbankConfig { mels: 16, ..Default::default() }, cmn: true };
        let model = Model { header: Header::new(arch.clone(), frontend), network };
        let config = QuantizeConfig { bits: 3, small_layers: SmallLayers::FewerBits, ..Default::default() };
        let plan = uniform(&names_and_shapes(&model.network), &config).unwrap();
        let packed = quantize(&model, &Quantizer::new(plan, config), &device).unwrap();
        let bytes = packed.to_bytes(&path, NamedTensors::default()).unwrap();
        let (embedding, file) = first.get_or_insert_with(|| {
            std::fs::write(&path, &bytes).unwrap();
            (Vec::new(), bytes.clone())
        });
        assert!(bytes == *file, "{backend} packs another file");
        let read = Model::load(&path, &device).unwrap();
        assert!(read.to_bytes(&path, NamedTensors::default()).unwrap() == *file, "{backend} writes another file");
        let x = Tensor::<3>::from_data(TensorData::new(numbers(2 * 40 * 16), [2, 40, 16]), &device);
        let ours = values(read.network.forward(x, Mode::Eval).into_data());
        if embedding.is_empty() {
            embedding.clone_from(&ours);
        }
        let d = distance(&ours, embedding);
        assert!(d < 1e-4, "{backend}: {d}");
    }
}
