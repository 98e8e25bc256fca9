//! The model that a run begins with, if it does not begin with random weights.

use std::path::Path;

use burn::tensor::Device;

use crate::error::{Error, Result};
use crate::model_file::{self, HEAD_PREFIX, Header, Model, NamedTensors};
use crate::quant::Quantizer;
use crate::zoo::Network;

/// A model that a training starts from.
pub struct Start {
    /// A network with weights.
    pub network: Network,
    /// The tensors of its head, as model files name them.
    pub head: NamedTensors,
    /// Names of the head's classes, if the model file has them.
    pub speakers: Vec<String>,
    /// Quantizes the network while it trains.
    pub quantizer: Option<Quantizer>,
    /// SHA-256 of the model file. A run can be resumed only with the same one.
    pub hash: String,
}

impl Start {
    /// The weights of a model file, with its header.
    ///
    /// # Errors
    /// A file that is not a model, or is damaged. A packed model, whose f32 weights are lost. A
    /// head whose rows do not fit the header's speakers.
    pub fn load(path: &Path, device: &Device) -> Result<(Self, Header)> {
        let file = model_file::open(path)?;
        let hash = file.hash();
        let (model, head) = Model::with_head(path, file, device)?;
        if !model.header.quantization.is_empty() {
            return Err(Error::file(path, "is quantized; the model it was made of is wanted"));
        }
        let speakers = model.header.speakers.clone();
        check_head(path, &head, speakers.len())?;
        Ok((Self { network: model.network, head, speakers, quantizer: None, hash }, model.header))
    }
}

/// Refuses a head whose rows are not a multiple of the number of speakers.
fn check_head(path: &Path, head: &NamedTensors, speakers: usize) -> Result<()> {
    for (name, data) in &head.0 {
        let shape = data.shape().to_vec();
        let ours =
            ["weight", "bias"].iter().any(|part| name.strip_prefix(HEAD_PREFIX) == Some(part));
        let rows = shape.first().copied().unwrap_or_default();
        if speakers > 0 && ours && (rows == 0 || !rows.is_multiple_of(speakers)) {
            return Err(Error::file(
                path,
                format!("the header names {speakers} speakers, `{name}` has shape {shape:?}"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn names_and_rows_have_to_agree() {
        let head = |rows: usize| {
            let weight = TensorData::new(vec![0.0f32; 4 * rows], [rows, 4]);
            NamedTensors::from_burn(vec![("projection.weight".into(), weight)])
        };
        let check = |rows, speakers| check_head("m.safetensors".as_ref(), &head(rows), speakers);
        assert!(check(6, 0).is_ok() && check(6, 6).is_ok() && check(6, 2).is_ok());
        let error = check(6, 4).unwrap_err().to_string();
        assert!(
            error.contains("m.safetensors: the header names 4 speakers")
                && error.contains("[6, 4]"),
            "{error}"
        );
        assert!(check_head("m".as_ref(), &NamedTensors::default(), 4).is_ok());
    }
}
