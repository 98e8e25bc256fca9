//! What the card is.

use std::ffi::{c_char, c_int, c_uint};

use crate::card::{arch, memory, report};
use crate::{INVALID_VALUE, OK, Status};

unsafe extern "C" {
    fn atexit(last: extern "C" fn()) -> c_int;
}

/// Shared memory of a block at most, by the CUDA C++ Programming Guide's table of compute
/// capabilities.
pub fn shared_memory() -> c_int {
    match arch() {
        75 => 64 << 10,
        80 | 87 => 163 << 10,
        90..=119 => 227 << 10,
        _ => 99 << 10,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuInit(_: c_uint) -> Status {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        unsafe { atexit(report) };
    });
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Status {
    unsafe { *version = 13_000 };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Status {
    unsafe { *count = 1 };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGet(device: *mut c_int, _: c_int) -> Status {
    unsafe { *device = 0 };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, size: c_int, _: c_int) -> Status {
    let text = format!("stand-in sm_{}\0", arch());
    if text.len() > size as usize {
        return INVALID_VALUE;
    }
    unsafe { name.copy_from_nonoverlapping(text.as_ptr().cast(), text.len()) };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetPCIBusId(_: *mut c_char, _: c_int, _: c_int) -> Status {
    INVALID_VALUE
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, _: c_int) -> Status {
    unsafe { *bytes = memory() as usize };
    OK
}

/// Knows the attributes that CubeCL and cudarc ask for, by their numbers in `cuda.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetAttribute(
    value: *mut c_int,
    attribute: c_int,
    _: c_int,
) -> Status {
    let number = match attribute {
        // Threads of a block; its dimensions; those of a grid.
        1..=3 => 1024,
        4 => 64,
        5 => i32::MAX,
        6 | 7 => 65_535,
        // The warp.
        10 => 32,
        16 => 68,
        75 => (arch() / 10) as c_int,
        76 => (arch() % 10) as c_int,
        97 => shared_memory(),
        // It has no pools of memory.
        115 => 0,
        _ => return INVALID_VALUE,
    };
    unsafe { *value = number };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut usize, _: c_int) -> Status {
    unsafe { *context = 1 };
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxRelease_v2(_: c_int) -> Status {
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetUuid(uuid: *mut [u8; 16], _: c_int) -> Status {
    unsafe { *uuid = *b"of the stand-in\0" };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], device: c_int) -> Status {
    unsafe { cuDeviceGetUuid(uuid, device) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetCurrent(context: *mut usize) -> Status {
    unsafe { *context = 0 };
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSetCurrent(_: usize) -> Status {
    OK
}
