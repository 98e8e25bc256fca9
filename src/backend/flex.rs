//! The f32 values of tensors of the default CPU backend.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Element, TensorData};
use bytemuck::Pod;

/// Values of a task: enough to be worth a thread's while, few enough to stay in its cache.
pub(super) const TASK: usize = 1 << 14;

/// Whether all of them hold f32, for which the fast paths are written.
pub(super) fn is_f32<const N: usize>(tensors: [&FloatTensor<Flex>; N]) -> bool {
    tensors.iter().all(|x| x.dtype() == DType::F32)
}

/// The same values side by side. It takes the tensor over, so [`own`] can still give its memory out
/// for writing.
pub(super) fn contiguous(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    if x.is_contiguous() { x } else { x.to_contiguous() }
}

/// The values of a contiguous tensor.
pub(super) fn slice(x: &FloatTensor<Flex>) -> &[f32] {
    x.as_slice::<f32>().expect("contiguous f32")
}

/// Whether the tensor's memory is exactly its values, in row-major order.
fn is_whole<E: Element + Pod>(x: &FloatTensor<Flex>) -> bool {
    let layout = x.layout();
    x.is_contiguous()
        && layout.start_offset() == 0
        && x.storage::<E>().len() == layout.shape().num_elements()
}

/// A tensor `[n]` of these values.
pub(super) fn vector(values: Vec<f32>) -> FloatTensor<Flex> {
    let n = values.len();
    FloatTensor::<Flex>::from_data(TensorData::new(values, [n]))
}

/// The values, if nobody else uses them and they lie side by side.
pub(super) fn own(x: &mut FloatTensor<Flex>) -> Option<&mut [f32]> {
    let whole = is_whole::<f32>(x);
    x.try_storage_mut::<f32>().filter(|_| whole)
}

/// The same values in memory of their own: what `storage_mut` then gives is exactly them, in
/// row-major order.
pub(super) fn owned<E: Element + Pod>(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let mut x = if is_whole::<E>(&x) { x } else { FloatTensor::<Flex>::from_data(x.into_data()) };
    // Copies if anybody else refers to it.
    x.storage_mut::<E>();
    x
}
