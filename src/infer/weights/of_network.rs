//! The tensors of networks that Burn holds.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Reparameterization};
use burn::tensor::TensorData;

use super::{Codes, Tensor, Tensors, missing};
use crate::error::{Error, Result};
use crate::model_file::{Model, codes_name};
use crate::nn::collect_named;
use crate::quant::{Codebook, FakeQuant};
use crate::zoo::Network;

impl Tensors {
    /// The tensors of a model.
    ///
    /// # Errors
    /// A network with a quantizer attached; a packed tensor without codes or codebook, or with a
    /// codebook of another scheme.
    pub fn of(model: &Model) -> Result<Self> {
        let mut found: HashMap<String, TensorData> = model.tensors().0.into_iter().collect();
        let quantizer = format!(".{}.", FakeQuant::NAME);
        if found.keys().any(|name| name.contains(&quantizer)) {
            let message = "the network has a quantizer attached, as in training; pack it first";
            return Err(Error::invalid(message));
        }
        let mut take = |name: &str| found.remove(name).ok_or_else(|| missing(name));
        let mut all = HashMap::new();
        for (name, packed) in &model.header.quantization {
            let (data, book) = (take(&codes_name(name))?, take(&packed.codebook)?);
            let book = Codebook::stored(packed.scheme, floats(&book), &packed.shape)?;
            let count = packed.shape.iter().product();
            let codes = Codes::new(data.as_bytes().to_vec(), count, &book);
            all.insert(name.clone(), Tensor::Codes(codes));
        }
        all.extend(found.into_iter().map(|(name, data)| (name, Tensor::Floats(floats(&data)))));
        Ok(Self(all))
    }

    /// The tensors of a network without its model.
    ///
    /// # Errors
    /// A network that is not [plain](is_plain).
    pub fn of_network(network: &Network) -> Result<Self> {
        if !is_plain(network) {
            return Err(Error::invalid(
                "the network computes with other weights than its tensors: quantized ones, or \
                 ones of fewer bits",
            ));
        }
        let all = collect_named(network).into_iter();
        Ok(Self(all.map(|(name, data)| (name, Tensor::Floats(floats(&data)))).collect()))
    }
}

/// Whether a network computes with its tensors as they are: none is packed, has a quantizer
/// attached, or is used in fewer bits.
pub(in crate::infer) fn is_plain(network: &Network) -> bool {
    struct Look(bool);
    impl ModuleVisitor for Look {
        // What Burn calls whatever makes other values of a parameter's.
        fn enter_module(&mut self, _name: &str, container: &str) {
            self.0 &= container != "Reparameterization";
        }
    }
    let mut look = Look(true);
    network.visit(&mut look);
    look.0
}

fn floats(data: &TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}
