//! Binary arrays: a token for the kind, the sizes, the values.

use super::array::Array;
use super::bytes::{Bytes, shown};
use super::compressed;
use crate::bytes::to_f32;

/// What stands before each binary array.
pub(super) const BINARY: &[u8] = b"\0B";

/// Reads the array behind [`BINARY`].
pub(super) fn read(bytes: &mut Bytes) -> Result<Array, String> {
    let begin = bytes.at;
    let token = bytes.take_while(|b| b.is_ascii_graphic());
    let read: fn(&mut Bytes) -> Result<Array, String> = match token {
        b"FV" => |bytes| vector(bytes, 4),
        b"DV" => |bytes| vector(bytes, 8),
        b"FM" => |bytes| matrix(bytes, 4),
        b"DM" => |bytes| matrix(bytes, 8),
        b"CM" => compressed::by_column,
        b"CM2" => compressed::two_bytes,
        b"CM3" => compressed::one_byte,
        other => {
            let found = match other {
                b"" => "no kind, as integers have none".to_owned(),
                other => format!("the kind `{}`", shown(other)),
            };
            return Err(format!(
                "byte {begin}: {found}; wanted a vector (FV, DV) or matrix (FM, DM, CM, CM2, CM3)"
            ));
        }
    };
    after_blank(bytes)?;
    read(bytes)
}

/// Takes the blank behind the token.
fn after_blank(bytes: &mut Bytes) -> Result<(), String> {
    match bytes.take(1, 1, "the token's end")? {
        b" " => Ok(()),
        _ => Err(bytes.wrong("no blank behind the kind")),
    }
}

/// A number that is not negative, behind its own size, which is 4.
fn size(bytes: &mut Bytes, what: &str) -> Result<usize, String> {
    match bytes.take(1, 1, what)? {
        [4] => count(bytes, what),
        [other] => {
            Err(bytes.wrong(&format!("{what} of {other} bytes, where it has 4: another format")))
        }
        _ => unreachable!("one byte was asked for"),
    }
}

/// A number of four bytes that is not negative.
pub(super) fn count(bytes: &mut Bytes, what: &str) -> Result<usize, String> {
    let number = i32::from_le_bytes(bytes.four(what)?);
    usize::try_from(number).map_err(|_| bytes.wrong(&format!("{what} is {number}")))
}

/// Refuses rows without columns and columns without rows.
pub(super) fn check(bytes: &Bytes, rows: usize, columns: usize) -> Result<(), String> {
    match (rows == 0) == (columns == 0) {
        true => Ok(()),
        false => Err(bytes.wrong(&format!("a matrix of {rows} rows and {columns} columns"))),
    }
}

fn vector(bytes: &mut Bytes, width: usize) -> Result<Array, String> {
    let length = size(bytes, "the length")?;
    let data = bytes.take(length, width, "a vector")?;
    Ok(Array::vector(floats(data, width)))
}

fn matrix(bytes: &mut Bytes, width: usize) -> Result<Array, String> {
    let rows = size(bytes, "the number of rows")?;
    let columns = size(bytes, "the number of columns")?;
    check(bytes, rows, columns)?;
    let data = bytes.take(rows.saturating_mul(columns), width, "a matrix")?;
    Ok(Array::matrix(floats(data, width), columns))
}

/// Numbers of `width` bytes as f32.
fn floats(data: &[u8], width: usize) -> Vec<f32> {
    match width {
        4 => to_f32(data),
        _ => data.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
    }
}
