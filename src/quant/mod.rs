//! Quantized weights.

pub mod kmeans;
