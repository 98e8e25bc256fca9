//! f32 values as the little-endian bytes of safetensors and PyTorch files.

/// The bytes of values.
pub fn from_f32(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The values of bytes; what is left of an incomplete last value is ignored.
pub fn to_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
