//! A graph of ONNX while it is written: names, constants, and the operations of which others are
//! composed.

use std::collections::{HashMap, HashSet};

use super::proto::{Attribute, Data, F32, Node, Setting, Tensor};
use crate::infer::kernels::Scale;

/// Nodes in the order in which they are computed, and constants by name. A value is known by the
/// name of the node that makes it.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub nodes: Vec<Node>,
    pub tensors: Vec<Tensor>,
    /// The part of the network that nodes belong to, for their names.
    part: String,
    known: HashSet<String>,
    /// Lengths of axes that were asked for before, by value and axis.
    lengths: HashMap<(String, usize), String>,
    /// Values that were rounded before, by value and scale.
    rounded: HashMap<(String, u32, u8), String>,
    /// Rows of one number that were made before, by its bits and their length.
    filled: HashMap<(u64, usize), String>,
}

impl Builder {
    /// From here on nodes belong to this part of the network.
    pub fn enter(&mut self, part: &str) {
        part.clone_into(&mut self.part);
    }

    /// Adds an operation without attributes.
    pub fn op(&mut self, op: &'static str, inputs: &[&str]) -> String {
        self.node(op, inputs, vec![])
    }

    /// Adds an operation.
    pub fn node(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let output = format!("{}/{op}_{}", self.part, self.nodes.len());
        let inputs = inputs.iter().map(|&name| name.to_owned()).collect();
        let name = output.clone();
        self.nodes.push(Node { name, op, inputs, output: output.clone(), attributes });
        output
    }

    /// Adds a constant, once.
    pub fn tensor(&mut self, name: String, dims: &[usize], data: Data) -> String {
        if self.known.insert(name.clone()) {
            self.tensors.push(Tensor { name: name.clone(), dims: dims.to_vec(), data });
        }
        name
    }

    /// Integers: axes, places, a shape.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let listed: Vec<String> = values.iter().map(i64::to_string).collect();
        let name = format!("ints/{}", listed.join(","));
        self.tensor(name, &[values.len()], Data::I64(values.to_vec()))
    }

    /// A single number.
    pub fn number(&mut self, value: f64) -> String {
        let value = value as f32;
        self.tensor(format!("number/{value}"), &[], Data::F32(vec![value]))
    }

    /// So many times the same number, of which the file holds one.
    pub fn filled(&mut self, value: f64, count: usize) -> String {
        let key = (value.to_bits(), count);
        if let Some(known) = self.filled.get(&key) {
            return known.clone();
        }
        let (number, shape) = (self.number(value), self.ints(&[count as i64]));
        let row = self.op("Expand", &[&number, &shape]);
        self.filled.insert(key, row.clone());
        row
    }

    /// The length of an axis, as one integer. Axis 0 is the batch.
    pub fn length(&mut self, x: &str, axis: usize) -> String {
        if let Some(known) = self.lengths.get(&(x.to_owned(), axis)) {
            return known.clone();
        }
        let shape = self.op("Shape", &[x]);
        let place = self.ints(&[axis as i64]);
        let length = self.op("Gather", &[&shape, &place]);
        self.lengths.insert((x.to_owned(), axis), length.clone());
        length
    }

    /// The length of an axis times a number, less 1, and at least 1: the divisor of an unbiased
    /// variance.
    pub fn divisor(&mut self, x: &str, axis: usize, times: usize) -> String {
        let length = self.length(x, axis);
        let length = self.node("Cast", &[&length], vec![Attribute("to", Setting::Int(F32))]);
        let times = self.number(times as f64);
        let count = self.op("Mul", &[&length, &times]);
        let (one, two) = (self.number(1.0), self.number(2.0));
        let count = self.op("Max", &[&count, &two]);
        self.op("Sub", &[&count, &one])
    }

    /// The same values in another shape, in which 0 keeps the axis and -1 is what is left.
    pub fn reshape(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.ints(shape);
        self.op("Reshape", &[x, &shape])
    }

    /// The axes in another order.
    pub fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.node("Transpose", &[x], vec![Attribute("perm", Setting::Ints(order.to_vec()))])
    }

    /// The first values of an axis, as many as an integer of the graph says.
    pub fn first(&mut self, x: &str, axis: usize, end: &str) -> String {
        let (start, axis) = (self.ints(&[0]), self.ints(&[axis as i64]));
        self.op("Slice", &[x, &start, end, &axis])
    }

    /// These channels (axis 1).
    pub fn channels(&mut self, x: &str, start: usize, end: usize) -> String {
        let (start, end) = (self.ints(&[start as i64]), self.ints(&[end as i64]));
        let axis = self.ints(&[1]);
        self.op("Slice", &[x, &start, &end, &axis])
    }

    /// Values side by side along an axis.
    pub fn concat(&mut self, all: &[&str], axis: usize) -> String {
        self.node("Concat", all, vec![Attribute("axis", Setting::Int(axis as i64))])
    }

    /// The mean over axes, which stay with size 1.
    pub fn mean(&mut self, x: &str, axes: &[i64]) -> String {
        let axes = Attribute("axes", Setting::Ints(axes.to_vec()));
        self.node("ReduceMean", &[x], vec![axes, Attribute("keepdims", Setting::Int(1))])
    }

    /// The sum over axes, which stay with size 1.
    pub fn sum(&mut self, x: &str, axes: &[i64]) -> String {
        let axes = self.ints(axes);
        self.node("ReduceSum", &[x, &axes], vec![Attribute("keepdims", Setting::Int(1))])
    }

    /// The values less their mean over axes.
    pub fn centred(&mut self, x: &str, axes: &[i64]) -> String {
        let mean = self.mean(x, axes);
        self.op("Sub", &[x, &mean])
    }

    /// A convolution with every attribute: some readers fail without those that the standard lets
    /// them derive.
    pub fn convolve(
        &mut self,
        x: &str,
        weight: &str,
        bias: Option<&str>,
        window: &Window,
    ) -> String {
        let ints = |all: &[usize]| Setting::Ints(all.iter().map(|&n| n as i64).collect());
        let attributes = vec![
            Attribute("dilations", ints(&vec![window.dilation; window.kernel.len()])),
            Attribute("group", Setting::Int(window.groups as i64)),
            Attribute("kernel_shape", ints(window.kernel)),
            // In front of every axis, then behind.
            Attribute("pads", ints(&window.padding.repeat(2))),
            Attribute("strides", ints(window.stride)),
        ];
        let inputs: Vec<&str> = [x, weight].into_iter().chain(bias).collect();
        self.node("Conv", &inputs, attributes)
    }

    /// Rounds a value to bytes. Returns the values that they stand for.
    pub fn rounded(&mut self, x: &str, scale: Scale) -> String {
        let key = |x: &str| (x.to_owned(), scale.step.to_bits(), scale.zero);
        if let Some(known) = self.rounded.get(&key(x)) {
            return known.clone();
        }
        let step = self.number(f64::from(scale.step));
        let zero = self.tensor(format!("byte/{}", scale.zero), &[], Data::U8(vec![scale.zero]));
        let bytes = self.op("QuantizeLinear", &[x, &step, &zero]);
        let made = self.op("DequantizeLinear", &[&bytes, &step, &zero]);
        // Once more would change nothing.
        for x in [x, &made] {
            self.rounded.insert(key(x), made.clone());
        }
        made
    }

    /// Integers, I8 or I32, whose rows (axis 0) have a step each. Returns the values that they
    /// stand for.
    pub fn rows(&mut self, name: String, dims: &[usize], data: Data, steps: Vec<f32>) -> String {
        let count = steps.len();
        let (kind, zeros) = match data {
            Data::I8(_) => ("i8", Data::I8(vec![0; count])),
            _ => ("i32", Data::I32(vec![0; count])),
        };
        let steps = self.tensor(format!("{name}.steps"), &[count], Data::F32(steps));
        let zeros = self.tensor(format!("zeros/{kind}/{count}"), &[count], zeros);
        let ints = self.tensor(name, dims, data);
        let axis = Attribute("axis", Setting::Int(0));
        self.node("DequantizeLinear", &[&ints, &steps, &zeros], vec![axis])
    }

    /// Gives every value a short name: those of `names` to initialisers that have one there,
    /// numbers to all others. Input and output of the network keep theirs. Nodes lose their own.
    pub fn shorten(&mut self, mut names: HashMap<String, String>, kept: [&str; 2]) {
        names.extend(kept.map(|name| (name.to_owned(), name.to_owned())));
        let mut count = 0_usize;
        let mut shorten = |name: &mut String| {
            let short = names.entry(std::mem::take(name)).or_insert_with(|| {
                count += 1;
                // Upper-case digits alone are the name of no initialiser, input or output.
                format!("{:X}", count - 1)
            });
            name.clone_from(short);
        };
        for node in &mut self.nodes {
            node.name.clear();
            node.inputs.iter_mut().for_each(&mut shorten);
            shorten(&mut node.output);
        }
        self.tensors.iter_mut().for_each(|tensor| shorten(&mut tensor.name));
    }

    /// Gives a value another name.
    pub fn rename(&mut self, old: &str, new: &str) {
        let of_nodes = self.nodes.iter_mut();
        let names = of_nodes.flat_map(|node| node.inputs.iter_mut().chain([&mut node.output]));
        names.filter(|name| name.as_str() == old).for_each(|name| new.clone_into(name));
    }
}

/// How a convolution's kernel moves.
pub(super) struct Window<'a> {
    pub kernel: &'a [usize],
    pub stride: &'a [usize],
    pub padding: &'a [usize],
    pub dilation: usize,
    pub groups: usize,
}

impl Window<'static> {
    /// One tap over frames.
    pub const TAP: Self =
        Self { kernel: &[1], stride: &[1], padding: &[0], dilation: 1, groups: 1 };
}
