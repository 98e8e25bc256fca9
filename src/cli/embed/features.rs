//! Features that were computed earlier.

use std::path::Path;

use super::collected::Collected;
use crate::archive::{self, Reader};
use crate::audio::{FbankConfig, subtract_mean};
use crate::cli::Global;
use crate::cli::values::counted;
use crate::error::{Error, Result};
use crate::fs;
use crate::inference::{Embedder, Features};
use crate::model_file::{Frontend, Model, read_safetensors};
use crate::progress::Progress;

/// Bytes of features that run through the network at a time.
const LOT: usize = 64 << 20;

/// Embeddings of features that were computed earlier.
///
/// # Errors
/// Those of [`each_features`]; features of too few frames for the network.
pub(super) fn of_features(
    path: &Path,
    model: &Model,
    embedder: &Embedder,
    mut collected: Collected,
    global: &Global,
) -> Result<Collected> {
    // How many there are is known at their end.
    let mut progress = Progress::new("embedding", 0, global.quiet);
    let (mut ids, mut lot, mut bytes) = (Vec::new(), Vec::new(), 0);
    let least = model.network.least_frames();
    let mut embed = |ids: &mut Vec<String>, lot: &mut Vec<Features>| {
        let sets: Vec<&Features> = lot.iter().collect();
        let rows = embedder.features(&sets, &|_| ());
        progress.add(rows.len());
        lot.clear();
        ids.drain(..).zip(rows).try_for_each(|(id, row)| collected.push(&id, &row))
    };
    each_features(path, &model.header.frontend, &mut |id, features| {
        if features.frames < least {
            let frames = counted(features.frames, "frame");
            let what = format!("features `{id}` have {frames}; the network takes {least} or more");
            return Err(Error::file(path, what));
        }
        bytes += size_of_val::<[f32]>(&features.values);
        ids.push(id);
        lot.push(features);
        if bytes < LOT {
            return Ok(());
        }
        bytes = 0;
        embed(&mut ids, &mut lot)
    })?;
    embed(&mut ids, &mut lot)?;
    Ok(collected)
}

/// Gives features with their ids to `take`, in the file's order. A file of `revox fbank` says how
/// its features were made, which must be what the model wants. Of Kaldi's archives and lists, one
/// entry is in memory at a time.
///
/// # Errors
/// A file of features that were made otherwise; features of another shape or with values that are
/// no numbers, by their ids; those of `take`.
fn each_features(
    path: &Path,
    wanted: &Frontend,
    take: &mut dyn FnMut(String, Features) -> Result<()>,
) -> Result<()> {
    if archive::is_archive(path) {
        return each_of_archive(path, wanted, take);
    }
    let (tensors, metadata) = read_safetensors(path).map_err(|e| match fs::is_stdin(path) {
        true => e.and("Kaldi's archive on standard input is `ark:-`, a list of one `scp:-`"),
        false => e,
    })?;
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
