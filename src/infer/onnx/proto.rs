//! The messages of ONNX that a file needs (`onnx.proto`, IR version 7), as protocol buffers
//! (<https://protobuf.dev/programming-guides/encoding>).

/// Version of the file format. Opset 13 came with it.
const IR_VERSION: i64 = 7;
/// Version of the operators.
const OPSET: i64 = 13;
/// Type of f32 values, for [`Port`]s and for `Cast`.
pub(super) const F32: i64 = 1;
const U8: i64 = 2;
const I8: i64 = 3;
/// Type of i32 values, for `Cast`.
pub(super) const I32: i64 = 6;
const I64: i64 = 7;

/// Wire types: how a field's length is known.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// What can be written as a message.
trait Message {
    /// Adds its fields.
    fn write(&self, to: &mut Writer);
}

/// The bytes of messages.
#[derive(Debug, Default)]
struct Writer(Vec<u8>);

/// Seven bits a byte, lowest first. All bytes but the last have the highest bit.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

impl Writer {
    fn key(&mut self, field: u64, wire: u64) {
        self.0.extend(varint((field << 3) | wire));
    }

    fn int(&mut self, field: u64, value: i64) {
        self.key(field, VARINT);
        // Negative numbers are those of 64 bits in two's complement.
        self.0.extend(varint(value as u64));
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, FOUR_BYTES);
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, field: u64, text: &str) {
        self.key(field, LENGTH);
        self.0.extend(varint(text.len() as u64));
        self.0.extend(text.as_bytes());
    }

    /// Bytes that `fill` adds. Their length is put in front of them afterwards, so that no part of
    /// the file is in memory twice.
    fn within(&mut self, field: u64, fill: impl FnOnce(&mut Self)) {
        self.key(field, LENGTH);
        let start = self.0.len();
        fill(self);
        let length = varint((self.0.len() - start) as u64);
        self.0.splice(start..start, length);
    }

    fn message(&mut self, field: u64, message: &impl Message) {
        self.within(field, |to| message.write(to));
    }
}

/// The values of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    /// Numbers.
    F32(Vec<f32>),
    /// Packed codes, or the byte of the value 0.
    U8(Vec<u8>),
    /// Weights.
    I8(Vec<i8>),
    /// Numbers for codes, or summands.
    I32(Vec<i32>),
    /// Shapes, axes and places.
    I64(Vec<i64>),
}

impl Data {
    fn kind(&self) -> i64 {
        match self {
            Self::F32(_) => F32,
            Self::U8(_) => U8,
            Self::I8(_) => I8,
            Self::I32(_) => I32,
            Self::I64(_) => I64,
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::F32(all) => all.iter().for_each(|v| to.extend(v.to_le_bytes())),
            Self::U8(all) => to.extend(all),
            Self::I8(all) => all.iter().for_each(|v| to.extend(v.to_le_bytes())),
            Self::I32(all) => all.iter().for_each(|v| to.extend(v.to_le_bytes())),
            Self::I64(all) => all.iter().for_each(|v| to.extend(v.to_le_bytes())),
        }
    }
}

/// A constant of the graph (`TensorProto`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    pub name: String,
    /// None for a single number.
    pub dims: Vec<usize>,
    /// As many as the dims say, in row-major order.
    pub data: Data,
}

impl Message for Tensor {
    fn write(&self, to: &mut Writer) {
        self.dims.iter().for_each(|&n| to.int(1, n as i64));
        to.int(2, self.data.kind());
        to.text(8, &self.name);
        to.within(9, |to| self.data.write(&mut to.0));
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Setting {
    Float(f32),
    Int(i64),
    Ints(Vec<i64>),
}

/// A node's attribute (`AttributeProto`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attribute(pub &'static str, pub Setting);

impl Message for Attribute {
    fn write(&self, to: &mut Writer) {
        to.text(1, self.0);
        let kind = match &self.1 {
            Setting::Float(value) => {
                to.float(2, *value);
                1
            }
            Setting::Int(value) => {
                to.int(3, *value);
                2
            }
            Setting::Ints(all) => {
                all.iter().for_each(|&value| to.int(8, value));
                7
            }
        };
        to.int(20, kind);
    }
}

/// An operation (`NodeProto`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// Empty if it has none.
    pub name: String,
    pub op: &'static str,
    pub inputs: Vec<String>,
    pub output: String,
    pub attributes: Vec<Attribute>,
}

impl Message for Node {
    fn write(&self, to: &mut Writer) {
        self.inputs.iter().for_each(|name| to.text(1, name));
        to.text(2, &self.output);
        if !self.name.is_empty() {
            to.text(3, &self.name);
        }
        to.text(4, self.op);
        self.attributes.iter().for_each(|attribute| to.message(5, attribute));
    }
}

/// The size of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dim {
    Of(usize),
    /// Any size; equal names are equal sizes.
    Any(&'static str),
}

/// An input or an output of the graph, f32 (`ValueInfoProto`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub name: &'static str,
    pub dims: Vec<Dim>,
}

impl Message for Port {
    fn write(&self, to: &mut Writer) {
        to.text(1, self.name);
        // The type, its tensor type, the type's shape, an axis of the shape.
        to.within(2, |to| {
            to.within(1, |to| {
                to.int(1, F32);
                to.within(2, |to| {
                    self.dims.iter().for_each(|dim| {
                        to.within(1, |to| match *dim {
                            Dim::Of(size) => to.int(1, size as i64),
                            Dim::Any(name) => to.text(2, name),
                        });
                    });
                });
            });
        });
    }
}

/// A network (`GraphProto`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Graph {
    pub name: String,
    /// In an order in which each can be computed.
    pub nodes: Vec<Node>,
    pub tensors: Vec<Tensor>,
    pub input: Port,
    pub output: Port,
}

impl Message for Graph {
    fn write(&self, to: &mut Writer) {
        self.nodes.iter().for_each(|node| to.message(1, node));
        to.text(2, &self.name);
        self.tensors.iter().for_each(|tensor| to.message(5, tensor));
        to.message(11, &self.input);
        to.message(12, &self.output);
    }
}

/// A whole file (`ModelProto`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct File {
    pub graph: Graph,
    /// Keys and values.
    pub metadata: Vec<(&'static str, String)>,
}

impl Message for File {
    fn write(&self, to: &mut Writer) {
        to.int(1, IR_VERSION);
        to.text(2, env!("CARGO_PKG_NAME"));
        to.text(3, env!("CARGO_PKG_VERSION"));
        to.message(7, &self.graph);
        to.within(8, |to| to.int(2, OPSET));
        for (key, value) in &self.metadata {
            to.within(14, |to| {
                to.text(1, key);
                to.text(2, value);
            });
        }
    }
}

impl File {
    /// The file's content.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        self.write(&mut to);
        to.0
    }
}

#[cfg(test)]
mod tests;
