//! The f32 values of tensors of the default CPU backend.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Element;
use bytemuck::Pod;

/// The same values side by side; the reference given is used up, so that what it alone referred to can be written into.
pub(super) fn contiguous(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    if x.is_contiguous() { x } else { x.to_contiguous() }
}

/// The values of a contiguous tensor.
pub(super) fn slice(x: &FloatTensor<Flex>) -> &[f32] {
    x.as_slice::<f32>().expect("contiguous f32")
}

/// The values, if nobody else uses them and they lie side by side.
pub(super) fn own(x: &mut FloatTensor<Flex>) -> Option<&mut [f32]> {
    let whole = x.is_contiguous() && x.layout().start_offset() == 0;
    let count = x.layout().shape().num_elements();
    x.try_storage_mut::<f32>().filter(|values| whole && values.len() == count)
}

/// The same values in memory of their own: what `storage_mut` then gives is exactly them, in row-major order.
pub(super) fn owned<E: Element + Pod>(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let count = x.layout().shape().num_elements();
    let whole = x.is_contiguous() && x.layout().start_offset() == 0 && x.storage::<E>().len() == count;
    let mut x = if whole { x } else { FloatTensor::<Flex>::from_data(x.into_data()) };
    // Copies if anybody else refers to it.
    x.storage_mut::<E>();
    x
}
