//! Tensors of ONNX's messages, whose values stay in the file.

use std::ops::Range;

use super::wire::{Field, fields, packed, text};
use crate::model_file::import::number::Number;

/// Most axes of a tensor.
const MOST_AXES: usize = 8;

/// A tensor whose values lie in the file.
#[derive(Debug, Clone)]
pub(super) struct Tensor {
    /// Its number format, if weights may have it.
    pub number: Option<Number>,
    /// The number format's name.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Bytes of its values, of any number format.
    pub bytes: usize,
    /// Where these are, if they are in one piece and raw.
    pub raw: Option<Range<usize>>,
    /// Where its values are, or why they cannot be read.
    pub values: Result<Range<usize>, String>,
}

impl Tensor {
    /// Where its values are in the content.
    ///
    /// # Errors
    /// They cannot be read; the error names the tensor.
    pub fn range(&self, name: &str) -> Result<Range<usize>, String> {
        self.values.clone().map_err(|e| format!("initialiser `{name}`: {e}"))
    }
}

/// A `TensorProto` and its name.
///
/// # Errors
/// A damaged message, and values in another file. Values of another form than weights have are no
/// error until they are wanted.
pub(super) fn read(content: &[u8], range: Range<usize>) -> Result<(String, Tensor), String> {
    let (mut name, mut shape, mut kind) = (String::new(), Vec::new(), 0);
    let (mut pieces, mut elsewhere, mut as_integers) = (Vec::new(), false, false);
    fields(content, range, |number, field| {
        match (number, field) {
            (1, Field::Number(size)) => axis(&mut shape, size)?,
            (1, Field::Bytes(range)) => packed(content, range, |size| axis(&mut shape, size))?,
            (2, Field::Number(value)) => kind = value,
            // Raw bytes, and values of F32 and F64, which have the same form.
            // A second piece is an error already.
            (4 | 9 | 10, Field::Bytes(range) | Field::Fixed(range)) if pieces.len() < 2 => {
                pieces.push(range);
            }
            (5, _) => as_integers = true,
            (8, Field::Bytes(range)) => name = text(content, range)?,
            (13, _) => elsewhere = true,
            (14, Field::Number(place)) => elsewhere |= place == 1,
            _ => {}
        }
        Ok(())
    })?;
    if elsewhere {
        return Err(format!(
            "the values of initialiser `{name}` lie in another file (external data); load the \
             file with Python's onnx and save it with onnx.save, which makes one file of it"
        ));
    }
    let (number, dtype) = format_of(kind);
    let bytes = shape
        .iter()
        .fold(number.map_or(0, Number::size), |n: u64, &size| n.saturating_mul(size as u64));
    let values = match &pieces[..] {
        _ if number.is_none() => Err(format!("it is {dtype}; weights are F32, F64, F16 or BF16")),
        [] if bytes == 0 => Ok(0..0),
        [range] if range.len() as u64 == bytes => Ok(range.clone()),
        [range] => Err(format!("{} bytes of values, {bytes} are wanted", range.len())),
        [] if as_integers => Err("its values are stored as integers".to_owned()),
        [] => Err("no values".to_owned()),
        _ => Err("values in several pieces".to_owned()),
    };
    let held = pieces.iter().map(|range| range.len()).sum();
    let raw = Some(pieces).filter(|pieces| pieces.len() == 1).and_then(|mut pieces| pieces.pop());
    Ok((name, Tensor { number, dtype, shape, bytes: held, raw, values }))
}

fn axis(shape: &mut Vec<usize>, size: u64) -> Result<(), String> {
    if shape.len() == MOST_AXES {
        return Err(format!("a tensor of more than {MOST_AXES} axes"));
    }
    shape.push(usize::try_from(size).map_err(|_| format!("an axis of {size} values"))?);
    Ok(())
}

/// A number format (`TensorProto.DataType`).
fn format_of(kind: u64) -> (Option<Number>, String) {
    let (number, name) = match kind {
        1 => (Some(Number::F32), "F32"),
        2 => (None, "U8"),
        3 => (None, "I8"),
        6 => (None, "I32"),
        7 => (None, "I64"),
        9 => (None, "BOOL"),
        10 => (Some(Number::F16), "F16"),
        11 => (Some(Number::F64), "F64"),
        16 => (Some(Number::Bf16), "BF16"),
        other => return (None, format!("of ONNX's number format {other}")),
    };
    (number, name.to_owned())
}

/// The name of an input or output, and the sizes of its axes; 0 for a size that is left open.
///
/// # Errors
/// A damaged message.
pub(super) fn described(
    content: &[u8],
    range: Range<usize>,
) -> Result<(String, Vec<usize>), String> {
    let (mut name, mut shape) = (String::new(), Vec::new());
    fields(content, range, |number, field| {
        match (number, field) {
            (1, Field::Bytes(range)) => name = text(content, range)?,
            // Type, tensor type, shape, axis, size.
            (2, Field::Bytes(range)) => inside(content, range, 1, &mut |range| {
                inside(content, range, 2, &mut |range| {
                    inside(content, range, 1, &mut |range| {
                        let mut size = 0;
                        fields(content, range, |number, field| {
                            if let (1, Field::Number(value)) = (number, field) {
                                size = value;
                            }
                            Ok(())
                        })?;
                        axis(&mut shape, if size > u64::from(u32::MAX) { 0 } else { size })
                    })
                })
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, shape))
}

/// Calls `each` with every message of this number in a message.
fn inside(
    content: &[u8],
    range: Range<usize>,
    wanted: u64,
    each: &mut dyn FnMut(Range<usize>) -> Result<(), String>,
) -> Result<(), String> {
    fields(content, range, |number, field| match field {
        Field::Bytes(range) if number == wanted => each(range),
        _ => Ok(()),
    })
}
