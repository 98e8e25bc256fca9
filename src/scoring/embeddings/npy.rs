//! NumPy's form of one array: a header that is a Python dictionary, and the values.

use std::ops::Range;

/// What each array begins with, before the version.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Values begin at a multiple of so many bytes.
const ALIGNED: usize = 64;

/// An array: the number format, the shape, and where its values are.
pub(super) struct Array {
    pub format: String,
    pub shape: Vec<usize>,
    pub values: Range<usize>,
}

/// The header of an array in row-major order, of version 1.0.
pub(super) fn header(format: &str, shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    // `(3,)` and `(3, 2)`, as NumPy writes them.
    let sizes = match shape {
        [_] => sizes.trim_end(),
        _ => sizes.trim_end_matches(", "),
    };
    let mut text = format!("{{'descr': '{format}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let begin = MAGIC.len() + 4;
    let length = (begin + text.len() + 1).next_multiple_of(ALIGNED) - begin;
    text.extend(std::iter::repeat_n(' ', length - 1 - text.len()));
    text.push('\n');
    [MAGIC, &[1, 0][..], &(length as u16).to_le_bytes()[..], text.as_bytes()].concat()
}

/// Reads a header. The values need not be as many as the shape asks for.
pub(super) fn read(bytes: &[u8]) -> Result<Array, String> {
    let short = || "ends within its header".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or("is no NumPy array")?;
    let (length, begin) = match rest {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), MAGIC.len() + 4),
        [2 | 3, _, a, b, c, d, ..] => {
            let length = u32::from_le_bytes([*a, *b, *c, *d]);
            (usize::try_from(length).map_err(|_| short())?, MAGIC.len() + 6)
        }
        [version, ..] if !(1..=3).contains(version) => {
            return Err(format!("has version {version} of NumPy's format"));
        }
        _ => return Err(short()),
    };
    let header = bytes[begin..].get(..length).ok_or_else(short)?;
    let text = std::str::from_utf8(header).map_err(|_| "has a header that is not UTF-8")?;
    let after = |key: &str| text.split_once(key).map(|(_, value)| value.trim_start());
    let format = after("'descr':").and_then(|value| value.strip_prefix('\''));
    let format = format.and_then(|value| value.split_once('\'')).ok_or("has no number format")?.0;
    match after("'fortran_order':") {
        Some(value) if value.starts_with("False") => {}
        _ => return Err("is not in row-major order; use numpy.ascontiguousarray".into()),
    }
    let sizes = after("'shape':").and_then(|value| value.strip_prefix('('));
    let sizes = sizes.and_then(|value| value.split_once(')')).ok_or("has no shape")?.0;
    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape: Option<Vec<usize>> = sizes.map(|size| size.parse().ok()).collect();
    let shape = shape.ok_or("has a shape of other than whole numbers")?;
    Ok(Array { format: format.to_owned(), shape, values: begin + length..bytes.len() })
}

impl Array {
    /// Refuses values that are not those of the shape, of `width` bytes each.
    pub fn check(&self, width: usize) -> Result<(), String> {
        let wanted = self.shape.iter().try_fold(width, |n, &size| n.checked_mul(size));
        match wanted == Some(self.values.len()) {
            true => Ok(()),
            false => Err(format!(
                "has {} bytes of values, which are not those of {} {:?}",
                self.values.len(),
                self.format,
                self.shape
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_back_what_was_written() {
        for (format, shape) in [("<f4", vec![3, 256]), ("<U17", vec![1_092_009]), ("<f4", vec![])] {
            let bytes = header(format, &shape);
            assert!(bytes.len().is_multiple_of(ALIGNED) && bytes.ends_with(b"\n"));
            let array = read(&bytes).unwrap();
            assert_eq!((array.format.as_str(), array.shape), (format, shape));
            assert_eq!(array.values, bytes.len()..bytes.len());
        }
        let text = String::from_utf8_lossy(&header("<U3", &[5])).into_owned();
        assert!(
            text.contains("{'descr': '<U3', 'fortran_order': False, 'shape': (5,), }"),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let good = header("<f4", &[2, 3]);
        for cut in 0..good.len() {
            assert!(read(&good[..cut]).is_err(), "{cut}");
        }
        let with = |from: &str, to: &str| {
            let text: String = good.iter().map(|&b| char::from(b)).collect();
            let changed: Vec<u8> = text.replace(from, to).chars().map(|c| c as u8).collect();
            read(&changed).map(|_| ()).unwrap_err()
        };
        assert!(with("False", "True ").contains("row-major"));
        assert!(with("(2, 3)", "(2, x)").contains("whole numbers"));
        assert!(with("'<f4'", "[('a')").contains("no number format"));
        let mut array = read(&good).unwrap();
        array.values = 0..24;
        array.check(4).unwrap();
        array.shape = vec![usize::MAX, 8];
        assert!(array.check(4).unwrap_err().contains("24 bytes"));
    }
}
