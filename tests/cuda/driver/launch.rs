//! Kernels, already compiled by NVRTC, and their launches.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use crate::card::{Kernel, card, lost};
use crate::device::shared_memory;
use crate::{ECC_UNCORRECTABLE, INVALID_VALUE, OK, Status};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadData(module: *mut usize, _: *const c_void) -> Status {
    unsafe { *module = 4 };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetFunction(
    function: *mut usize,
    _: usize,
    name: *const c_char,
) -> Status {
    let mut card = card();
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    card.kernels.push(Kernel { name, launches: 0, bytes: [0; 2] });
    unsafe { *function = card.kernels.len() };
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuFuncSetAttribute(_: usize, _: c_int, _: c_int) -> Status {
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuLaunchKernel(
    function: usize,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared: c_uint,
    _: usize,
    _: usize,
    _: usize,
) -> Status {
    let mut card = card();
    if card.totals()[0] >= lost() {
        return ECC_UNCORRECTABLE;
    }
    let threads = u64::from(block_x) * u64::from(block_y) * u64::from(block_z);
    let fits = (1..=1024).contains(&threads)
        && block_z <= 64
        && grid_x.min(grid_y).min(grid_z) > 0
        && grid_x <= i32::MAX as c_uint
        && grid_y.max(grid_z) <= 65_535
        && shared <= shared_memory() as c_uint;
    let bound = std::mem::take(&mut card.bound);
    let Some(kernel) = card.kernels.get_mut(function.wrapping_sub(1)) else {
        return INVALID_VALUE;
    };
    if fits {
        kernel.launches += 1;
        kernel.bytes = [kernel.bytes[0] + bound[0], kernel.bytes[1] + bound[1]];
        return OK;
    }
    let fault = format!(
        "{}: grid {grid_x} {grid_y} {grid_z}, block {block_x} {block_y} {block_z}, {shared} bytes \
         shared",
        kernel.name
    );
    card.faults.push(fault);
    INVALID_VALUE
}

#[unsafe(no_mangle)]
pub extern "C" fn cuTensorMapEncodeTiled() -> Status {
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuTensorMapEncodeIm2col() -> Status {
    OK
}
