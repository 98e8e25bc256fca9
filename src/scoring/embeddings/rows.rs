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
    /// The same for several ranges, one behind the other. None is empty.
    Blocks(Arc<Mapped>, Vec<Block>),
}

/// Values in a file.
#[derive(Clone)]
pub(super) struct Block {
    /// The place of its first value among those of all blocks.
    first: usize,
    bytes: Range<usize>,
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

    /// The values of several ranges of a file, one behind the other. They are copied only where
    /// that is necessary.
    pub fn of_blocks(file: Mapped, ranges: &[Range<usize>]) -> Self {
        let bytes = |range: &Range<usize>| &file[range.clone()];
        let fits = cfg!(target_endian = "little")
            && ranges.iter().all(|range| cast(bytes(range)).is_some());
        if !fits {
            return Self::Owned(ranges.iter().flat_map(|range| to_f32(bytes(range))).collect());
        }
        let (mut first, mut blocks) = (0, Vec::new());
        for bytes in ranges.iter().filter(|range| !range.is_empty()) {
            blocks.push(Block { first, bytes: bytes.clone() });
            first += bytes.len() / size_of::<f32>();
        }
        Self::Blocks(Arc::new(file), blocks)
    }

    /// All values, in pieces one behind the other.
    pub fn pieces(&self) -> Vec<&[f32]> {
        match self {
            Self::Owned(values) => vec![values.as_slice()],
            Self::File(file, range) => vec![floats(&file[range.clone()])],
            Self::Blocks(file, blocks) => {
                blocks.iter().map(|block| floats(&file[block.bytes.clone()])).collect()
            }
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.pieces().iter().map(|piece| piece.len()).sum()
    }

    /// Values by their places, which must be of one piece.
    pub fn get(&self, places: Range<usize>) -> &[f32] {
        match self {
            Self::Owned(values) => &values[places],
            Self::File(file, range) => {
                floats(&file[range.clone()][4 * places.start..4 * places.end])
            }
            Self::Blocks(file, blocks) => {
                // The first block begins at 0.
                let block = blocks.partition_point(|block| block.first <= places.start) - 1;
                let Block { first, bytes } = &blocks[block];
                floats(&file[bytes.clone()][4 * (places.start - first)..4 * (places.end - first)])
            }
        }
    }

    /// Adds values. Those of a file are copied first.
    pub fn extend(&mut self, values: &[f32]) {
        match self {
            Self::Owned(all) => all.extend_from_slice(values),
            Self::File(..) | Self::Blocks(..) => {
                let mut all = self.pieces().concat();
                all.extend_from_slice(values);
                *self = Self::Owned(all);
            }
        }
    }

    /// The place of the first value that is not finite.
    ///
    /// # Errors
    /// Those of [`Mapped::blocks`].
    pub fn first_not_finite(&self) -> std::io::Result<Option<usize>> {
        let (file, ranges) = match self {
            Self::Owned(values) => return Ok(values.iter().position(|x| !x.is_finite())),
            Self::File(file, range) => (file, vec![range.clone()]),
            Self::Blocks(file, blocks) => {
                (file, blocks.iter().map(|block| block.bytes.clone()).collect())
            }
        };
        let (mut found, mut before) = (None, 0);
        for range in ranges {
            file.blocks(range, &mut |block| {
                let (words, _) = block.as_chunks::<4>();
                if found.is_none() {
                    found = words.iter().position(|x| !f32::from_le_bytes(*x).is_finite());
                    found = found.map(|place| before + place);
                }
                before += words.len();
            })?;
        }
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
            assert_eq!(rows.pieces().concat(), values);
            assert_eq!(rows.len(), values.len());
            assert_eq!(rows.get(20..33), &values[20..33]);
            assert_eq!(rows.get(500..500), &[] as &[f32]);
            assert_eq!(rows.first_not_finite().unwrap(), None);
            rows.extend(&[1.0, f32::NAN]);
            assert_eq!(rows.get(499..501), [values[499], 1.0]);
            assert_eq!(rows.first_not_finite().unwrap(), Some(501));
        }
    }

    #[test]
    fn values_of_several_ranges_are_those_of_one() {
        let values: Vec<f32> = (0..60).map(|i| i as f32 * 0.1).collect();
        // Rows of three values, and something between the ranges.
        let counts = [6, 0, 30, 3, 21];
        for gap in [4, 8, 3] {
            let (mut bytes, mut ranges, mut first) = (vec![7; 8], Vec::new(), 0);
            for count in counts {
                let begin = bytes.len();
                bytes.extend(from_f32(&values[first..first + count]));
                ranges.push(begin..bytes.len());
                bytes.extend(vec![7; gap]);
                first += count;
            }
            let mut rows = Rows::of_blocks(bytes.into(), &ranges);
            // A range at another address than those of f32 was copied.
            assert_eq!(matches!(rows, Rows::Blocks(..)), gap != 3);
            assert_eq!(rows.pieces().concat(), values);
            assert_eq!(rows.len(), 60);
            for place in (0..60).step_by(3) {
                assert_eq!(rows.get(place..place + 3), &values[place..place + 3]);
            }
            assert_eq!(rows.first_not_finite().unwrap(), None);
            rows.extend(&[f32::NAN]);
            assert_eq!((rows.get(57..60), rows.len()), (&values[57..], 61));
            assert_eq!(rows.first_not_finite().unwrap(), Some(60));
        }
        let bytes = from_f32(&[1.0, 2.0, f32::INFINITY, 4.0]);
        let rows = Rows::of_blocks(bytes.into(), &[12..16, 0..12]);
        assert_eq!(rows.first_not_finite().unwrap(), Some(3));
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
