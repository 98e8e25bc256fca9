//! What an import reads of ONNX's messages (`onnx.proto`): nodes, initialisers, inputs, outputs and
//! metadata. Numbers of fields are those of that file.
//!
//! Values stay in the file. What is held of a message is no more than a small multiple of its
//! bytes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use super::tensor::{self, Tensor};
use super::wire::{Field, fields, packed, text};

/// Most graphs within each other.
const DEEPEST: usize = 8;

/// A file.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Operations in order: each reads what stands before it.
    pub nodes: Vec<Node>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// What the graph is given, with the sizes of its axes; 0 for a size that is left open.
    pub inputs: Vec<(String, Vec<usize>)>,
    /// What the graph gives.
    pub outputs: Vec<String>,
    /// The sizes of its axes, of each; 0 for a size that is left open.
    pub output_sizes: Vec<Vec<usize>>,
    /// The program that wrote the file, with its version.
    pub producer: String,
    /// The version of ONNX's own operations.
    pub opset: u64,
    /// Metadata.
    pub properties: BTreeMap<String, String>,
}

/// An operation.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Its name; may be empty.
    name: String,
    /// What it does. Operations of other sets than ONNX's have the set's name before theirs.
    pub op: String,
    /// What it reads: its inputs, empty where one is left out, and what graphs within it read of
    /// the graph around them.
    pub inputs: Vec<String>,
    /// What it makes.
    pub outputs: Vec<String>,
    attributes: Vec<(String, Attribute)>,
}

/// A setting of an operation.
#[derive(Debug)]
enum Attribute {
    Number(i64),
    Float(f32),
    Numbers(Vec<i64>),
    Text(String),
    Tensor(Tensor),
    Other,
}

impl Node {
    /// The name by which errors call it.
    pub fn shown(&self) -> String {
        let made = self.outputs.first().map_or("", String::as_str);
        let name = if self.name.is_empty() { made } else { &self.name };
        format!("node `{name}` ({})", self.op)
    }

    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// An integer setting, or its default.
    pub fn integer(&self, name: &str, default: i64) -> i64 {
        match self.attribute(name) {
            Some(Attribute::Number(value)) => *value,
            _ => default,
        }
    }

    /// A real setting, or its default.
    pub fn real(&self, name: &str, default: f32) -> f32 {
        match self.attribute(name) {
            Some(Attribute::Float(value)) => *value,
            _ => default,
        }
    }

    /// A list of sizes, or its default. Negative ones become so large that nothing equals them.
    pub fn sizes(&self, name: &str, default: Vec<usize>) -> Vec<usize> {
        match self.attribute(name) {
            Some(Attribute::Numbers(all)) => {
                all.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect()
            }
            _ => default,
        }
    }

    /// A setting's text, if it has one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attribute(name) {
            Some(Attribute::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A setting's tensor, if it has one.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        match self.attribute(name) {
            Some(Attribute::Tensor(tensor)) => Some(tensor),
            _ => None,
        }
    }
}

/// Reads a file's content.
///
/// # Errors
/// Content that is no `ModelProto`, is cut off, or keeps weights in another file.
pub(super) fn model(content: &[u8]) -> Result<Model, String> {
    let mut model = Model::default();
    let (mut graphs, mut version) = (0, String::new());
    fields(content, 0..content.len(), |number, field| {
        match (number, field) {
            (2, Field::Bytes(range)) => {
                model.producer = text(content, range).unwrap_or_default();
            }
            (3, Field::Bytes(range)) => version = text(content, range).unwrap_or_default(),
            (8, Field::Bytes(range)) => {
                model.opset = opset(content, range)?.unwrap_or(model.opset);
            }
            (7, Field::Bytes(range)) => {
                graphs += 1;
                graph(content, range, &mut model)?;
            }
            (14, Field::Bytes(range)) => {
                let (key, value) = property(content, range)?;
                model.properties.insert(key, value);
            }
            _ => {}
        }
        Ok(())
    })?;
    model.producer = format!("{} {version}", model.producer).trim().to_owned();
    match graphs {
        1 => Ok(model),
        graphs => Err(format!("it holds {graphs} graphs")),
    }
}

/// The version of ONNX's own operations, if a set (`OperatorSetIdProto`) is theirs.
fn opset(content: &[u8], range: Range<usize>) -> Result<Option<u64>, String> {
    let (mut is_own, mut version) = (true, 0);
    fields(content, range, |number, field| {
        match (number, field) {
            (1, Field::Bytes(range)) => is_own = ["", "ai.onnx"].contains(&&*text(content, range)?),
            (2, Field::Number(value)) => version = value,
            _ => {}
        }
        Ok(())
    })?;
    Ok(is_own.then_some(version))
}

fn property(content: &[u8], range: Range<usize>) -> Result<(String, String), String> {
    let (mut key, mut value) = (String::new(), String::new());
    fields(content, range, |number, field| {
        match (number, field) {
            (1, Field::Bytes(range)) => key = text(content, range)?,
            (2, Field::Bytes(range)) => value = text(content, range)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, value))
}

fn graph(content: &[u8], range: Range<usize>, model: &mut Model) -> Result<(), String> {
    fields(content, range, |number, field| {
        match (number, field) {
            (1, Field::Bytes(range)) => model.nodes.push(node(content, range, 0)?),
            (5, Field::Bytes(range)) => {
                let (name, tensor) = tensor::read(content, range)?;
                if model.tensors.insert(name.clone(), tensor).is_some() {
                    return Err(format!("two initialisers are called `{name}`"));
                }
            }
            (11, Field::Bytes(range)) => model.inputs.push(tensor::described(content, range)?),
            (12, Field::Bytes(range)) => {
                let (name, sizes) = tensor::described(content, range)?;
                model.outputs.push(name);
                model.output_sizes.push(sizes);
            }
            _ => {}
        }
        Ok(())
    })
}

fn node(content: &[u8], range: Range<usize>, depth: usize) -> Result<Node, String> {
    let (mut node, mut domain, start) = (Node::default(), String::new(), range.start);
    let mut captured = BTreeSet::new();
    fields(content, range, |number, field| {
        match (number, field) {
            (1, Field::Bytes(range)) => node.inputs.push(text(content, range)?),
            (2, Field::Bytes(range)) => node.outputs.push(text(content, range)?),
            (3, Field::Bytes(range)) => node.name = text(content, range)?,
            (4, Field::Bytes(range)) => node.op = text(content, range)?,
            (5, Field::Bytes(range)) => {
                node.attributes.push(attribute(content, range, depth, &mut captured)?);
            }
            (7, Field::Bytes(range)) => domain = text(content, range)?,
            _ => {}
        }
        Ok(())
    })?;
    if node.op.is_empty() {
        return Err(format!("the node at byte {start} has no operation"));
    }
    if !domain.is_empty() && domain != "ai.onnx" {
        node.op = format!("{domain}::{}", node.op);
    }
    node.inputs.extend(captured);
    Ok(node)
}

fn attribute(
    content: &[u8],
    range: Range<usize>,
    depth: usize,
    captured: &mut BTreeSet<String>,
) -> Result<(String, Attribute), String> {
    let (mut name, mut found, mut numbers) = (String::new(), Attribute::Other, Vec::new());
    let mut kind = 0;
    fields(content, range, |number, field| {
        match (number, field) {
            (1, Field::Bytes(range)) => name = text(content, range)?,
            (2, Field::Fixed(range)) => {
                let bytes = content[range].first_chunk::<4>();
                found =
                    bytes.map_or(Attribute::Other, |&b| Attribute::Float(f32::from_le_bytes(b)));
            }
            (3, Field::Number(value)) => found = Attribute::Number(value as i64),
            (4, Field::Bytes(range)) => {
                found = text(content, range).map_or(Attribute::Other, Attribute::Text);
            }
            (5, Field::Bytes(range)) => found = Attribute::Tensor(tensor::read(content, range)?.1),
            (6 | 11, Field::Bytes(range)) => inner(content, range, depth + 1, captured)?,
            (8, Field::Number(value)) => numbers.push(value as i64),
            (8, Field::Bytes(range)) => packed(content, range, |value| {
                numbers.push(value as i64);
                Ok(())
            })?,
            (20, Field::Number(value)) => kind = value,
            _ => {}
        }
        Ok(())
    })?;
    // The type of a list of integers is 7. An empty list has no other mark.
    let is_list = !numbers.is_empty() || kind == 7;
    Ok((name, if is_list { Attribute::Numbers(numbers) } else { found }))
}

/// Adds what a graph within an operation reads of the graph around it.
fn inner(
    content: &[u8],
    range: Range<usize>,
    depth: usize,
    captured: &mut BTreeSet<String>,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("more than {DEEPEST} graphs within each other"));
    }
    let (mut read, mut made) = (BTreeSet::new(), HashSet::new());
    fields(content, range, |number, field| {
        match (number, field) {
            (1, Field::Bytes(range)) => {
                let node = node(content, range, depth)?;
                read.extend(node.inputs);
                made.extend(node.outputs);
            }
            (5, Field::Bytes(range)) => {
                made.insert(tensor::read(content, range)?.0);
            }
            (11, Field::Bytes(range)) => {
                made.insert(tensor::described(content, range)?.0);
            }
            // A branch may give what stands around it.
            (12, Field::Bytes(range)) => {
                read.insert(tensor::described(content, range)?.0);
            }
            _ => {}
        }
        Ok(())
    })?;
    captured.extend(read.into_iter().filter(|name| !name.is_empty() && !made.contains(name)));
    Ok(())
}
