//! Kaldi's compressed matrices. Each begins with the least value, the range of values, and the
//! numbers of rows and columns.

use super::array::Array;
use super::binary::{check, count};
use super::bytes::Bytes;

/// Rows of a matrix by column that are turned at a time: their values stay in a processor's cache.
const TURNED: usize = 64;

/// The beginning of a compressed matrix.
struct Header {
    least: f32,
    range: f32,
    rows: usize,
    columns: usize,
}

impl Header {
    fn read(bytes: &mut Bytes) -> Result<Self, String> {
        let least = f32::from_le_bytes(bytes.four("the least value")?);
        let range = f32::from_le_bytes(bytes.four("the range")?);
        let rows = count(bytes, "the number of rows")?;
        let columns = count(bytes, "the number of columns")?;
        check(bytes, rows, columns)?;
        Ok(Self { least, range, rows, columns })
    }

    fn values(&self) -> usize {
        self.rows.saturating_mul(self.columns)
    }

    /// The value of a step from 0 to 65535.
    fn of_step(&self, step: [u8; 2]) -> f32 {
        self.least + self.range * (1.0 / 65535.0) * f32::from(u16::from_le_bytes(step))
    }
}

/// `CM2`: each value is a step of 16 bits between the least value and the largest.
pub(super) fn two_bytes(bytes: &mut Bytes) -> Result<Array, String> {
    let header = Header::read(bytes)?;
    let data = bytes.take(header.values(), 2, "a matrix")?;
    let values = data.as_chunks::<2>().0.iter().map(|step| header.of_step(*step)).collect();
    Ok(Array::matrix(values, header.columns))
}

/// `CM3`: each value is a step of 8 bits between the least value and the largest.
pub(super) fn one_byte(bytes: &mut Bytes) -> Result<Array, String> {
    let header = Header::read(bytes)?;
    let data = bytes.take(header.values(), 1, "a matrix")?;
    let step = header.range * (1.0 / 255.0);
    let values = data.iter().map(|&b| header.least + step * f32::from(b)).collect();
    Ok(Array::matrix(values, header.columns))
}

/// `CM`: each column has four quantiles of 16 bits (0, 25, 75 and 100 %), and each of its values is
/// a step of 8 bits between two of them: up to 64, up to 192, up to 255. Columns stand one behind
/// the other.
pub(super) fn by_column(bytes: &mut Bytes) -> Result<Array, String> {
    let header = Header::read(bytes)?;
    let (rows, columns) = (header.rows, header.columns);
    let quantiles = bytes.take(columns, 8, "the columns' quantiles")?;
    let data = bytes.take(header.values(), 1, "a matrix")?;
    if data.is_empty() {
        return Ok(Array::matrix(Vec::new(), columns));
    }
    let quantiles: Vec<[f32; 4]> = quantiles
        .as_chunks::<8>()
        .0
        .iter()
        .map(|&[a, b, c, d, e, f, g, h]| {
            [[a, b], [c, d], [e, f], [g, h]].map(|step| header.of_step(step))
        })
        .collect();
    let mut values = vec![0.0; data.len()];
    for (block, turned) in values.chunks_mut(TURNED * columns).enumerate() {
        for (column, quantiles) in quantiles.iter().enumerate() {
            let steps = &data[column * rows + block * TURNED..];
            for (row, &step) in turned.chunks_exact_mut(columns).zip(steps) {
                row[column] = between(quantiles, step);
            }
        }
    }
    Ok(Array::matrix(values, columns))
}

/// The value of a step of 8 bits between quantiles.
fn between(&[q0, q25, q75, q100]: &[f32; 4], step: u8) -> f32 {
    let x = f32::from(step);
    match step {
        0..=64 => q0 + (q25 - q0) * x * (1.0 / 64.0),
        65..=192 => q25 + (q75 - q25) * (x - 64.0) * (1.0 / 128.0),
        193.. => q75 + (q100 - q75) * (x - 192.0) * (1.0 / 63.0),
    }
}
