//! Sums on this rank's GPU.

#![allow(unsafe_code, reason = "NCCL works on memory of the device by its address")]

use std::hint::spin_loop;
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtrMut, DriverError};

use super::Adder;
use super::library::{Connection, Library};
use crate::backend::{BackendKind, failure};
use crate::error::{Error, Result};

/// Values that are summed at one time: 16 MiB of f32, the buffer on the device.
const PIECE: usize = 4 << 20;

/// What begins and ends so soon is waited for by asking all the time.
const SPIN: Duration = Duration::from_micros(50);
/// Up to here other threads may have the processor in between.
const YIELD: Duration = Duration::from_millis(1);
/// A rest between two questions after that.
const REST: Duration = Duration::from_micros(50);

/// A GPU with what sums on it need.
pub struct Gpu {
    library: &'static Library,
    /// A stream of its own: all work here is on it, in order.
    stream: Arc<CudaStream>,
    buffer: CudaSlice<f32>,
    /// NVIDIA's name for this GPU in the world.
    uuid: Vec<u8>,
}

impl Gpu {
    /// Loads NCCL, and opens GPU `index` of the backend cuda.
    ///
    /// # Errors
    /// NCCL or the GPU is not there, or the GPU has no memory for the buffer.
    pub fn open(index: usize) -> Result<Self> {
        let library = Library::get().map_err(Error::Backend)?;
        // It says what of driver and toolkit is missing.
        BackendKind::Cuda.device(index)?;
        Self::prepare(library, index).map_err(|e| failure(&e.to_string()))
    }

    fn prepare(library: &'static Library, index: usize) -> Result<Self, DriverError> {
        // The context is the one that CubeCL's runtime works in.
        let context = CudaContext::new(index)?;
        // SAFETY: one stream keeps the order of all that uses the buffer.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream()?;
        // SAFETY: what is read of it has been written before.
        let buffer = unsafe { stream.alloc::<f32>(PIECE) }?;
        stream.synchronize()?;
        let uuid = context.uuid()?.bytes.iter().flat_map(|byte| byte.to_ne_bytes()).collect();
        Ok(Self { library, stream, buffer, uuid })
    }

    /// What no other GPU has.
    pub fn uuid(&self) -> &[u8] {
        &self.uuid
    }

    /// What all ranks of a new connection must know.
    ///
    /// # Errors
    /// NCCL finds no network.
    pub fn unique_id(&self) -> Result<Vec<u8>> {
        self.library.unique_id().map_err(Error::Backend)
    }
}

/// This rank's end of a connection between GPUs.
pub struct Ring {
    gpu: Gpu,
    connection: Connection,
    limit: Duration,
}

impl Ring {
    /// Connects this rank of so many, which all do the same.
    ///
    /// Others hear of a rank that fails here only when they give up. So they do in half the time,
    /// while it still waits to tell them.
    pub fn join(
        gpu: Gpu,
        id: &[u8],
        [rank, size]: [usize; 2],
        limit: Duration,
    ) -> Result<Self, String> {
        gpu.stream.context().bind_to_thread().map_err(told)?;
        let connection = Connection::begin(gpu.library, id, rank, size)?;
        wait(limit / 2, "NCCL's connection", || connection.is_ready())?;
        Ok(Self { gpu, connection, limit })
    }

    fn sum_piece(&mut self, piece: &mut [f32]) -> Result<(), String> {
        let what = format!("NCCL's sum of {} values", piece.len());
        let stream = &self.gpu.stream;
        let mut part = self.gpu.buffer.slice_mut(..piece.len());
        stream.memcpy_htod(&*piece, &mut part).map_err(told)?;
        let (at, _) = part.device_ptr_mut(stream);
        // SAFETY: the part of the buffer is as long. The stream keeps the order of the copies and
        // the sum; the buffer is not freed when a sum has failed.
        unsafe { self.connection.begin_sum(at, piece.len(), stream.cu_stream()) }?;
        // An event before that would not be behind the sum.
        wait(self.limit, &what, || self.connection.is_ready())?;
        let done = stream.record_event(None).map_err(told)?;
        wait(self.limit, &what, || {
            Ok(self.connection.is_ready()? && done.try_is_complete().map_err(told)?)
        })?;
        stream.memcpy_dtoh(&part, piece).map_err(told)?;
        stream.synchronize().map_err(told)
    }
}

impl Adder for Ring {
    fn sum(&mut self, values: &mut [f32]) -> Result<(), String> {
        values.chunks_mut(PIECE).try_for_each(|piece| self.sum_piece(piece))
    }

    fn end(self) -> Result<(), String> {
        self.connection.close()
    }

    fn abort(self) {
        let Self { gpu, connection, .. } = self;
        // The sum may still write to the buffer.
        mem::forget(gpu);
        connection.abort();
    }
}

/// Asks until it is done.
fn wait(
    limit: Duration,
    what: &str,
    is_done: impl Fn() -> Result<bool, String>,
) -> Result<(), String> {
    let start = Instant::now();
    while !is_done()? {
        match start.elapsed() {
            waited if waited < SPIN => spin_loop(),
            waited if waited < YIELD => thread::yield_now(),
            waited if waited < limit => thread::sleep(REST),
            _ => return Err(format!("{what} is not there after {} s", limit.as_secs_f64())),
        }
    }
    Ok(())
}

/// The driver's words.
fn told(error: DriverError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn waiting_ends_with_the_work_with_a_fault_or_with_the_limit() {
        let asked = Cell::new(0);
        let third = || {
            asked.set(asked.get() + 1);
            Ok(asked.get() == 3)
        };
        wait(Duration::from_secs(60), "a sum", third).unwrap();
        assert_eq!(asked.get(), 3);
        let begun = Instant::now();
        let limit = Duration::from_millis(20);
        let late = wait(limit, "a sum", || Ok(false)).unwrap_err();
        assert_eq!(late, "a sum is not there after 0.02 s");
        assert!(begun.elapsed() >= limit);
        let fault = wait(Duration::from_secs(60), "a sum", || Err("no link".into()));
        assert_eq!(fault.unwrap_err(), "no link");
    }
}
