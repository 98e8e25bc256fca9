//! Embeddings in safetensors: our form, one matrix and the ids, and one tensor an utterance. The
//! latter is only read, since a safetensors header holds at most about a million names.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::rows::Rows;
use super::{Embeddings, Origin};
use crate::bytes;
use crate::error::{Error, Result};
use crate::fs::Mapped;
use crate::tensor_file::{self, Data, Part};

/// The tensor of all embeddings.
pub(super) const MATRIX: &str = "embeddings";
/// The tensor of their ids.
pub(super) const IDS: &str = "ids";

/// Whether the content is a file of our form, by its header.
pub(super) fn is_it(bytes: &[u8]) -> bool {
    let Ok((_, header)) = SafeTensors::read_metadata(bytes) else { return false };
    let is_text = header.info(IDS).is_some_and(|ids| ids.dtype == Dtype::U8);
    is_text && header.info(MATRIX).is_some() && header.offset_keys().len() == 2
}

pub(super) fn save(all: &Embeddings, path: &Path, origin: Option<&Origin>) -> Result<()> {
    write(path, all.ids(), all.dim(), all.rows.pieces().into(), origin)
}

/// Writes embeddings `[dim]` with these ids, and `values` of all of them.
pub(super) fn write<'a>(
    path: &Path,
    ids: impl ExactSizeIterator<Item = &'a str> + Clone,
    dim: usize,
    values: Data,
    origin: Option<&Origin>,
) -> Result<()> {
    if let Some(id) = ids.clone().find(|id| id.contains(['\n', '\r'])) {
        return Err(Error::file(
            path,
            format!("the id {id:?} holds a line break, which the file cannot keep"),
        ));
    }
    let count = ids.len();
    let mut text = String::with_capacity(ids.clone().map(|id| id.len() + 1).sum());
    for id in ids {
        text.push_str(id);
        text.push('\n');
    }
    let parts = [
        Part { name: MATRIX.into(), dtype: Dtype::F32, shape: vec![count, dim], bytes: values },
        Part {
            name: IDS.into(),
            dtype: Dtype::U8,
            shape: vec![text.len()],
            bytes: text.as_bytes().into(),
        },
    ];
    let origin = origin.map(serde_json::to_string).transpose();
    let origin = origin.map_err(|e| Error::file(path, e.to_string()))?;
    let metadata: Vec<(&str, &str)> = origin.iter().map(|text| (Origin::KEY, &**text)).collect();
    tensor_file::write(path, &metadata, &parts)
}

/// Reads either form. It does not look whether values are finite. The text is that of the metadata
/// on the [`Origin`], if there is one.
pub(super) fn load(path: &Path, bytes: Mapped) -> Result<(Embeddings, Option<String>)> {
    let bad = |e: Error| Error::file(path, e.to_string());
    let file = tensor_file::of_mapped(path, bytes, "safetensors file of embeddings")?;
    let mut all = {
        let contents = file.tensors();
        let mut tensors: Vec<(&str, TensorView)> = contents.iter().collect();
        tensors.sort_unstable_by_key(|t| t.0);
        match tensors.as_slice() {
            [(MATRIX, matrix), (IDS, ids)] if ids.dtype() == Dtype::U8 => {
                of_matrix(matrix, ids).map_err(bad)?
            }
            _ => return of_vectors(&tensors).map(|all| (all, None)).map_err(bad),
        }
    };
    // Only this form is ours, and has a checksum.
    file.note_unchecked(path);
    let origin = file.metadata.get(Origin::KEY).cloned();
    let place = file.place(MATRIX).expect("the matrix that was looked at");
    all.rows = Rows::of_file(file.into_bytes(), place);
    Ok((all, origin))
}

/// The ids and the dimension of `embeddings` `[n, dim]` and `ids`, still without values.
fn of_matrix(matrix: &TensorView, ids: &TensorView) -> Result<Embeddings> {
    let &[count, dim] = matrix.shape() else {
        return Err(Error::invalid(format!(
            "`embeddings` has shape {:?}, [n, dim] is wanted",
            matrix.shape()
        )));
    };
    if matrix.dtype() != Dtype::F32 {
        return Err(Error::invalid(format!("`embeddings` is {:?}, F32 is wanted", matrix.dtype())));
    }
    let text = std::str::from_utf8(ids.data())
        .map_err(|e| Error::invalid(format!("`ids` is not UTF-8: {e}")))?;
    let found = text.lines().count();
    if found != count {
        return Err(Error::invalid(format!("{found} ids for {count} embeddings")));
    }
    let mut all = Embeddings::new(dim);
    text.lines().try_for_each(|id| all.push_id(id))?;
    Ok(all)
}

/// From one tensor `[dim]` for each utterance.
fn of_vectors(tensors: &[(&str, TensorView)]) -> Result<Embeddings> {
    let mut all = Embeddings::new(tensors.first().map_or(0, |t| t.1.shape().iter().product()));
    for (id, view) in tensors {
        if view.dtype() != Dtype::F32 || view.shape().len() != 1 {
            let found = format!("{:?} {:?}", view.dtype(), view.shape());
            return Err(Error::invalid(format!("`{id}` is {found}, an embedding is F32 [dim]")));
        }
        all.push(id, &bytes::to_f32(view.data()))?;
    }
    Ok(all)
}
