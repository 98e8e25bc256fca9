//! Features that were computed earlier.

use std::path::Path;

use crate::archive::{self, Reader};
use crate::audio::{FbankConfig, subtract_mean};
use crate::error::{Error, Result};
use crate::inference::Features;
use crate::model_file::{Frontend, read_safetensors};

/// Gives features with their ids to `take`, in the file's order. A file of `revox fbank` says how
/// its features were made, which must be what the model wants. Of Kaldi's archives and lists, one
/// entry is in memory at a time.
///
/// # Errors
/// A file of features that were made otherwise; features of another shape or with values that are
/// no numbers, by their ids; those of `take`.
pub(super) fn each_features(
    path: &Path,
    wanted: &Frontend,
    take: &mut dyn FnMut(String, Features) -> Result<()>,
) -> Result<()> {
    if archive::is_archive(path) {
        return each_of_archive(path, wanted, take);
    }
    let (tensors, metadata) = read_safetensors(path)?;
    if let Some(text) = metadata.get("frontend") {
        let made: Frontend = serde_json::from_str(text)
            .map_err(|e| Error::file(path, format!("damaged metadata: {e}")))?;
        // Dither is for training only. The mean is subtracted below in any case.
        let comparable = |f: &Frontend| FbankConfig { dither: 0.0, ..f.fbank.clone() };
        if comparable(&made) != comparable(wanted) {
            let json = |f: &Frontend| serde_json::to_string(&comparable(f)).unwrap_or_default();
            let message = format!("made with {}, the model wants {}", json(&made), json(wanted));
            return Err(Error::file(path, message));
        }
    }
    if tensors.0.is_empty() {
        return Err(Error::file(path, "holds no features"));
    }
    let mels = wanted.fbank.mels;
    for (id, data) in tensors.0 {
        let shape = data.shape().to_vec();
        if shape.len() != 2 || shape[1] != mels || shape[0] == 0 {
            let message =
                format!("features `{id}` have shape {shape:?}; the model wants [frames, {mels}]");
            return Err(Error::file(path, message));
        }
        let values =
            data.try_to_vec::<f32>().map_err(|e| Error::file(path, format!("{id}: {e:?}")))?;
        if values.iter().any(|x| !x.is_finite()) {
            return Err(Error::file(
                path,
                format!("features `{id}` hold values that are not numbers"),
            ));
        }
        take(id, ready(values, wanted))?;
    }
    Ok(())
}

fn each_of_archive(
    path: &Path,
    wanted: &Frontend,
    take: &mut dyn FnMut(String, Features) -> Result<()>,
) -> Result<()> {
    let mut is_empty = true;
    for entry in Reader::open(path)? {
        let entry = entry?;
        entry.matrix(wanted.fbank.mels)?;
        take(entry.key, ready(entry.array.values, wanted))?;
        is_empty = false;
    }
    match is_empty {
        true => Err(Error::file(path, "holds no features")),
        false => Ok(()),
    }
}

/// Values `[frames, mels]` as a model takes them: with their mean subtracted, where the front-end
/// wants that.
fn ready(mut values: Vec<f32>, wanted: &Frontend) -> Features {
    let mels = wanted.fbank.mels;
    if wanted.cmn {
        subtract_mean(&mut values, mels);
    }
    Features { frames: values.len() / mels, values, mels }
}
