//! The pages from which a GPU's allocator serves activations: their size, and what is kept out of
//! them.
//!
//! A tensor that outlives the pass keeps a page from serving the largest activations. Burn's
//! `memory_persistent_allocations` gives such tensors memory of their own, but with fusion it opens
//! its window on another stream than the one that allocates.
//!
//! CubeCL gives pages the size of the largest tensor that it has served. One tensor, taken and
//! dropped at the start, makes it the size that a plan asks for.

mod gradient;

pub use gradient::GradientOps;
pub(crate) use gradient::with_lasting_gradient;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Device, Int, Tensor};

/// Pages of a size.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(all(feature = "cube", feature = "fusion"))
)]
pub trait PageOps: Backend {
    /// Makes new pages so large, on backends that have pages; hands `x` back.
    #[fusion(dtype = x, shape = x)]
    fn with_pages(x: FloatTensor<Self>, bytes: u64) -> FloatTensor<Self> {
        let _ = bytes;
        x
    }

    /// The same values in memory of their own, on backends that have pages.
    #[fusion(dtype = x, shape = x)]
    fn lasting(x: FloatTensor<Self>) -> FloatTensor<Self> {
        x
    }

    /// [`PageOps::lasting`] of integers.
    #[fusion(dtype = x, shape = x)]
    fn lasting_int(x: IntTensor<Self>) -> IntTensor<Self> {
        x
    }
}

#[cfg(feature = "flex")]
impl PageOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl PageOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl PageOps for burn_cubecl::CubeBackend {
    fn with_pages(x: FloatTensor<Self>, bytes: u64) -> FloatTensor<Self> {
        // CubeCL adds this much to the tensor that it sizes pages by.
        const MORE: u64 = 1 << 20;
        drop(x.client.empty(bytes.saturating_sub(MORE).max(1) as usize));
        x
    }

    fn lasting(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match super::gpu::floats([&x]) {
            true => super::gpu::copied(&super::gpu::contiguous(x)),
            false => x,
        }
    }

    fn lasting_int(x: IntTensor<Self>) -> IntTensor<Self> {
        match x.dtype == burn::tensor::DType::U32 {
            true => super::gpu::copied(&super::gpu::contiguous(x)),
            false => x,
        }
    }
}

/// The same values in memory of their own; see the module's documentation.
pub(crate) fn lasting<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as PageOps>::lasting(x.into_dispatch()))
}

/// [`lasting`] of 32-bit unsigned integers.
pub(crate) fn lasting_int<const D: usize>(x: Tensor<D, Int>) -> Tensor<D, Int> {
    Tensor::from_dispatch(<Dispatch as PageOps>::lasting_int(x.into_dispatch()))
}

/// Makes the pages of a GPU so large, if it serves so much at a time; nothing on CPUs. Smaller
/// pages than there are change nothing.
pub fn use_pages(device: &Device, bytes: u64) {
    if bytes <= largest_allocation(device).unwrap_or(0) {
        let x = Tensor::<1>::zeros([1], &device.clone().inner());
        drop(<Dispatch as PageOps>::with_pages(x.into_dispatch(), bytes));
        super::reversible::in_order(Some(device));
    }
}

/// The most bytes that a GPU's allocator serves at a time; none for CPUs.
pub fn largest_allocation(device: &Device) -> Option<u64> {
    #[cfg(feature = "cube")]
    {
        use burn::backend::DispatchDevice;
        if let DispatchDevice::Cube(device) = device.clone().inner().as_dispatch() {
            return Some(device.client().properties().memory.max_page_size);
        }
    }
    #[cfg(not(feature = "cube"))]
    let _ = device;
    None
}

#[cfg(all(test, feature = "wgpu-bare"))]
mod tests {
    use super::*;
    use crate::backend::BackendKind;

    #[test]
    fn pages_of_wgpu_are_as_large_as_asked_for() {
        let device = BackendKind::Wgpu.device(0).unwrap();
        // A thread of its own has pages of its own.
        let reserved = std::thread::spawn(move || {
            use_pages(&device, 77 << 20);
            let _x = Tensor::<1>::zeros([1 << 20], &device).into_data();
            let report = device.memory_pool_report().expect("a GPU has pages");
            report.iter().any(|pool| pool.page_size == 77 << 20)
        });
        assert!(reserved.join().unwrap());
        assert_eq!(largest_allocation(&BackendKind::Flex.device(0).unwrap()), None);
    }
}
