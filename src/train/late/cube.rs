//! The copy on GPUs.
//!
//! Burn's own reads cannot be started early. The bytes of a tensor are copied when they are first
//! looked at, behind everything that is queued by then; and on CUDA a future of Burn's blocks when
//! it is first polled. So the tensor's client is asked here: it queues the copy when it is called,
//! and its future waits for that copy alone.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Tensor, read_sync};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use crate::bytes;

/// Where an operation leaves its tensor for the host.
#[derive(Debug, Clone, Default)]
pub struct Outlet(Arc<Mutex<Option<CubeTensor>>>);

impl Outlet {
    fn take(&self) -> Option<CubeTensor> {
        self.0.lock().expect("no holder panics").take()
    }
}

/// The way from Burn's tensor to CubeCL's. Under fusion it is an operation like any other, so that
/// it runs behind those that compute the tensor, and only if they succeed.
#[backend_extension(Cube, Fusion: cfg(feature = "fusion"))]
pub trait OutletOps: Backend {
    /// The same tensor. It is in the outlet when the operation has run.
    #[fusion(dtype = x, shape = x)]
    fn leave(x: FloatTensor<Self>, outlet: Outlet) -> FloatTensor<Self>;
}

impl OutletOps for CubeBackend {
    fn leave(x: FloatTensor<Self>, outlet: Outlet) -> FloatTensor<Self> {
        let x = into_contiguous(x);
        *outlet.0.lock().expect("no holder panics") = Some(x.clone());
        x
    }
}

type Copied = Pin<Box<dyn Future<Output = Result<Vec<f32>, String>> + Send>>;

/// A copy in the device's queue. It is waited for in any case: the device must not write into
/// memory that is given away.
pub(super) struct Queued(Option<Copied>);

impl Queued {
    /// Waits for the values; else the words of the failure.
    pub fn wait(mut self) -> Result<Vec<f32>, String> {
        self.0.take().map_or_else(|| Ok(Vec::new()), read_sync)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(copy) = self.0.take() {
            // Nobody wants the values any more.
            let _ = read_sync(copy);
        }
    }
}

/// Queues the copy of a tensor `[n]` of f32. Gives the tensor back if an operation before it has
/// failed.
pub(super) fn queued(values: Tensor<1>) -> Result<Queued, Box<Tensor<1>>> {
    let (device, count) = (values.device(), values.dims()[0]);
    let outlet = Outlet::default();
    let values = <Dispatch as OutletOps>::leave(values.into_dispatch(), outlet.clone());
    let mut left = outlet.take();
    if left.is_none() {
        // Fusion has kept the operation back. Whatever fails now is found by whoever reads.
        let _ = device.flush();
        left = outlet.take();
    }
    match left {
        Some(tensor) => Ok(Queued(Some(copy(tensor, count)))),
        None => Err(Box::new(Tensor::from_dispatch(values))),
    }
}

fn copy(tensor: CubeTensor, count: usize) -> Copied {
    let mut copy = Box::pin(async move {
        let CubeTensor { client, handle, .. } = tensor;
        // This call queues the copy. Its future borrows the client.
        let copied = client.read_async(vec![handle]);
        let mut paused = false;
        poll_fn(|_| match std::mem::replace(&mut paused, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        match copied.await {
            Ok(all) => {
                let read: &[u8] = &all[0];
                Ok(bytes::to_f32(&read[..4 * count]))
            }
            Err(e) => Err(e.to_string()),
        }
    });
    // To the pause: then the copy is queued.
    let first = copy.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    debug_assert!(first.is_pending(), "the copy is awaited later");
    copy
}
