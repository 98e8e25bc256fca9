//! Lookups in tables on a device.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

#[cfg(feature = "flex")]
use super::cpu;
use super::plain;

/// Lookups in tables. The fast path gives the same bits as the plain twin.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube")
)]
pub trait CodeOps: Backend {
    /// `x` `[n]`, bounds `[groups, 2^bits - 1]` (ascending), table `[groups, 2^bits]` -> `[n]`: the
    /// entry whose index is the number of bounds below a value.
    fn nearest(
        x: FloatTensor<Self>,
        bounds: FloatTensor<Self>,
        table: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        plain::nearest::<Self>(x, bounds, table)
    }

    /// Codes of `bits` bits, first one lowest, in words of 32 bits, and table `[groups, entries]`
    /// -> `[count]`. No code may be beyond its row.
    fn unpack(
        words: IntTensor<Self>,
        table: FloatTensor<Self>,
        bits: usize,
        count: usize,
    ) -> FloatTensor<Self> {
        plain::unpack::<Self>(words, table, bits, count)
    }
}

#[cfg(feature = "flex")]
impl CodeOps for burn::backend::Flex {
    fn nearest(
        x: FloatTensor<Self>,
        bounds: FloatTensor<Self>,
        table: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        match crate::backend::flex::is_f32([&x, &bounds, &table]) {
            true => cpu::nearest(x, bounds, table),
            false => plain::nearest::<Self>(x, bounds, table),
        }
    }

    fn unpack(
        words: IntTensor<Self>,
        table: FloatTensor<Self>,
        bits: usize,
        count: usize,
    ) -> FloatTensor<Self> {
        match words.dtype() == DType::I32 && crate::backend::flex::is_f32([&table]) {
            true => cpu::unpack(words, table, bits, count),
            false => plain::unpack::<Self>(words, table, bits, count),
        }
    }
}

#[cfg(feature = "ndarray")]
impl CodeOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl CodeOps for burn::backend::Cube {}

/// Replaces each value by the nearest entry of its group's row in the table. The number of the
/// row's bounds below the value is the index of that entry. `x` has any shape and as many groups as
/// there are rows; bounds `[groups, 2^bits - 1]` ascend; table `[groups, 2^bits]`. No gradient
/// passes.
pub fn nearest<const D: usize>(x: Tensor<D>, bounds: Tensor<2>, table: Tensor<2>) -> Tensor<D> {
    let shape = x.dims();
    let x = x.reshape([shape.iter().product::<usize>()]);
    let y = <Dispatch as CodeOps>::nearest(
        x.into_dispatch(),
        bounds.into_dispatch(),
        table.into_dispatch(),
    );
    Tensor::<1>::from_dispatch(y).reshape(shape)
}

/// The entries of table `[groups, entries]` that packed codes name, in a tensor of this shape. The
/// words are those of [`words`]; no code may be beyond its row.
pub fn unpack<const D: usize>(
    words: Tensor<1, Int>,
    table: Tensor<2>,
    bits: usize,
    shape: [usize; D],
) -> Tensor<D> {
    let count = shape.iter().product();
    let y =
        <Dispatch as CodeOps>::unpack(words.into_dispatch(), table.into_dispatch(), bits, count);
    Tensor::<1>::from_dispatch(y).reshape(shape)
}

/// Packed bytes as words on a device; the last is filled up with zeros.
pub fn words(bytes: &[u8], device: &Device) -> Tensor<1, Int> {
    let words: Vec<i32> = bytes
        .chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            i32::from_le_bytes(word)
        })
        .collect();
    let count = words.len();
    Tensor::from_data(TensorData::new(words, [count]), (device, DType::I32))
}

/// The bytes of words.
pub fn bytes(words: Tensor<1, Int>, count: usize) -> Vec<u8> {
    let words = words.into_data().convert::<i32>().try_to_vec::<i32>().expect("just converted");
    words.into_iter().flat_map(i32::to_le_bytes).take(count).collect()
}
