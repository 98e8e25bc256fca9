//! Files that `revox export` wrote. Their metadata say the network, and their tensors have its
//! names or [short ones](short_names), so nothing is looked for.
//!
//! Packed weights come back packed, to the bit. An exported BatchNorm is a factor and a summand, as
//! in packed models: its statistics are not in the file. In an f32 model it comes back as a layer
//! of mean 0 whose divisor is 1, which gives the same values.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::TensorData;

use super::File;
use super::names::{code_width, short_names};
use super::tensor::Tensor;
use crate::backend::codes::{codes, pack, packed_len};
use crate::error::{Error, Result};
use crate::model_file::update::header_of;
use crate::model_file::{Header, KEY, NamedTensors, PackedTensor, codes_name};
use crate::nn::graph::{Graph, Info, Node, Op};

/// The name of the input of a file whose network computes features itself.
const WAVEFORM: &str = "waveform";

/// A model that was exported.
pub(in crate::model_file::import) struct Own {
    pub header: Header,
    /// As the model's file has them.
    pub tensors: NamedTensors,
    /// How many BatchNorms are factors and summands that became layers with statistics.
    pub norms: usize,
}

impl File {
    /// Whether `revox export` wrote the file.
    pub fn is_own(&self) -> bool {
        self.model.properties.contains_key(KEY)
    }

    /// The names that a network's initialisers have in a model, by short names. None if the file is
    /// not ours.
    pub fn full_names(&self) -> HashMap<String, String> {
        let graph =
            header_of(&self.path, &self.model.properties).and_then(|header| header.arch.layout());
        let pairs = graph.map(|graph| short_names(&graph)).unwrap_or_default().into_iter();
        pairs.map(|(full, short)| (short, full)).collect()
    }

    /// The model that was exported.
    ///
    /// # Errors
    /// Metadata that contradict themselves; a file that computes in integers, or holds a front-end;
    /// tensors that another program has renamed or changed.
    pub fn own(&self) -> Result<Own> {
        let header = header_of(&self.path, &self.model.properties)?;
        self.check_form(&header)?;
        let graph = header.arch.layout()?;
        let taking = Taking {
            file: self,
            names: short_names(&graph),
            graph: &graph,
            wanted_by: &header.arch.name,
        };
        let is_packed = header.quantization.keys().any(|name| taking.has(&codes_name(name)));
        let packed = if is_packed { header.quantization } else { BTreeMap::new() };
        taking.check_size(&packed)?;
        let (mut tensors, mut norms) = (Vec::new(), 0);
        for node in &graph.nodes {
            match node.op {
                Op::Norm { epsilon, .. } if node.tensors.len() == 4 => {
                    tensors.extend(taking.norm(node)?);
                    // A packed model has no statistics.
                    if !is_packed {
                        norms += 1;
                        tensors.push(filled(taking.info(node, 2)?, 0.0));
                        tensors.push(filled(taking.info(node, 3)?, epsilon.identity_variance()));
                    }
                }
                // An input that is alone has no weights in the file.
                Op::Mix if node.inputs.len() == 1 => {
                    tensors.push(filled(taking.info(node, 0)?, 0.0));
                }
                _ => {
                    for &place in &node.tensors {
                        let info = &graph.tensors[place];
                        match packed.get(&info.name) {
                            Some(packed) => tensors.extend(taking.packed(info, packed)?),
                            None => tensors.push(taking.floats(info, &info.name)?),
                        }
                    }
                }
            }
        }
        // Weights that came as f32 are so, and nothing else goes by how they were packed.
        let header =
            Header { speakers: Vec::new(), quantization: packed, activations: None, ..header };
        Ok(Own { header, tensors: NamedTensors(tensors), norms })
    }

    /// Refuses forms of which no model can be made.
    fn check_form(&self, header: &Header) -> Result<()> {
        let what = if header.activations.is_some() {
            "computes in integers"
        } else if self.model.inputs.iter().any(|(name, _)| name == WAVEFORM) {
            "takes samples: the front-end is part of its network"
        } else {
            return Ok(());
        };
        Err(self.bad(&format!(
            "{what}; import a file of `revox export --weights f32 --input features`, or with \
             `--weights codes`, or take the model that was exported"
        )))
    }
}

/// So many times one value.
fn filled(info: &Info, value: f32) -> (String, TensorData) {
    (info.name.clone(), TensorData::new(vec![value; info.elements()], info.shape.clone()))
}

/// Takes the tensors of a network's nodes out of a file.
struct Taking<'a> {
    file: &'a File,
    /// Short names of initialisers by their full ones.
    names: HashMap<String, String>,
    graph: &'a Graph,
    wanted_by: &'a str,
}

impl<'a> Taking<'a> {
    /// An initialiser, under the one name or the other.
    fn find(&self, name: &str) -> Option<&'a Tensor> {
        let all = &self.file.model.tensors;
        all.get(name).or_else(|| all.get(self.names.get(name)?))
    }

    fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn wanted(&self, name: &str) -> Result<&'a Tensor> {
        self.find(name).ok_or_else(|| {
            self.file.bad(&format!(
                "has no initialiser `{name}`, as revox writes it: another program has changed the \
                 file"
            ))
        })
    }

    /// One of a node's tensors.
    fn info(&self, node: &Node, i: usize) -> Result<&'a Info> {
        let place = node.tensors.get(i);
        let missing = || self.file.bad(&format!("{:?} lacks a tensor", node.op));
        place.map(|&place| &self.graph.tensors[place]).ok_or_else(missing)
    }

    /// Refuses a network that is larger than the file: a parameter takes at least a byte, or the
    /// bits of its code.
    fn check_size(&self, packed: &BTreeMap<String, PackedTensor>) -> Result<()> {
        for (name, packed) in packed {
            if !packed.scheme.has_possible_bits() {
                let bits = packed.scheme.bits;
                return Err(self.file.bad(&format!("`{name}` has codes of {bits} bits")));
            }
        }
        let trained = self.graph.tensors.iter().filter(|info| info.trained);
        let least = trained.map(|info| match packed.get(&info.name) {
            Some(packed) => packed_len(info.elements(), packed.scheme.bits),
            None => info.elements(),
        });
        let (least, held): (usize, usize) = (least.sum(), self.file.content.len());
        match least > held {
            true => {
                let (name, parameters) = (self.wanted_by, self.graph.parameters());
                Err(self.file.bad(&format!(
                    "{name} has {parameters} parameters; the file holds {held} bytes"
                )))
            }
            false => Ok(()),
        }
    }

    /// A tensor of f32 values, which is called `name` in the file. Axes of size 1 may be more or
    /// fewer.
    fn floats(&self, info: &Info, name: &str) -> Result<(String, TensorData)> {
        let tensor = self.wanted(name)?;
        let bare = |shape: &[usize]| -> Vec<usize> {
            shape.iter().copied().filter(|&size| size != 1).collect()
        };
        if bare(&tensor.shape) != bare(&info.shape) {
            return Err(Error::Shape {
                path: self.file.path.clone(),
                tensor: name.to_owned(),
                wanted_by: self.wanted_by.to_owned(),
                expected: info.shape.clone(),
                found: tensor.shape.clone(),
            });
        }
        let values = super::values(&self.file.content, name, tensor);
        let values = values.map_err(|e| self.file.bad(&e))?;
        Ok((info.name.clone(), TensorData::new(values, info.shape.clone())))
    }

    /// Weight and bias of a BatchNorm of these factors and summands.
    fn norm(&self, node: &Node) -> Result<[(String, TensorData); 2]> {
        let layer = self.graph.layer(node).unwrap_or_default();
        Ok([
            self.floats(self.info(node, 0)?, &format!("{layer}.scale"))?,
            self.floats(self.info(node, 1)?, &format!("{layer}.shift"))?,
        ])
    }

    /// Codes and codebook of a packed tensor, as a model's file has them. The model compares both
    /// with its header.
    fn packed(&self, info: &Info, packed: &PackedTensor) -> Result<[(String, TensorData); 2]> {
        let (bits, count) = (packed.scheme.bits, info.elements());
        let (name, width) = (codes_name(&info.name), code_width(bits));
        let bad = |what: String| self.file.bad(&format!("initialiser `{name}`: {what}"));
        let tensor = self.wanted(&name)?;
        let wanted = packed_len(count, width);
        let range = tensor.raw.clone().filter(|raw| tensor.dtype == "U8" && raw.len() == wanted);
        let range = range.ok_or_else(|| {
            let (bytes, dtype) = (tensor.bytes, &tensor.dtype);
            bad(format!("{bytes} bytes of {dtype}, {wanted} of U8 are wanted"))
        })?;
        let mut data = self.file.content[range].to_vec();
        if width != bits {
            let all: Vec<u8> = codes(&data, width, count).collect();
            if let Some(code) = all.iter().find(|&&code| code >> bits != 0) {
                return Err(bad(format!("code {code} has more than {bits} bits")));
            }
            data = pack(&all, bits);
        }
        let data = TensorData::new(data, [packed_len(count, bits)]);
        let book = self.wanted(&packed.codebook)?;
        let values = super::values(&self.file.content, &packed.codebook, book);
        let values = values.map_err(|e| self.file.bad(&e))?;
        let stored = packed.scheme.codebook_shape(&info.shape, values.len());
        if stored.iter().product::<usize>() != values.len() {
            return Err(bad(format!("a codebook of {} values", values.len())));
        }
        Ok([(name, data), (packed.codebook.clone(), TensorData::new(values, stored))])
    }
}
