//! WeSpeaker's form (`two_cov_plda.py`, `save_model`): HDF5 with the datasets `mu`, `transform`,
//! `psi` and `offset`, and the numbers `normalize_length` and `subtract_train_set_mean`.

use std::path::Path;

use super::Parts;
use crate::error::{Error, Result};

/// What HDF5 begins with.
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

pub(super) fn is_it(bytes: &[u8]) -> bool {
    bytes.starts_with(SIGNATURE)
}

#[cfg(feature = "formats")]
pub(super) fn read(path: &Path, bytes: Vec<u8>) -> Result<Parts> {
    let bad = |what: String| Error::file(path, format!("not a readable PLDA file: {what}"));
    with::guarded(|| with::read(bytes)).map_err(bad)
}

#[cfg(feature = "formats")]
pub(super) fn write(path: &Path, parts: &Parts) -> Result<Vec<u8>> {
    let failed = |what: String| Error::file(path, format!("cannot make HDF5: {what}"));
    with::guarded(|| with::write(parts)).map_err(failed)
}

#[cfg(not(feature = "formats"))]
pub(super) fn read(path: &Path, _: Vec<u8>) -> Result<Parts> {
    Err(absent(path))
}

#[cfg(not(feature = "formats"))]
pub(super) fn write(path: &Path, _: &Parts) -> Result<Vec<u8>> {
    Err(absent(path))
}

#[cfg(not(feature = "formats"))]
fn absent(path: &Path) -> Error {
    let remedy = crate::error::Remedy::RebuildWith { feature: "formats" };
    Error::file(path, "is HDF5, which this build does not know").with(remedy)
}

/// With the crate that knows HDF5.
#[cfg(feature = "formats")]
mod with {
    use hdf5_pure::{File, FileBuilder};

    use super::Parts;
    use crate::panics::quietly;

    /// The numbers that say how embeddings are prepared.
    const LENGTH_NORM: &str = "normalize_length";
    const MEAN: &str = "subtract_train_set_mean";
    /// How much longer than its compressed bytes a file's content can be.
    const EXPANSION: usize = 1032;
    /// h5py's level of gzip.
    const LEVEL: u32 = 4;
    /// How much the stored offset may differ from minus the transformed mean, for values of 1.
    const ROUNDING: f64 = 1e-6;

    /// Turns a panic of the crate into an error.
    pub fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        quietly(work).unwrap_or_else(Err)
    }

    pub fn read(bytes: Vec<u8>) -> Result<Parts, String> {
        let most = bytes.len().saturating_mul(EXPANSION) / size_of::<f64>();
        let file = File::from_bytes(bytes).map_err(|e| e.to_string())?;
        let names = file.root().datasets().map_err(|e| e.to_string())?;
        let (mu, _) = values(&file, "mu", most)?;
        let dim = mu.len();
        let (transform, shape) = values(&file, "transform", most)?;
        let (psi, _) = values(&file, "psi", most)?;
        let (offset, _) = values(&file, "offset", most)?;
        if shape != [dim as u64; 2] || psi.len() != dim || offset.len() != dim {
            let (n, m) = (psi.len(), offset.len());
            return Err(format!(
                "`mu` has {dim} values, `psi` {n}, `offset` {m}, `transform` {shape:?}"
            ));
        }
        for (row, offset) in transform.chunks_exact(dim.max(1)).zip(&offset) {
            let products = || row.iter().zip(&mu).map(|(t, m)| t * m);
            let scale = 1.0 + products().map(f64::abs).sum::<f64>();
            if (products().sum::<f64>() + offset).abs() > ROUNDING * scale {
                return Err("`offset` is not what `transform` makes of minus `mu`".into());
            }
        }
        // Files of before 2024 lack both, and their program always did both.
        let flag = |name: &str| match names.iter().any(|n| n == name) {
            true => {
                values(&file, name, 1).map(|(value, _)| value.first().is_some_and(|&v| v != 0.0))
            }
            false => Ok(true),
        };
        let (length_norm, lacks_mean) = (flag(LENGTH_NORM)?, flag(MEAN)?);
        Ok(Parts { mu, psi, transform, length_norm, lacks_mean })
    }

    /// A dataset's values and shape. More than `most` values or values of a chunk are refused, so
    /// that no file asks for more memory than its size can fill.
    fn values(file: &File, name: &str, most: usize) -> Result<(Vec<f64>, Vec<u64>), String> {
        let bad = |e: hdf5_pure::Error| format!("`{name}`: {e}");
        let set = file.dataset(name).map_err(bad)?;
        let shape = set.shape().map_err(bad)?;
        let chunk = set.chunk_shape().map_err(bad)?.unwrap_or_default();
        for dims in [&shape, &chunk] {
            let count = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
            if count.is_none_or(|count| count > most as u64) {
                return Err(format!(
                    "`{name}` claims the shape {dims:?}, more than the file holds"
                ));
            }
        }
        Ok((set.read_f64().map_err(bad)?, shape))
    }

    pub fn write(parts: &Parts) -> Result<Vec<u8>, String> {
        let dim = parts.mu.len() as u64;
        let mut offset = Vec::with_capacity(parts.mu.len());
        for row in parts.transform.chunks_exact(parts.mu.len()) {
            offset.push(-row.iter().zip(&parts.mu).map(|(t, m)| t * m).sum::<f64>());
        }
        let mut builder = FileBuilder::new();
        let sets = [
            ("mu", &parts.mu, vec![dim]),
            ("transform", &parts.transform, vec![dim, dim]),
            ("psi", &parts.psi, vec![dim]),
            ("offset", &offset, vec![dim]),
        ];
        for (name, values, shape) in sets {
            let set = builder.create_dataset(name).with_f64_data(values).with_shape(&shape);
            set.with_chunks(&shape).with_deflate(LEVEL).with_fletcher32();
        }
        for (name, flag) in [(LENGTH_NORM, parts.length_norm), (MEAN, parts.lacks_mean)] {
            builder.create_dataset(name).with_i64_data(&[i64::from(flag)]).with_shape(&[]);
        }
        builder.finish().map_err(|e| e.to_string())
    }
}
