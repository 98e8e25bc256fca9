//! ONNX files of networks.

use std::path::Path;

use burn::tensor::Device;
use revox::model_file::{ImportOptions, NamedTensors, OnnxFile, import};
use revox::nn::collect_named;
use revox::rng::Stream;

use crate::mutate::{self, pick};
use crate::onnx_writer::{File, Node, bytes, integer, integers, number, tensor};
use crate::runner::{Outcome, Target, Verdict, run};

const NAME: &str = "resnet10";
const MELS: usize = 16;
const WIDTH: usize = 2;
const DIM: usize = 8;

/// Builds a ResNet10 whose BatchNorms are folded into its convolutions.
#[derive(Default)]
struct Builder {
    file: File,
    values: usize,
}

impl Builder {
    fn value(&mut self) -> String {
        self.values += 1;
        format!("v{}", self.values)
    }

    fn node(&mut self, op: &str, inputs: &[&str]) -> String {
        let output = self.value();
        self.file.nodes.push(Node::new(op, inputs, &output));
        output
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> String {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.7).sin() * 0.1).collect();
        self.file.tensors.push(tensor(name, shape, &values));
        name.to_owned()
    }

    fn conv(&mut self, x: &str, [input, output]: [usize; 2], edge: usize, stride: usize) -> String {
        let name = self.value();
        let weight = self.tensor(&format!("onnx::Conv_{name}_w"), &[output, input, edge, edge]);
        let bias = self.tensor(&format!("onnx::Conv_{name}_b"), &[output]);
        let node = Node::new("Conv", &[x, &weight, &bias], &name)
            .with(integers("strides", &[stride, stride]))
            .with(integers("pads", &[edge / 2; 4]))
            .with(integer("group", 1));
        self.file.nodes.push(node);
        name
    }

    /// The file, with more fields in its graph.
    fn resnet10(mut self, extra: &[u8]) -> Vec<u8> {
        (self.file.mels, self.file.extra) = (MELS, extra.to_vec());
        let turned = self.node("Transpose", &["feats"]);
        let image = self.node("Unsqueeze", &[&turned]);
        let stem = self.conv(&image, [1, WIDTH], 3, 1);
        let (mut x, mut channels) = (self.node("Relu", &[&stem]), WIDTH);
        for stage in 0..4 {
            let (width, stride) = (WIDTH << stage, if stage == 0 { 1 } else { 2 });
            let y = self.conv(&x, [channels, width], 3, stride);
            let y = self.node("Relu", &[&y]);
            let y = self.conv(&y, [width, width], 3, 1);
            let other = match stage {
                0 => x,
                _ => self.conv(&x, [channels, width], 1, stride),
            };
            let sum = self.node("Add", &[&y, &other]);
            x = self.node("Relu", &[&sum]);
            channels = width;
        }
        let pooled = 2 * channels * MELS / 8;
        let (mean, square) = (self.node("ReduceMean", &[&x]), self.node("ReduceMean", &[&x]));
        let x = self.node("Concat", &[&mean, &square]);
        let weight = self.tensor("model.seg_1.weight", &[DIM, pooled]);
        let bias = self.tensor("model.seg_1.bias", &[DIM]);
        let gemm = Node::new("Gemm", &[&x, &weight, &bias], "raw").with(integer("transB", 1));
        self.file.nodes.push(gemm);
        self.tensor("mean_vec", &[DIM]);
        self.file.nodes.push(Node::new("Sub", &["raw", "mean_vec"], "embs"));
        let property = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        self.file.properties =
            [("sample_rate", "16000"), ("output_dim", "8")].map(property).to_vec();
        self.file.bytes()
    }
}

/// A graph within an operation within a graph, so many times.
fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inner, _| {
        let attribute = [bytes(1, b"then_branch"), bytes(6, &inner)].concat();
        bytes(1, &[bytes(4, b"If"), bytes(5, &attribute)].concat())
    })
}

/// Fields of a graph that promise more than they hold, or that no network has.
fn pieces() -> Vec<Vec<u8>> {
    vec![
        nested(3),
        nested(200),
        number(1, u64::MAX),
        bytes(5, &[number(1, 1 << 62), number(1, 0), number(2, 1)].concat()),
        bytes(5, &tensor("onnx::Conv_v3_w", &[1 << 40, 0, 3, 3], &[])),
        bytes(1, &[bytes(4, b"MatMul"), bytes(1, b"v3"), bytes(1, b"mean_vec")].concat()),
        bytes(5, &[bytes(8, b"mean_vec"), bytes(13, b"\x0a\x08location")].concat()),
        vec![0x2a, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ]
}

/// Imports a file under its network's name, and now and then without it.
fn read(path: &Path, bytes: &[u8]) -> Outcome {
    // The same file is always read alike.
    let arch = (!bytes.len().is_multiple_of(8)).then(|| NAME.to_owned());
    let options = ImportOptions { arch, ..ImportOptions::default() };
    let model = match import(path, &options, &Device::default()) {
        Ok((model, _)) => model,
        Err(e) if e.to_string().contains("input.onnx") => return Ok(Verdict::Refused),
        Err(e) => return Err(format!("an error without the file's name: {e}")),
    };
    for (name, data) in collect_named(&model.network) {
        if let Some(x) = data.iter::<f32>().find(|x| !x.is_finite()) {
            return Err(format!("`{name}` was read with the value {x}"));
        }
    }
    let written = model.to_bytes(path, NamedTensors::default());
    written.map_err(|e| format!("read, but not to be written: {e}"))?;
    OnnxFile::read(path).map_err(|e| format!("read, but not described: {e}"))?;
    Ok(Verdict::Read)
}

/// Describes a file. Nothing of the description is more than the file holds.
fn describe(path: &Path, bytes: &[u8]) -> Outcome {
    let named = OnnxFile::is_one(path);
    let file = match OnnxFile::read(path) {
        Ok(file) => file,
        Err(e) if e.to_string().contains("input.onnx") => return Ok(Verdict::Refused),
        Err(e) => return Err(format!("an error without the file's name: {e}")),
    };
    let names: usize = file.tensors.iter().map(|tensor| tensor.name.len()).sum();
    let values: usize = file.tensors.iter().map(|tensor| tensor.bytes).sum();
    let nodes: usize = file.operations.values().sum();
    let ports = file.inputs.len() + file.outputs.len();
    if [names + values, nodes, ports].iter().any(|&count| count > bytes.len()) {
        return Err(format!(
            "{values} bytes of values, {nodes} operations, {ports} ports in {} bytes",
            bytes.len()
        ));
    }
    match named && OnnxFile::read(path).is_ok_and(|again| again == file) {
        true => Ok(Verdict::Read),
        // Its first bytes are those of another format.
        false if !named => Ok(Verdict::Refused),
        false => Err("described otherwise when it is read again".into()),
    }
}

/// Good files, and all seeds.
fn seeds() -> ([Vec<u8>; 1], Vec<Vec<u8>>) {
    let file = |extra: &[u8]| Builder::default().resnet10(extra);
    let good = [file(&[])];
    let odd: Vec<Vec<u8>> = pieces().iter().map(|piece| file(piece)).collect();
    let seeds = [&good[..], &odd].concat();
    (good, seeds)
}

/// A changed file. Nodes come first.
fn changed(stream: &mut Stream, good: &[Vec<u8>], seeds: &[Vec<u8>], hot: usize) -> Vec<u8> {
    let from = if stream.chance(0.7) { good } else { seeds };
    let mut data = pick(stream, from).clone();
    for _ in 0..1 + stream.below(4) {
        mutate::change(stream, &mut data, seeds, hot);
    }
    data
}

#[test]
fn onnx_files() {
    let (good, seeds) = seeds();
    run(&Target {
        name: "onnx_files",
        file: "input.onnx",
        good: &good,
        make: &|stream: &mut Stream| changed(stream, &good, &seeds, 2500),
        read: &read,
    });
}

#[test]
fn onnx_descriptions() {
    let (good, seeds) = seeds();
    run(&Target {
        name: "onnx_descriptions",
        file: "input.onnx",
        good: &good,
        make: &|stream: &mut Stream| changed(stream, &good, &seeds, 0),
        read: &describe,
    });
}
