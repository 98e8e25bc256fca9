//! What a file holds of packed tensors.

use std::path::Path;

use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};

use crate::backend::codes::{codes, packed_len};
use crate::bytes::{counted, to_f32};
use crate::error::{Error, Result};
use crate::quant::{Codebook, TensorScheme};

/// What the header says of a packed tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackedTensor {
    /// How it is quantized.
    #[serde(flatten)]
    pub scheme: TensorScheme,
    /// Name of the codebook's tensor.
    pub codebook: String,
    /// The weight's shape.
    pub shape: Vec<usize>,
}

pub(crate) fn codes_name(name: &str) -> String {
    format!("{name}.codes")
}

pub(super) fn codebook_name(name: &str) -> String {
    format!("{name}.codebook")
}

/// The layer of a running statistic that the packed form leaves out. A layer without weight and
/// bias has no other place for its statistics, and keeps them.
pub(super) fn statistic<'a>(name: &'a str, all: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    let layer = name.strip_suffix(".running_mean").or_else(|| name.strip_suffix(".running_var"))?;
    all(&format!("{layer}.weight")).then_some(layer)
}

/// A tensor as a file has it.
pub(super) struct Raw<'a> {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: &'a [u8],
}

/// The packed codes of a tensor, which are entries of the codebook.
pub(super) struct Checked<'a> {
    pub codes: &'a [u8],
    pub book: Codebook,
}

/// Codes and codebook of the packed tensor `name`, if a file has them.
///
/// # Errors
/// A header that contradicts itself; codes or codebook that are not there, or do not fit each
/// other.
pub(super) fn checked<'a>(
    path: &Path,
    name: &str,
    tensor: &PackedTensor,
    data: Option<Raw<'a>>,
    book: Option<Raw>,
) -> Result<Checked<'a>> {
    let bad = |what: String| Error::file(path, format!("packed tensor `{name}`: {what}"));
    let bits = tensor.scheme.bits;
    if !tensor.scheme.has_possible_bits() {
        return Err(bad(counted(bits, "bit")));
    }
    if !tensor.scheme.has_possible_choices() || tensor.codebook != codebook_name(name) {
        return Err(bad("a header that contradicts itself".into()));
    }
    let missing = |name: &str| bad(format!("no tensor `{name}`"));
    let data = data.ok_or_else(|| missing(&codes_name(name)))?;
    let book = book.ok_or_else(|| missing(&tensor.codebook))?;
    // The shape is that of the network's weight, so the product does not overflow.
    let count: usize = tensor.shape.iter().product();
    let wanted = packed_len(count, bits);
    if data.dtype != Dtype::U8 || data.shape != [wanted] {
        let Raw { dtype, shape, .. } = data;
        return Err(bad(format!(
            "{count} codes of {} are {wanted} bytes, not {dtype:?} {shape:?}",
            counted(bits, "bit")
        )));
    }
    let values = book.shape.iter().product();
    if book.dtype != Dtype::F32 || book.shape != tensor.scheme.codebook_shape(&tensor.shape, values)
    {
        return Err(bad(format!("a codebook of shape {:?}", book.shape)));
    }
    let book = Codebook::stored(tensor.scheme, to_f32(book.bytes), &tensor.shape)
        .map_err(|e| bad(format!("codebook: {e}")))?;
    let data = data.bytes;
    if let Some((i, code)) =
        codes(data, bits, count).enumerate().find(|&(_, code)| usize::from(code) >= book.entries())
    {
        let entries = match book.entries() {
            1 => "1 entry".to_owned(),
            many => format!("{many} entries"),
        };
        return Err(bad(format!("code {i} is {code}, the codebook has {entries}")));
    }
    if let Some(last) = data.last()
        && !(count * bits).is_multiple_of(8)
        && last >> (count * bits % 8) != 0
    {
        return Err(bad("bits behind the last code".into()));
    }
    Ok(Checked { codes: data, book })
}
