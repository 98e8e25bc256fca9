//! Arrays of numbers.

use super::filters::Filters;
use super::header::{DATASPACE, DATATYPE, FILTERS, Header, LAYOUT};
use super::layout::{Layout, plane};
use super::number::Number;
use super::source::{Cursor, File};

/// An array of up to two axes, or one number without an axis.
pub(super) struct Dataset {
    pub values: Vec<f64>,
    pub shape: Vec<u64>,
    pub is_float: bool,
}

impl Dataset {
    pub fn read(file: &File, address: u64) -> Result<Self, String> {
        let header = Header::read(file, address)?;
        let shape = shape(header.need(DATASPACE, "shape")?)?;
        let number = Number::read(header.need(DATATYPE, "type of numbers")?)?;
        let filters = Filters::read(header.get(FILTERS)?)?;
        let sides = plane(&shape, 1)?;
        let layout = header.need(LAYOUT, "layout")?;
        let values = match Layout::read(file, layout, shape.len(), number.size)? {
            Layout::Chunks(chunks) => chunks.values(sides, number, &filters)?,
            Layout::Whole(bytes) => {
                let wanted =
                    sides.iter().try_fold(number.size, |bytes, &side| bytes.checked_mul(side));
                if wanted != Some(bytes.len()) {
                    return Err(format!("{} bytes are no array of {shape:?}", bytes.len()));
                }
                bytes.chunks_exact(number.size).map(|bytes| number.value(bytes)).collect()
            }
        };
        Ok(Self { values, shape, is_float: number.is_float() })
    }
}

/// The extents of a dataspace message.
fn shape(mut body: Cursor) -> Result<Vec<u64>, String> {
    let (version, rank) = (body.number(1)?, body.number(1)?);
    // Whether there are limits.
    body.skip(1)?;
    match version {
        1 => body.skip(5)?,
        2 => {
            // Of one number, of axes, of nothing.
            if body.number(1)? > 1 {
                return Err("it is empty".into());
            }
        }
        _ => return Err(format!("a shape of version {version} is not read")),
    }
    let shape = body.numbers(rank, 8)?;
    match shape.contains(&0) {
        true => Err("it is empty".into()),
        false => Ok(shape),
    }
}
