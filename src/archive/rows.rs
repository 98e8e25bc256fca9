//! Some rows of a matrix, as lists ask for them: `[first:last]`.

use super::array::{Array, Shape};

/// So many rows may be missing at the end. Kaldi's lists of segments count frames by their times,
/// which may promise a few more than there are.
const MISSING: usize = 3;

/// A range of rows; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    first: usize,
    last: usize,
}

impl Rows {
    /// Reads what stands within the brackets.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains(',') {
            return Err(format!("`[{text}]` asks for columns; only rows can be chosen"));
        }
        let ends = text.split_once(':').and_then(|(first, last)| {
            Some(Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? })
        });
        ends.filter(|rows| rows.first <= rows.last)
            .ok_or_else(|| format!("`[{text}]` is no range of rows, which is `[first:last]`"))
    }

    /// These rows of an array.
    pub fn of(self, array: Array) -> Result<Array, String> {
        let Self { first, last } = self;
        let Shape::Matrix { rows, columns } = array.shape else {
            return Err(format!("rows [{first}:{last}] of a vector"));
        };
        if first >= rows || last >= rows.saturating_add(MISSING) {
            return Err(format!("rows [{first}:{last}] of a matrix of {rows} rows"));
        }
        let end = (last + 1).min(rows);
        let mut values = array.values;
        values.truncate(end * columns);
        values.drain(..first * columns);
        Ok(Array::matrix(values, columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_belong_to_a_range() {
        let matrix = || Array::matrix((0..10).map(|i| i as f32).collect(), 2);
        let rows = |text: &str| Rows::parse(text).and_then(|rows| rows.of(matrix()));
        assert_eq!(rows("1:2").unwrap(), Array::matrix(vec![2.0, 3.0, 4.0, 5.0], 2));
        assert_eq!(rows("0:4").unwrap(), matrix());
        assert_eq!(rows("4:7").unwrap(), Array::matrix(vec![8.0, 9.0], 2));
        for bad in ["4:8", "5:5", "2:1", "", "1", ":", "-1:2", "a:b", "0:18446744073709551615"] {
            assert!(rows(bad).is_err(), "{bad}");
        }
        assert!(rows("0:1,0:1").unwrap_err().contains("asks for columns"));
        let vector = Array::vector(vec![1.0; 4]);
        assert!(Rows::parse("0:1").unwrap().of(vector).unwrap_err().contains("of a vector"));
    }
}
