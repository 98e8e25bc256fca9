//! Files as `torch.onnx.export` writes them, made of our graphs.

mod export;
mod own;

use burn::tensor::{Device, Tensor, TensorData};

use super::writer::{Node, bytes, number, tensor};
use super::*;
use crate::model_file::import::{Imported, import_noted};
use crate::nn::{Mode, collect_named, difference};
use crate::rng::Stream;
use crate::zoo::{CamPlusPlus, Layers, Network};
use export::Export;

fn small(name: &str, width: usize) -> Architecture {
    Architecture { width, mels: 16, embedding_dim: 8, ..Architecture::named(name).unwrap() }
}

fn import(file: &writer::File, arch: Option<&str>) -> Result<Imported> {
    read(&file.bytes(), &ImportOptions { arch: arch.map(str::to_owned), ..Default::default() })
}

fn read(content: &[u8], options: &ImportOptions) -> Result<Imported> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.onnx");
    std::fs::write(&path, content).unwrap();
    import_noted(&path, options, &Device::default())
}

#[track_caller]
fn fails(file: &writer::File, arch: Option<&str>, wanted: &[&str]) -> Error {
    let error = import(file, arch).unwrap_err();
    for wanted in ["x.onnx"].iter().chain(wanted) {
        assert!(error.to_string().contains(wanted), "`{wanted}` is not in: {error}");
    }
    error
}

fn embedding(network: &Network, mels: usize) -> Vec<f32> {
    let mut stream = Stream::new(1, "features", &[]);
    let values: Vec<f32> = (0..64 * mels).map(|_| stream.normal() as f32).collect();
    let features = Tensor::from_data(TensorData::new(values, [1, 64, mels]), &Device::default());
    network.forward(features, Mode::Eval).into_data().iter::<f32>().collect()
}

/// The network comes back, under its name and with its embeddings.
#[track_caller]
fn comes_back(arch: &Architecture, named: Option<&str>) -> Imported {
    let export = Export::of(arch);
    let wanted = embedding(&export.network, arch.mels);
    for file in [export.file(), export.reordered()] {
        let imported = import(&file, named).unwrap();
        assert_eq!(imported.model.header.arch, *arch);
        let found = embedding(&imported.model.network, arch.mels);
        let off = difference(&found, &wanted);
        assert!(off < 1e-4, "{}: {off}", arch.name);
    }
    import(&export.file(), named).unwrap()
}

/// Written byte by byte: `y = x * w` with `w` of one value.
#[test]
fn bytes_are_read_as_onnx_has_them() {
    let file = b"\x08\x08\x3a\x29\
        \x0a\x0e\x0a\x01x\x0a\x01w\x12\x01y\x22\x03Mul\
        \x2a\x0d\x08\x01\x10\x01\x42\x01w\x4a\x04\0\0\x80\x3f\
        \x5a\x03\x0a\x01x\
        \x62\x03\x0a\x01y";
    let model = proto::model(file).unwrap();
    let (node, w) = (&model.nodes[0], &model.tensors["w"]);
    assert_eq!((node.op.as_str(), node.shown().as_str()), ("Mul", "node `y` (Mul)"));
    assert_eq!(node.inputs, ["x", "w"]);
    assert_eq!(node.outputs, ["y"]);
    assert_eq!((w.dtype.as_str(), w.values.clone()), ("F32", Ok(31..35)));
    assert_eq!(w.shape, [1]);
    assert_eq!(values(file, "w", w).unwrap(), [1.0]);
    assert_eq!(model.inputs, [("x".to_owned(), vec![])]);
    assert_eq!(model.outputs, ["y"]);
    for length in 0..file.len() {
        assert!(proto::model(&file[..length]).is_err(), "{length}");
    }
    let error = read(file, &ImportOptions::default()).unwrap_err().to_string();
    assert!(error.contains("x.onnx") && error.contains("no layers"), "{error}");
}

#[test]
fn folded_networks_come_back() {
    let imported = comes_back(&small("resnet10", 2), None);
    let notes = imported.notes.join("\n");
    assert!(notes.contains("by the graph's shape") && notes.contains("12 BatchNorms"), "{notes}");
    // Weights are the file's to the bit, and each BatchNorm has scale 1.
    let export = Export::of(&small("resnet10", 2));
    let (graph, folded) = (small("resnet10", 2).layout().unwrap(), export.folded());
    let epsilons = graph.epsilons();
    for (name, data) in collect_named(&imported.model.network) {
        let found: Vec<f32> = data.iter::<f32>().collect();
        let Some((layer, part)) = name.rsplit_once('.') else { panic!("{name}") };
        match (epsilons.get(layer), part) {
            (Some(epsilon), "running_var") => {
                let added = epsilon.value();
                let sound = |&x: &f32| (1.0 / (f64::from(x) + added).sqrt()) as f32 == 1.0;
                assert!(found.iter().all(sound), "{name}: {found:?}");
            }
            (Some(_), "weight") => assert!(found.iter().all(|&x| x == 1.0), "{name}"),
            (Some(_), "running_mean") => assert!(found.iter().all(|&x| x == 0.0), "{name}"),
            _ => assert_eq!(&found, &folded[&name], "{name}"),
        }
    }
    comes_back(&small("resnet50", 2), None);
    comes_back(&small("gemini-df-resnet60", 4), None);
    comes_back(&small("simam-resnet34", 4), None);
    let layers = Some(Layers::CamPlusPlus(CamPlusPlus { growth: 4, bottleneck: 2 }));
    comes_back(&Architecture { layers, ..small("campplus", 16) }, None);
    let two = Architecture { two_embedding_layers: true, ..small("resnet18", 2) };
    comes_back(&two, Some("resnet18"));
    let pooling = crate::nn::PoolingKind::Astp;
    comes_back(&Architecture { pooling, ..small("resnet18", 2) }, None);
}

/// Nothing is folded in ECAPA, whose BatchNorms stand behind ReLU.
#[test]
fn kept_names_are_taken() {
    let arch = small("ecapa-tdnn-512", 16);
    let imported = comes_back(&arch, Some("ecapa-tdnn-512"));
    assert!(imported.notes.iter().any(|note| note.contains("by their names")));
    let names = ["ecapa-tdnn-512", "ecapa-tdnn-1024"];
    let error = fails(&Export::of(&arch).file(), None, &names);
    assert_eq!(error.remedy(), Some(&Remedy::SayArchitecture));
}

#[test]
fn what_the_file_says_goes_to_the_header() {
    let mut file = Export::of(&small("resnet10", 2)).file();
    let last = file.nodes.last_mut().unwrap();
    last.output = "raw".into();
    file.nodes.push(Node::new("Sub", &["raw", "mean_vec"], "embs"));
    file.tensors.push(tensor("mean_vec", &[8], &[0.5; 8]));
    file.properties = vec![("sample_rate".into(), "8000".into())];
    let header = import(&file, None).unwrap().model.header;
    assert_eq!(header.scoring.embedding_mean, Some(vec![0.5; 8]));
    assert_eq!((header.frontend.fbank.sample_rate, header.frontend.fbank.mels), (8000, 16));
    let with = |key: &str, value: &str| {
        let properties = vec![(key.into(), value.into())];
        writer::File { properties, ..file.clone() }
    };
    fails(&with("output_dim", "256"), None, &["`output_dim` says 256, and 8"]);
    fails(&with("sample_rate", "7"), None, &["sample_rate = 7"]);
    *file.tensors.last_mut().unwrap() = tensor("mean_vec", &[8], &[0.0; 8]);
    assert_eq!(import(&file, None).unwrap().model.header.scoring.embedding_mean, None);
    *file.tensors.last_mut().unwrap() = tensor("mean_vec", &[7], &[0.5; 7]);
    fails(&file, None, &["subtracted from an embedding: 7, and 8"]);
    let options = ImportOptions { mels: Some(80), ..ImportOptions::default() };
    let error = read(&file.bytes(), &options).unwrap_err().to_string();
    assert!(error.contains("16 mels, not 80"), "{error}");
}

#[test]
fn errors_name_the_node_that_differs() {
    let good = Export::of(&small("resnet10", 2)).file();
    let arch = Some("resnet10");
    let at = |op: &str| good.nodes.iter().position(|node| node.op == op).unwrap();
    let changed = |place: usize, change: &dyn Fn(&mut Node)| {
        let mut file = good.clone();
        change(&mut file.nodes[place]);
        file
    };
    let first = at("Conv");
    let strided = changed(first, &|node| {
        node.attributes[0] = writer::integers("strides", &[2, 2]);
    });
    let name = format!("node `/Conv_{}` (Conv)", good.nodes[first].output);
    fails(&strided, arch, &[&name, "strides [2, 2]", "`conv1.weight`"]);
    fails(&strided, None, &["no network of the zoo", "12 convolutions"]);
    let relu = changed(at("Relu"), &|node| node.op = "Identity".into());
    fails(&relu, arch, &["8 ReLU in the file, 9 in the network"]);
    let lost = changed(first, &|node| node.inputs[1] = "w_quantized".into());
    fails(&lost, arch, &[&name, "`w_quantized`", "no initialiser"]);
    let integers = changed(first, &|node| node.op = "QLinearConv".into());
    fails(&integers, arch, &["QLinearConv", "before it was quantized"]);
    let unknown = changed(at("Relu"), &|node| node.inputs[0] = "nothing".into());
    fails(&unknown, arch, &["(Relu) reads `nothing`"]);
    let mut outside = good.clone();
    outside.tensors[0].extend([bytes(13, b""), number(14, 1)].concat());
    fails(&outside, arch, &["another file (external data)", "onnx.save"]);
    fails(&good, Some("resnet18"), &["not the graph of resnet18", "12 convolutions"]);
    // Sizes are compared as a checkpoint's are.
    let mut misshapen = good.clone();
    let seg = tensor("model.seg_1.bias", &[7], &[0.0; 7]);
    let is_bias = |t: &Vec<u8>| t.windows(10).any(|part| part == b"seg_1.bias");
    let place = misshapen.tensors.iter().position(is_bias).unwrap();
    misshapen.tensors[place] = seg;
    fails(&misshapen, arch, &["`seg_1.bias` has shape [7]"]);
}
