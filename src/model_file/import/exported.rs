//! Models of files that `revox export` wrote.

use std::path::Path;

use burn::tensor::Device;

use super::onnx::{File, Own};
use super::{ImportOptions, Imported};
use crate::error::{Error, Result};
use crate::model_file::{Model, NamedTensors, packed, wanted};

/// The model of a file that was exported of one. The options may only agree with what it says.
pub(super) fn model(
    path: &Path,
    file: &File,
    options: &ImportOptions,
    device: &Device,
) -> Result<Imported> {
    let Own { header, tensors, norms } = file.own()?;
    let arch = &header.arch;
    let differs = |what: &str, found: &str, given: &str| {
        Err(Error::file(path, format!("says itself that its {what} is {found}, not {given}")))
    };
    if let Some(name) = options.arch.as_ref().filter(|name| **name != arch.name) {
        return differs("network", &arch.name, name);
    }
    if let Some(mels) = options.mels.filter(|mels| *mels != arch.mels) {
        return differs("number of mels", &arch.mels.to_string(), &mels.to_string());
    }
    if let Some(pooling) = options.pooling.filter(|pooling| *pooling != arch.pooling) {
        return differs("pooling", arch.pooling.name(), pooling.name());
    }
    if options.key.is_some() || options.layers.is_some() {
        let what = "holds one network and says which: leave key and layers out";
        return Err(Error::file(path, what));
    }
    let mut notes = vec!["network, front-end and thresholds are those that the file says".into()];
    if norms > 0 {
        notes.push(format!(
            "{norms} BatchNorms are factors and summands in the file; they were written with mean \
             0 and a divisor of 1, and embeddings are the same"
        ));
    }
    if let Some(config) = &options.config {
        let config = config.display();
        notes.push(format!("{config} was left aside: the file says what it would"));
    }
    let network = match header.quantization.is_empty() {
        true => wanted::build(path, arch, tensors, device)?,
        false => {
            notes.push("weights stay packed, as the file holds them".into());
            packed::build(path, &header, tensors, device)?
        }
    };
    let model = Model { header, network };
    Ok(Imported { model, head: NamedTensors::default(), notes, own: true })
}
