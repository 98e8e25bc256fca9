//! Arrays as text: `[ 1 2 3 ]` is a vector; a matrix has a line break behind the bracket and one
//! line a row.

use super::array::Array;
use super::bytes::{Bytes, shown};

/// Reads an array and the rest of its line.
pub(super) fn read(bytes: &mut Bytes) -> Result<Array, String> {
    blanks(bytes);
    if bytes.take_while(|b| b == b'[').len() != 1 {
        let found = shown(bytes.rest().split(|b| b.is_ascii_whitespace()).next().unwrap_or(&[]));
        return Err(bytes.wrong(&format!(
            "`{found}` where an array begins: neither `[`, of text, nor the mark of a binary one"
        )));
    }
    blanks(bytes);
    let mut is_matrix = bytes.peek() == Some(b'\n');
    let mut values = Vec::new();
    // Where the row begins among the values, and the length of the rows before it.
    let (mut begin, mut columns): (usize, Option<usize>) = (0, None);
    loop {
        blanks(bytes);
        let ends = match bytes.peek() {
            None => return Err(bytes.wrong("the file ends within an array")),
            Some(b']') => true,
            Some(b'\n' | b';') => false,
            Some(_) => {
                values.push(number(bytes)?);
                continue;
            }
        };
        let length = values.len() - begin;
        if length > 0 {
            is_matrix |= columns.is_some();
            if columns.is_some_and(|columns| columns != length) {
                let before = columns.unwrap_or_default();
                return Err(bytes.wrong(&format!("a row of {length} values after one of {before}")));
            }
            (begin, columns) = (values.len(), Some(length));
        }
        bytes.at += 1;
        if ends {
            break;
        }
    }
    blanks(bytes);
    if bytes.peek() == Some(b'\n') {
        bytes.at += 1;
    }
    Ok(match is_matrix {
        true => Array::matrix(values, columns.unwrap_or(0)),
        false => Array::vector(values),
    })
}

/// Takes blanks within a line.
fn blanks(bytes: &mut Bytes) {
    bytes.take_while(|b| b.is_ascii_whitespace() && b != b'\n');
}

fn number(bytes: &mut Bytes) -> Result<f32, String> {
    let begin = bytes.at;
    let word =
        bytes.take_while(|b| !b.is_ascii_whitespace() && b != b']' && b != b'[' && b != b';');
    let number = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    number.ok_or_else(|| format!("byte {begin}: `{}` is not a number", shown(word)))
}
