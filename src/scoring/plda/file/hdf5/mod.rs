//! WeSpeaker's form (`two_cov_plda.py`, `save_model`): HDF5 with the datasets `mu`, `transform`,
//! `psi` and `offset`, and the numbers `normalize_length` and `subtract_train_set_mean`.
//!
//! Of HDF5 (its "File Format Specification", version 3.0) this reads what h5py writes for such
//! datasets: superblocks 0 to 3, both kinds of object headers, groups as symbol tables or as links
//! in their header, data in one piece, in chunks of a B-tree of version 1 or in a single chunk,
//! through gzip and Fletcher's checksum. All else is refused by name.

mod checksum;
mod chunks;
mod dataset;
mod filters;
mod header;
mod layout;
mod links;
mod number;
mod source;
mod superblock;
mod tree;
mod write;

use self::dataset::Dataset;
use self::source::File;
use self::write::Writer;
use super::Parts;

/// What HDF5 begins with.
const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// The numbers that say how embeddings are prepared.
const LENGTH_NORM: &str = "normalize_length";
const MEAN: &str = "subtract_train_set_mean";
/// How much the stored offset may differ from minus the transformed mean, for values of 1.
const ROUNDING: f64 = 1e-6;

pub(super) fn is_it(bytes: &[u8]) -> bool {
    bytes.starts_with(SIGNATURE)
}

pub(super) fn read(bytes: &[u8]) -> Result<Parts, String> {
    let file = File::new(bytes);
    let names = ["mu", "transform", "psi", "offset", LENGTH_NORM, MEAN];
    let [mu, transform, psi, offset, length_norm, mean] = links::find(&file, names)?;
    let array = |name: &str, address: Option<u64>| -> Result<Dataset, String> {
        let address = address.ok_or_else(|| format!("`{name}` is missing"))?;
        let set = Dataset::read(&file, address).map_err(|what| format!("`{name}`: {what}"))?;
        match set.is_float {
            true => Ok(set),
            false => Err(format!("`{name}` holds integers")),
        }
    };
    let (mu, transform) = (array("mu", mu)?.values, array("transform", transform)?);
    let (psi, offset) = (array("psi", psi)?.values, array("offset", offset)?.values);
    let Dataset { values: transform, shape, .. } = transform;
    let dim = mu.len();
    if shape != [dim as u64; 2] || psi.len() != dim || offset.len() != dim {
        let (n, m) = (psi.len(), offset.len());
        return Err(format!(
            "`mu` has {dim} values, `psi` {n}, `offset` {m}, `transform` {shape:?}"
        ));
    }
    for (row, offset) in transform.chunks_exact(dim).zip(&offset) {
        let products = || row.iter().zip(&mu).map(|(t, m)| t * m);
        let scale = 1.0 + products().map(f64::abs).sum::<f64>();
        if (products().sum::<f64>() + offset).abs() > ROUNDING * scale {
            return Err("`offset` is not what `transform` makes of minus `mu`".into());
        }
    }
    // Files of before 2024 lack both, and their program always did both.
    let flag = |name: &str, address: Option<u64>| -> Result<bool, String> {
        let Some(address) = address else { return Ok(true) };
        let set = Dataset::read(&file, address).map_err(|what| format!("`{name}`: {what}"))?;
        match set.values[..] {
            [value] => Ok(value != 0.0),
            _ => Err(format!("`{name}` is not one number")),
        }
    };
    let (length_norm, lacks_mean) = (flag(LENGTH_NORM, length_norm)?, flag(MEAN, mean)?);
    Ok(Parts { mu, psi, transform, length_norm, lacks_mean })
}

pub(super) fn write(parts: &Parts) -> Result<Vec<u8>, String> {
    let dim = parts.mu.len();
    let mut offset = Vec::with_capacity(dim);
    for row in parts.transform.chunks_exact(dim) {
        offset.push(-row.iter().zip(&parts.mu).map(|(t, m)| t * m).sum::<f64>());
    }
    let mut writer = Writer::new();
    writer.array("mu", &parts.mu, &[dim])?;
    writer.array("transform", &parts.transform, &[dim, dim])?;
    writer.array("psi", &parts.psi, &[dim])?;
    writer.array("offset", &offset, &[dim])?;
    writer.number(LENGTH_NORM, i64::from(parts.length_norm));
    writer.number(MEAN, i64::from(parts.lacks_mean));
    Ok(writer.finish())
}

#[cfg(test)]
mod tests;
