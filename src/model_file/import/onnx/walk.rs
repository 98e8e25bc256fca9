//! The layers of an ONNX graph.

use std::collections::HashMap;

use super::layers::{Groups, Kind, Net, Step};
use super::proto::{Model, Node};
use super::tensor::Tensor;

/// Operations whose result depends on sizes alone.
const SIZES: [&str; 2] = ["Shape", "Size"];
/// Operations that hand values on, in another shape at most.
const SAME: [&str; 9] = [
    "Cast",
    "Dropout",
    "Flatten",
    "Identity",
    "If",
    "Reshape",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// A tensor of the file as an operation reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Constant<'a> {
    pub name: &'a str,
    pub tensor: &'a Tensor,
    /// Whether its two axes change places.
    pub turned: bool,
}

impl Constant<'_> {
    /// Its shape.
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = self.tensor.shape.clone();
        if self.turned {
            shape.reverse();
        }
        shape
    }
}

/// A layer of the file.
#[derive(Debug)]
pub(super) struct Layer<'a> {
    pub kind: Kind,
    pub node: &'a Node,
    /// Weight, `[output, input, ...]`, and bias if there is one; nothing of a BatchNorm.
    pub weights: Option<(Constant<'a>, Option<Constant<'a>>)>,
    /// The BatchNorm behind it, or itself.
    pub norm: Option<Norm<'a>>,
}

/// A BatchNorm of the file.
#[derive(Debug)]
pub(super) struct Norm<'a> {
    /// Weight, bias, running mean, running variance.
    pub tensors: [Constant<'a>; 4],
    pub epsilon: f32,
}

/// The layers of a graph.
///
/// # Errors
/// The node that stands in the way: one whose weights are not in the file, one that reads what no
/// node before it makes, or one of a quantized file.
pub(super) fn walk(model: &Model) -> Result<Net<Layer<'_>>, String> {
    let mut walk = Walk::new(model);
    for node in &model.nodes {
        walk.node(node)?;
    }
    Ok(walk.net)
}

struct Walk<'a> {
    net: Net<Layer<'a>>,
    constants: HashMap<&'a str, Constant<'a>>,
    values: HashMap<&'a str, usize>,
    /// How often each value is read, but for its sizes.
    uses: HashMap<&'a str, usize>,
    /// The layer whose output a value is.
    straight: HashMap<&'a str, usize>,
}

impl<'a> Walk<'a> {
    fn new(model: &'a Model) -> Self {
        let constants: HashMap<&str, Constant> = model
            .tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), Constant { name, tensor, turned: false }))
            .collect();
        // Old files list initialisers among the inputs too.
        let inputs = model.inputs.iter().map(|(name, _)| name.as_str());
        let inputs = inputs.filter(|name| !constants.contains_key(name));
        let values: HashMap<&str, usize> = inputs.zip(0..).collect();
        let mut uses: HashMap<&str, usize> = HashMap::new();
        let reading = model.nodes.iter().filter(|node| !SIZES.contains(&node.op.as_str()));
        for name in reading.flat_map(|node| &node.inputs).chain(&model.outputs) {
            *uses.entry(name.as_str()).or_default() += 1;
        }
        let net = Net::empty(model.inputs.len());
        Self { net, constants, values, uses, straight: HashMap::new() }
    }

    fn node(&mut self, node: &'a Node) -> Result<(), String> {
        let made = node.outputs.iter().map(String::as_str).filter(|name| !name.is_empty());
        let made: Vec<&'a str> = made.collect();
        let twice = |name: &str| format!("{} makes `{name}` for a second time", node.shown());
        let there =
            |name: &&&str| self.values.contains_key(**name) || self.constants.contains_key(**name);
        if let Some(name) = made.iter().find(there) {
            return Err(twice(name));
        }
        if let Some(constant) = self.constant(node) {
            self.constants.extend(made.into_iter().map(|name| (name, constant)));
            return Ok(());
        }
        let op = node.op.as_str();
        let from = node.inputs.iter().find_map(|name| {
            let once = self.uses.get(name.as_str()) == Some(&1);
            self.straight.get(name.as_str()).copied().filter(|_| once)
        });
        let layer = self.layer(node, from)?;
        let straight = match layer {
            Some(place) => Some(place).filter(|&place| self.net.layers[place].norm.is_none()),
            None => from.filter(|&from| SAME.contains(&op) || self.is_bias(node, from)),
        };
        let mut reads = Vec::new();
        if !SIZES.contains(&op) {
            for name in node.inputs.iter().map(String::as_str).filter(|name| !name.is_empty()) {
                match self.values.get(name) {
                    Some(&value) => reads.push(value),
                    None if self.constants.contains_key(name) => {}
                    None => {
                        let shown = node.shown();
                        return Err(format!("{shown} reads `{name}`, which no node before makes"));
                    }
                }
            }
        }
        match op {
            "Relu" => self.net.tally.relus += 1,
            "Sigmoid" => self.net.tally.sigmoids += 1,
            "Tanh" => self.net.tally.tanhs += 1,
            _ => {}
        }
        let mut makes = Vec::new();
        for name in made {
            // The same node may name an output twice.
            if self.values.insert(name, self.net.values).is_some() {
                return Err(twice(name));
            }
            makes.push(self.net.values);
            self.net.values += 1;
            self.straight.extend(straight.map(|layer| (name, layer)));
        }
        self.net.steps.push(Step { reads, makes, layer });
        Ok(())
    }

    fn input(&self, node: &'a Node, place: usize) -> Option<Constant<'a>> {
        self.constants.get(node.inputs.get(place)?.as_str()).copied()
    }

    /// The tensor that a node makes of a tensor alone.
    fn constant(&self, node: &'a Node) -> Option<Constant<'a>> {
        match node.op.as_str() {
            "Constant" => {
                let (name, tensor) = (node.outputs.first()?, node.tensor("value")?);
                Some(Constant { name, tensor, turned: false })
            }
            "Identity" => self.input(node, 0),
            "Transpose" => {
                let constant = self.input(node, 0).filter(|c| c.tensor.shape.len() == 2)?;
                let turns = node.sizes("perm", vec![1, 0]) == [1, 0];
                Some(Constant { turned: constant.turned != turns, ..constant })
            }
            _ => None,
        }
    }

    /// The place of the node's layer, if it has weights. A BatchNorm behind a layer becomes a part
    /// of that.
    fn layer(&mut self, node: &'a Node, from: Option<usize>) -> Result<Option<usize>, String> {
        let op = node.op.as_str();
        if op.starts_with("QLinear") || op.ends_with("Integer") {
            let what = "computes with integers; import the file from before it was quantized";
            return Err(format!("{} {what}", node.shown()));
        }
        let layer = match op {
            "Conv" => {
                let weight = self.wanted(node, 1, "weight")?;
                let kind = convolution(node, weight.tensor)?;
                let weights = Some((weight, self.bias(node)?));
                Layer { kind, node, weights, norm: None }
            }
            "Gemm" => {
                let weight = self.wanted(node, 1, "weight")?;
                let plain = node.integer("transA", 0) == 0
                    && node.real("alpha", 1.0) == 1.0
                    && node.real("beta", 1.0) == 1.0;
                if !plain || weight.tensor.shape.len() != 2 {
                    return Err(format!("{} is no linear layer", node.shown()));
                }
                let turned = weight.turned != (node.integer("transB", 0) == 0);
                let weights = Some((Constant { turned, ..weight }, self.bias(node)?));
                Layer { kind: Kind::Linear, node, weights, norm: None }
            }
            "MatMul" => {
                let weight = self.input(node, 1).filter(|c| c.tensor.shape.len() == 2);
                let Some(weight) = weight else { return Ok(None) };
                let weights = Some((Constant { turned: !weight.turned, ..weight }, None));
                Layer { kind: Kind::Linear, node, weights, norm: None }
            }
            "BatchNormalization" => {
                let one = |place, what| self.wanted(node, place, what);
                let tensors =
                    [one(1, "scale")?, one(2, "bias")?, one(3, "mean")?, one(4, "variance")?];
                let norm = Norm { tensors, epsilon: node.real("epsilon", 1e-5) };
                if let Some(from) = from {
                    self.net.layers[from].norm = Some(norm);
                    return Ok(None);
                }
                Layer { kind: Kind::Norm, node, weights: None, norm: Some(norm) }
            }
            _ => return Ok(None),
        };
        self.net.tally.layer(&layer.kind);
        self.net.layers.push(layer);
        Ok(Some(self.net.layers.len() - 1))
    }

    /// An input that must be in the file.
    fn wanted(&self, node: &'a Node, place: usize, what: &str) -> Result<Constant<'a>, String> {
        self.input(node, place).ok_or_else(|| {
            let (shown, name) = (node.shown(), node.inputs.get(place).map_or("", String::as_str));
            format!(
                "the {what} `{name}` of {shown} is no initialiser; import the file that \
                 torch.onnx.export wrote, with its weights and before it was quantized"
            )
        })
    }

    /// The bias of a convolution or linear layer, if it has one.
    fn bias(&self, node: &'a Node) -> Result<Option<Constant<'a>>, String> {
        match node.inputs.get(2).is_some_and(|name| !name.is_empty()) {
            true => self.wanted(node, 2, "bias").map(Some),
            false => Ok(None),
        }
    }

    /// Whether a node adds the bias of a matrix product, which then is the layer's.
    fn is_bias(&mut self, node: &'a Node, from: usize) -> bool {
        let added = [0, 1].into_iter().find_map(|place| self.input(node, place));
        let added = added.filter(|c| node.op == "Add" && c.tensor.shape.len() == 1);
        let layer = &mut self.net.layers[from];
        match (added, &mut layer.weights) {
            (Some(added), Some((_, bias @ None))) if layer.node.op == "MatMul" => {
                *bias = Some(added);
                true
            }
            _ => false,
        }
    }
}

/// What a convolution computes.
fn convolution(node: &Node, weight: &Tensor) -> Result<Kind, String> {
    let [_, inputs, kernel @ ..] = &weight.shape[..] else {
        return Err(format!("the weight of {} has shape {:?}", node.shown(), weight.shape));
    };
    if !["", "NOTSET"].contains(&node.text("auto_pad").unwrap_or_default()) {
        return Err(format!("{} pads by auto_pad; write its pads as numbers", node.shown()));
    }
    let axes = kernel.len();
    let groups = usize::try_from(node.integer("group", 1)).unwrap_or(0);
    Ok(Kind::Conv {
        kernel: kernel.to_vec(),
        stride: node.sizes("strides", vec![1; axes]),
        padding: node.sizes("pads", vec![0; 2 * axes]),
        dilation: node.sizes("dilations", vec![1; axes]),
        groups: Groups::of(groups, *inputs),
    })
}
