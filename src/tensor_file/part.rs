//! The tensors of a file that is to be written.

use std::borrow::Cow;

use safetensors::tensor::Dtype;

/// So many f32 values become bytes at a time.
const CHUNK: usize = 2048;

/// A tensor to be written.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its number format.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values in row-major order.
    pub bytes: Data<'a>,
}

/// The number of bytes that number format and shape ask for, if it is whole and does not overflow.
pub(super) fn size(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    let values = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    let bits = values.checked_mul(dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// A tensor's values. f32 values become bytes piece by piece, while they are hashed and written.
#[derive(Debug, Clone)]
pub enum Data<'a> {
    /// Little-endian bytes, of any number format.
    Bytes(Cow<'a, [u8]>),
    /// f32 values.
    F32(Cow<'a, [f32]>),
    /// f32 values in pieces, one behind the other.
    Pieces(Vec<&'a [f32]>),
}

impl Data<'_> {
    /// The number of bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::F32(values) => size_of_val::<[f32]>(values),
            Self::Pieces(pieces) => pieces.iter().map(|piece| size_of_val(*piece)).sum(),
        }
    }

    /// Gives the bytes to `feed`, in order.
    pub(super) fn chunks<E>(&self, mut feed: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Bytes(bytes) => feed(bytes),
            Self::F32(values) => floats(values, &mut feed),
            Self::Pieces(pieces) => pieces.iter().try_for_each(|piece| floats(piece, &mut feed)),
        }
    }
}

/// Gives the bytes of values to `feed`, in order.
fn floats<E>(values: &[f32], feed: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut buffer = [0u8; 4 * CHUNK];
    values.chunks(CHUNK).try_for_each(|values| {
        let chunk = &mut buffer[..4 * values.len()];
        chunk
            .chunks_exact_mut(4)
            .zip(values)
            .for_each(|(b, x)| b.copy_from_slice(&x.to_le_bytes()));
        feed(chunk)
    })
}

impl<'a> From<Cow<'a, [u8]>> for Data<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a [u8]> for Data<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Data<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

impl<'a> From<Cow<'a, [f32]>> for Data<'a> {
    fn from(values: Cow<'a, [f32]>) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<Vec<&'a [f32]>> for Data<'a> {
    fn from(pieces: Vec<&'a [f32]>) -> Self {
        Self::Pieces(pieces)
    }
}

impl<'a> From<&'a [f32]> for Data<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::F32(Cow::Borrowed(values))
    }
}

impl From<Vec<f32>> for Data<'_> {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(Cow::Owned(values))
    }
}
