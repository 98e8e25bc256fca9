//! Files that `revox export` wrote. Their metadata say the network, and their tensors have its
//! names, so nothing is looked for.
//!
//! An exported BatchNorm is a factor and a summand: its statistics are not in the file. It comes
//! back as a layer of mean 0 whose divisor is 1, which gives the same values.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::TensorData;

use super::File;
use crate::error::{Error, Result};
use crate::model_file::update::header_of;
use crate::model_file::{Header, KEY, NamedTensors};
use crate::nn::Epsilon;
use crate::nn::graph::{Graph, Node, Op};

/// The name of the input of a file whose network computes features itself.
const WAVEFORM: &str = "waveform";

/// A model that was exported.
pub(in crate::model_file::import) struct Own {
    pub header: Header,
    pub tensors: NamedTensors,
    /// How many BatchNorms are factors and summands.
    pub norms: usize,
}

impl File {
    /// Whether `revox export` wrote the file.
    pub fn is_own(&self) -> bool {
        self.model.properties.contains_key(KEY)
    }

    /// The model that was exported.
    ///
    /// # Errors
    /// Metadata that contradict themselves; a file that holds other than f32 weights, or a
    /// front-end; tensors that another program has renamed or changed.
    pub fn own(&self) -> Result<Own> {
        let header = header_of(&self.path, &self.model.properties)?;
        self.check_form(&header)?;
        let graph = header.arch.layout()?;
        let (parameters, held) = (graph.parameters(), self.content.len());
        // A parameter takes four bytes, so the file cannot hold a larger network.
        if parameters > held {
            let name = &header.arch.name;
            return Err(self
                .bad(&format!("{name} has {parameters} parameters; the file holds {held} bytes")));
        }
        let taking = Taking { file: self, graph: &graph, wanted_by: &header.arch.name };
        let mut tensors: HashMap<usize, Vec<f32>> = HashMap::new();
        let mut norms = 0;
        for node in &graph.nodes {
            let values = match node.op {
                Op::Norm { epsilon, .. } => {
                    norms += 1;
                    taking.norm(node, epsilon)?
                }
                Op::Mix => taking.mix(node)?,
                _ => taking.whole(node)?,
            };
            tensors.extend(node.tensors.iter().copied().zip(values));
        }
        let named = graph.tensors.iter().enumerate().filter_map(|(place, info)| {
            let values = tensors.remove(&place)?;
            Some((info.name.clone(), TensorData::new(values, info.shape.clone())))
        });
        let tensors = NamedTensors(named.collect());
        // Weights are f32 now, and nothing else goes by how they were packed.
        let header = Header {
            speakers: Vec::new(),
            quantization: BTreeMap::new(),
            activations: None,
            ..header
        };
        Ok(Own { header, tensors, norms })
    }

    /// Refuses forms of which no model can be made.
    fn check_form(&self, header: &Header) -> Result<()> {
        let again = "import a file of `revox export --weights f32 --input features`, or take the \
                     model that was exported";
        let what = if header.activations.is_some() {
            "computes in integers"
        } else if self.model.inputs.iter().any(|(name, _)| name == WAVEFORM) {
            "takes samples: the front-end is part of its network"
        } else if self.model.tensors.keys().any(|name| name.ends_with(".codes")) {
            "holds weights as codes"
        } else {
            return Ok(());
        };
        Err(self.bad(&format!("{what}; {again}")))
    }
}

/// Takes the tensors of a network's nodes out of a file.
struct Taking<'a> {
    file: &'a File,
    graph: &'a Graph,
    wanted_by: &'a str,
}

impl Taking<'_> {
    /// A tensor's values. Axes of size 1 may be more or fewer.
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let File { path, content, model } = self.file;
        let tensor = model.tensors.get(name).ok_or_else(|| {
            self.file.bad(&format!(
                "has no initialiser `{name}`, as revox writes it: another program has changed the \
                 file"
            ))
        })?;
        let bare = |shape: &[usize]| -> Vec<usize> {
            shape.iter().copied().filter(|&size| size != 1).collect()
        };
        if bare(&tensor.shape) != bare(shape) {
            return Err(Error::Shape {
                path: path.clone(),
                tensor: name.to_owned(),
                wanted_by: self.wanted_by.to_owned(),
                expected: shape.to_vec(),
                found: tensor.shape.clone(),
            });
        }
        super::values(content, name, tensor).map_err(|e| self.file.bad(&e))
    }

    /// Tensors as they are.
    fn whole(&self, node: &Node) -> Result<Vec<Vec<f32>>> {
        let infos = node.tensors.iter().map(|&place| &self.graph.tensors[place]);
        infos.map(|info| self.values(&info.name, &info.shape)).collect()
    }

    /// A BatchNorm of these factors and summands.
    fn norm(&self, node: &Node, epsilon: Epsilon) -> Result<Vec<Vec<f32>>> {
        let layer = self.graph.layer(node).unwrap_or_default();
        let shape = node
            .tensors
            .first()
            .map_or(&[][..], |&place| self.graph.tensors[place].shape.as_slice());
        let scale = self.values(&format!("{layer}.scale"), shape)?;
        let shift = self.values(&format!("{layer}.shift"), shape)?;
        let channels = scale.len();
        match node.tensors.len() {
            4 => {
                let variance = vec![epsilon.identity_variance(); channels];
                Ok(vec![scale, shift, vec![0.0; channels], variance])
            }
            // Without weight and bias, the factor is one over the deviation.
            2 => {
                let means = scale.iter().zip(&shift).map(|(scale, shift)| -shift / scale);
                let variance = |&scale: &f32| {
                    let deviation = 1.0 / f64::from(scale);
                    (deviation * deviation - epsilon.value()).max(0.0) as f32
                };
                Ok(vec![means.collect(), scale.iter().map(variance).collect()])
            }
            other => Err(self.file.bad(&format!("a BatchNorm of {other} tensors"))),
        }
    }

    /// The logits of weights that the file holds behind their softmax. An input that is alone has
    /// none.
    fn mix(&self, node: &Node) -> Result<Vec<Vec<f32>>> {
        let Some(&place) = node.tensors.first() else { return Ok(Vec::new()) };
        let (info, inputs) = (&self.graph.tensors[place], node.inputs.len());
        let count: usize = info.shape.iter().product();
        if inputs == 1 {
            return Ok(vec![vec![0.0; count]]);
        }
        let mut logits = Vec::with_capacity(count);
        for i in 0..inputs {
            let weights = self.values(&format!("{}.{i}", info.name), &[count / inputs])?;
            logits.extend(weights.into_iter().map(|w| w.max(f32::MIN_POSITIVE).ln()));
        }
        Ok(vec![logits])
    }
}
