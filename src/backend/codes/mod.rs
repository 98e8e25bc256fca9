//! Weights that take few values: the nearest entry of a table, and tables looked up by packed
//! codes.
//!
//! A table has a row of entries for each group of values. A tensor's groups are equal runs of its
//! values in row-major order: one for a codebook of a whole layer, one an output channel for scales
//! of channels.

#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "burn")]
mod lookup;
mod packed;
#[cfg(feature = "burn")]
mod plain;
#[cfg(test)]
mod tests;

#[cfg(feature = "burn")]
pub use lookup::{CodeOps, bytes, nearest, unpack, words};
pub use packed::{codes, pack, packed_len};
