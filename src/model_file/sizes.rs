//! Sizes of a model's tensors in its file.

use burn::module::Reparameterization;

use super::Model;
use super::packing::statistic;
use crate::backend::codes::packed_len;
use crate::nn::names_and_shapes;
use crate::quant::Packed;

/// The size of a tensor in a model's file.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSize {
    /// The tensor's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Bits of a value: of its code, if it is packed.
    pub bits: usize,
    /// Bytes in the file, with those of its codebook.
    pub bytes: usize,
}

/// The sizes of a model's tensors, in the network's order.
pub fn layer_sizes(model: &Model) -> Vec<LayerSize> {
    let all = names_and_shapes(&model.network);
    let is_there = |name: &str| all.iter().any(|(n, _)| n == name);
    let packed = &model.header.quantization;
    let size = |(name, shape): &(String, Vec<usize>)| {
        let of = |shape: &[usize], bits, bytes| {
            Some(LayerSize { name: name.clone(), shape: shape.to_vec(), bits, bytes })
        };
        let floats = |shape: &[usize]| 4 * shape.iter().product::<usize>();
        if let Some(tensor) = packed.get(name) {
            let inside = format!("{name}.{}.codebook", Packed::NAME);
            let codebook =
                all.iter().find(|(n, _)| *n == inside).map_or(0, |(_, shape)| floats(shape));
            let codes = packed_len(tensor.shape.iter().product(), tensor.scheme.bits);
            return of(&tensor.shape, tensor.scheme.bits, codes + codebook);
        }
        let part = name.contains(&format!(".{}.", Packed::NAME));
        let folded = !packed.is_empty() && statistic(name, &is_there).is_some();
        if part || folded { None } else { of(shape, 32, floats(shape)) }
    };
    all.iter().filter_map(size).collect()
}
