//! Our own form: safetensors with `mu`, `psi` and `transform` (F64), the tensors of the chain, and
//! a metadata entry that says what else is done.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::super::{Chain, Plda, Steps};
use crate::error::{Error, Result};
use crate::scoring::chain::Link;
use crate::scoring::lda::Lda;
use crate::tensor_file::{self, Part};

/// The metadata entry.
const KEY: &str = "plda";
/// The version of this form.
const FORMAT: u32 = 1;

/// The metadata.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    chain: Vec<Step>,
    length_norm: bool,
    lacks_mean: bool,
}

/// A step of the chain. The tensors of step `i` are named `chain.i.mean` and `chain.i.matrix`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Step {
    MeanSubtract,
    LengthNorm,
    Lda,
}

/// Whether the content is a safetensors file that says it is a PLDA model.
pub(super) fn is_it(bytes: &[u8]) -> bool {
    let header = SafeTensors::read_metadata(bytes);
    header.is_ok_and(|(_, header)| {
        header.metadata().as_ref().is_some_and(|all| all.contains_key(KEY))
    })
}

pub(super) fn save(plda: &Plda, path: &Path) -> Result<()> {
    let (dim, transform) = (plda.dim(), plda.transform());
    let mut parts = vec![
        part("mu", vec![dim], plda.mu()),
        part("psi", vec![dim], plda.psi()),
        part("transform", vec![dim, dim], &transform),
    ];
    let mut chain = Vec::new();
    for (i, link) in plda.chain().links().iter().enumerate() {
        chain.push(match link {
            Link::Mean(mean) => {
                parts.push(part(&mean_name(i), vec![mean.len()], mean));
                Step::MeanSubtract
            }
            Link::LengthNorm => Step::LengthNorm,
            Link::Lda(lda) => {
                parts.push(part(&mean_name(i), vec![lda.mean().len()], lda.mean()));
                parts.push(part(&matrix_name(i), lda.dims().to_vec(), lda.matrix()));
                Step::Lda
            }
        });
    }
    let (length_norm, lacks_mean) = (plda.length_norm(), plda.lacks_mean());
    let header = Header { format: FORMAT, chain, length_norm, lacks_mean };
    let text = serde_json::to_string(&header).map_err(|e| Error::file(path, e.to_string()))?;
    tensor_file::write(path, &[(KEY, &text)], &parts)
}

pub(super) fn load(path: &Path, bytes: Vec<u8>) -> Result<Plda> {
    let file = tensor_file::from_bytes(path, bytes, "PLDA file")?;
    let bad = |what: String| Error::file(path, format!("not a readable PLDA file: {what}"));
    let text = file.metadata.get(KEY).ok_or_else(|| Error::file(path, "holds no PLDA"))?;
    let header: Header = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
    if header.format != FORMAT {
        return Err(bad(format!("version {} of the form, {FORMAT} is known", header.format)));
    }
    file.note_unchecked(path);
    of_tensors(&file.tensors(), header).map_err(|e| bad(e.to_string()))
}

fn of_tensors(tensors: &SafeTensors, header: Header) -> Result<Plda> {
    let mut chain = Chain::new();
    for (i, step) in header.chain.into_iter().enumerate() {
        chain.push(match step {
            Step::MeanSubtract => Link::Mean(values(tensors, &mean_name(i))?),
            Step::LengthNorm => Link::LengthNorm,
            Step::Lda => {
                let mean = values(tensors, &mean_name(i))?;
                Link::Lda(Lda::new(mean, &values(tensors, &matrix_name(i))?)?)
            }
        })?;
    }
    let Header { length_norm, lacks_mean, .. } = header;
    let steps = Steps { chain, length_norm, lacks_mean };
    let (mu, psi) = (values(tensors, "mu")?, values(tensors, "psi")?);
    Plda::of_transform(steps, mu, psi, &values(tensors, "transform")?)
}

fn mean_name(step: usize) -> String {
    format!("chain.{step}.mean")
}

fn matrix_name(step: usize) -> String {
    format!("chain.{step}.matrix")
}

fn part(name: &str, shape: Vec<usize>, values: &[f64]) -> Part<'static> {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    Part { name: name.to_owned().into(), dtype: Dtype::F64, shape, bytes: bytes.into() }
}

fn values(tensors: &SafeTensors, name: &str) -> Result<Vec<f64>> {
    let view = tensors.tensor(name).map_err(|e| Error::invalid(format!("`{name}`: {e}")))?;
    if view.dtype() != Dtype::F64 {
        return Err(Error::invalid(format!("`{name}` is {:?}, F64 is wanted", view.dtype())));
    }
    Ok(view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
}
