//! Arrays that are stored in chunks of one extent.

use super::filters::{EXPANSION, Filters};
use super::layout::Plane;
use super::number::Number;

/// A chunk as it is stored.
pub(super) struct Chunk<'a> {
    pub stored: &'a [u8],
    /// Filters that it did not go through.
    pub skipped: u64,
    /// Its first row and column.
    pub at: Plane,
}

/// All chunks of an array.
pub(super) struct Chunks<'a> {
    pub extent: Plane,
    pub list: Vec<Chunk<'a>>,
}

impl Chunks<'_> {
    /// The array's values, row by row. Each place of it must have its chunk.
    pub fn values(
        &self,
        shape: Plane,
        number: Number,
        filters: &Filters,
    ) -> Result<Vec<f64>, String> {
        let ([rows, columns], [height, width]) = (shape, self.extent);
        let line = width.checked_mul(number.size);
        let bytes = line.and_then(|line| line.checked_mul(height));
        let (across, down) = (columns.div_ceil(width), rows.div_ceil(height));
        if across.checked_mul(down) != Some(self.list.len()) {
            let count = self.list.len();
            return Err(format!("{down} x {across} chunks are wanted, and {count} are there"));
        }
        let too_large = "its chunks claim more than the file holds";
        let (line, bytes) = line.zip(bytes).ok_or(too_large)?;
        if self.list.iter().any(|chunk| bytes / EXPANSION > chunk.stored.len()) {
            return Err(too_large.into());
        }
        // No more than all chunks hold.
        let mut values = vec![0.0; rows.checked_mul(columns).ok_or(too_large)?];
        let mut met = vec![false; self.list.len()];
        for chunk in &self.list {
            let [row, column] = chunk.at;
            let is_inside = row < rows && column < columns;
            let is_aligned = row % height == 0 && column % width == 0;
            let place = (row / height).saturating_mul(across).saturating_add(column / width);
            match met.get_mut(place) {
                Some(met) if is_inside && is_aligned && !*met => *met = true,
                _ => {
                    return Err(format!("a chunk at {row}, {column} is not where one is wanted"));
                }
            }
            let data = filters.undo(chunk.stored, chunk.skipped, bytes)?;
            // What is beyond the array's edges is dropped.
            let lines = data.chunks_exact(line).take(rows - row);
            for (values, line) in values.chunks_exact_mut(columns).skip(row).zip(lines) {
                let numbers = line.chunks_exact(number.size);
                for (value, bytes) in values[column..].iter_mut().zip(numbers) {
                    *value = number.value(bytes);
                }
            }
        }
        Ok(values)
    }
}
