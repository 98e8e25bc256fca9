//! The values of embeddings: in memory, or in a file that is mapped into it.

use std::ops::Range;
use std::sync::Arc;

use crate::bytes::to_f32;
use crate::fs::Mapped;

/// f32 values, row by row.
#[derive(Clone)]
pub(super) enum Rows {
    Owned(Vec<f32>),
    /// The bytes of a range of a file are the values, at an address that f32 can have.
    File(Arc<Mapped>, Range<usize>),
}

impl Default for Rows {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl Rows {
    /// The values of a range of a file. They are copied only where that is necessary.
    pub fn of_file(file: Mapped, range: Range<usize>) -> Self {
        let fits = cfg!(target_endian = "little") && cast(&file[range.clone()]).is_some();
        match fits {
            true => Self::File(Arc::new(file), range),
            false => Self::Owned(to_f32(&file[range])),
        }
    }

    /// All values.
    pub fn all(&self) -> &[f32] {
        match self {
            Self::Owned(values) => values,
            Self::File(file, range) => floats(&file[range.clone()]),
        }
    }

    /// Values by their places.
    pub fn get(&self, places: Range<usize>) -> &[f32] {
        match self {
            Self::Owned(values) => &values[places],
            Self::File(file, range) => {
                floats(&file[range.clone()][4 * places.start..4 * places.end])
            }
        }
    }

    /// Adds values. Those of a file are copied first.
    pub fn extend(&mut self, values: &[f32]) {
        match self {
            Self::Owned(all) => all.extend_from_slice(values),
            Self::File(..) => *self = Self::Owned([self.all(), values].concat()),
        }
    }

    /// The place of the first value that is not finite.
    ///
    /// # Errors
    /// Those of [`Mapped::blocks`].
    pub fn first_not_finite(&self) -> std::io::Result<Option<usize>> {
        let (file, range) = match self {
            Self::Owned(values) => return Ok(values.iter().position(|x| !x.is_finite())),
            Self::File(file, range) => (file, range.clone()),
        };
        let (mut found, mut before) = (None, 0);
        file.blocks(range, &mut |block| {
            let (words, _) = block.as_chunks::<4>();
            if found.is_none() {
                found = words.iter().position(|x| !f32::from_le_bytes(*x).is_finite());
                found = found.map(|place| before + place);
            }
            before += words.len();
        })?;
        Ok(found)
    }
}

/// Bytes as values, if their address allows that.
fn cast(bytes: &[u8]) -> Option<&[f32]> {
    bytemuck::try_cast_slice(bytes).ok()
}

fn floats(bytes: &[u8]) -> &[f32] {
    cast(bytes).expect("the address and length that were looked at before")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::from_f32;

    #[test]
    fn values_of_a_file_are_those_of_memory() {
        let values: Vec<f32> = (0..500).map(|i| i as f32 * 0.1).collect();
        for shift in 0..8 {
            let bytes = [vec![7; shift], from_f32(&values)].concat();
            let end = bytes.len();
            let mut rows = Rows::of_file(bytes.into(), shift..end);
            assert_eq!(rows.all(), values);
            assert_eq!(rows.get(20..33), &values[20..33]);
            assert_eq!(rows.get(500..500), &[] as &[f32]);
            assert_eq!(rows.first_not_finite().unwrap(), None);
            rows.extend(&[1.0, f32::NAN]);
            assert_eq!(rows.get(499..501), [values[499], 1.0]);
            assert_eq!(rows.first_not_finite().unwrap(), Some(501));
        }
    }

    #[test]
    fn the_first_value_that_is_no_number_is_found() {
        let mut values = vec![1.0; 700_000];
        for place in [699_999, 524_288, 262_143, 0] {
            values[place] = f32::INFINITY;
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("a"), from_f32(&values)).unwrap();
            let file = crate::fs::map(dir.path().join("a")).unwrap();
            let end = file.len();
            assert_eq!(Rows::of_file(file, 0..end).first_not_finite().unwrap(), Some(place));
        }
    }
}
