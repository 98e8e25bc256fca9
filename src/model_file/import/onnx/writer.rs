//! Writes ONNX files for tests, message by message.
#![allow(dead_code, reason = "each test program uses a part")]

/// A number in groups of 7 bits.
fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A field that holds a number.
pub fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field that holds text, or a message.
pub fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [&varint(field << 3 | 2)[..], &varint(content.len() as u64), content].concat()
}

/// A `TensorProto` of f32.
pub fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Vec<u8> {
    let dims = shape.iter().flat_map(|&size| number(1, size as u64));
    let raw: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let rest = [number(2, 1), bytes(8, name.as_bytes()), bytes(9, &raw)].concat();
    dims.chain(rest).collect()
}

/// An `AttributeProto` that holds an integer.
pub fn integer(name: &str, value: u64) -> Vec<u8> {
    [bytes(1, name.as_bytes()), number(3, value), number(20, 2)].concat()
}

/// An `AttributeProto` that holds integers.
pub fn integers(name: &str, values: &[usize]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|&value| number(8, value as u64)).collect();
    [bytes(1, name.as_bytes()), values, number(20, 7)].concat()
}

/// An `AttributeProto` that holds a real number.
pub fn real(name: &str, value: f32) -> Vec<u8> {
    [bytes(1, name.as_bytes()), vec![2 << 3 | 5], value.to_le_bytes().to_vec(), number(20, 1)]
        .concat()
}

/// An operation.
#[derive(Debug, Clone)]
pub struct Node {
    pub op: String,
    pub inputs: Vec<String>,
    pub output: String,
    /// `AttributeProto`s.
    pub attributes: Vec<Vec<u8>>,
}

impl Node {
    pub fn new(op: &str, inputs: &[&str], output: &str) -> Self {
        let inputs = inputs.iter().map(|&name| name.to_owned()).collect();
        Self { op: op.to_owned(), inputs, output: output.to_owned(), attributes: Vec::new() }
    }

    pub fn with(mut self, attribute: Vec<u8>) -> Self {
        self.attributes.push(attribute);
        self
    }

    fn message(&self) -> Vec<u8> {
        let mut out: Vec<u8> = self.inputs.iter().flat_map(|x| bytes(1, x.as_bytes())).collect();
        out.extend(bytes(2, self.output.as_bytes()));
        out.extend(bytes(3, format!("/{}_{}", self.op, self.output).as_bytes()));
        out.extend(bytes(4, self.op.as_bytes()));
        self.attributes.iter().for_each(|attribute| out.extend(bytes(5, attribute)));
        out
    }
}

/// A file with one input of `[B, T, mels]`, `feats`, and one output, `embs`.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub nodes: Vec<Node>,
    /// `TensorProto`s.
    pub tensors: Vec<Vec<u8>>,
    pub mels: usize,
    pub properties: Vec<(String, String)>,
    /// More fields of the `GraphProto`.
    pub extra: Vec<u8>,
}

impl File {
    pub fn bytes(&self) -> Vec<u8> {
        let axis = |message: Vec<u8>| bytes(1, &message);
        let shape = [bytes(2, b"B"), bytes(2, b"T"), number(1, self.mels as u64)].map(axis);
        let kind = [number(1, 1), bytes(2, &shape.concat())].concat();
        let input = [bytes(1, b"feats"), bytes(2, &bytes(1, &kind))].concat();
        let mut graph: Vec<u8> =
            self.nodes.iter().flat_map(|node| bytes(1, &node.message())).collect();
        graph.extend(bytes(2, b"main_graph"));
        self.tensors.iter().for_each(|tensor| graph.extend(bytes(5, tensor)));
        graph.extend(bytes(11, &input));
        graph.extend(bytes(12, &bytes(1, b"embs")));
        graph.extend(&self.extra);
        let mut out = [number(1, 7), bytes(2, b"pytorch"), bytes(7, &graph)].concat();
        for (key, value) in &self.properties {
            let pair = [bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat();
            out.extend(bytes(14, &pair));
        }
        // The set of operations and its version.
        out.extend(bytes(8, &number(2, 14)));
        out
    }
}
