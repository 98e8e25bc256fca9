//! A stand-in for NVIDIA's driver on machines without one. CubeCL's CUDA runtime opens it as
//! `libcuda.so` and finds the card that the environment describes. The real NVRTC compiles the
//! kernels. Launches are checked and counted, and compute nothing: what a kernel would have written
//! is zero. Memory is reserved and counted; it becomes real where the host copies to it.
//!
//! `STAND_IN_ARCH` is the compute capability (`75`), `STAND_IN_MEMORY` the card's bytes. After
//! `STAND_IN_LOST` launches the card is lost. At its end the program writes what it asked of the
//! card to the file `STAND_IN_REPORT`: `peak BYTES`, `launches N`, `waits N`, and a line for each
//! kernel, `kernel LAUNCHES READ WRITTEN NAME`, or for each refused launch, `fault WHAT`. READ and
//! WRITTEN are bytes of the tensors bound by the launches. They are 0 unless somebody tells them
//! (`standInBound`; benches/gpu_dry.patch does).
//!
//! `rustc --edition 2024 -O lib.rs -o libcuda.so` makes it.

#![crate_type = "cdylib"]
#![allow(non_snake_case, reason = "NVIDIA's names")]

mod card;
mod device;
mod launch;
mod memory;
mod queue;

use std::ffi::{c_char, c_int};

/// NVIDIA's `CUresult`.
type Status = c_int;
const OK: Status = 0;
const INVALID_VALUE: Status = 1;
const OUT_OF_MEMORY: Status = 2;
const ECC_UNCORRECTABLE: Status = 214;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorName(status: Status, name: *mut *const c_char) -> Status {
    unsafe { cuGetErrorString(status, name) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorString(status: Status, text: *mut *const c_char) -> Status {
    let words = match status {
        OUT_OF_MEMORY => c"CUDA_ERROR_OUT_OF_MEMORY",
        ECC_UNCORRECTABLE => c"CUDA_ERROR_ECC_UNCORRECTABLE",
        _ => c"CUDA_ERROR_INVALID_VALUE",
    };
    unsafe { *text = words.as_ptr() };
    OK
}
