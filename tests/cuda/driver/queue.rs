//! Streams and events. Nothing runs, so nothing is ever waited for.

use std::ffi::c_uint;

use crate::card::card;
use crate::{OK, Status};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreate(stream: *mut usize, _: c_uint) -> Status {
    unsafe { *stream = 2 };
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamDestroy_v2(_: usize) -> Status {
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamSynchronize(_: usize) -> Status {
    card().waits += 1;
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamWaitEvent(_: usize, _: usize, _: c_uint) -> Status {
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventCreate(event: *mut usize, _: c_uint) -> Status {
    unsafe { *event = 3 };
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventDestroy_v2(_: usize) -> Status {
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventRecord(_: usize, _: usize) -> Status {
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventQuery(_: usize) -> Status {
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventSynchronize(_: usize) -> Status {
    card().waits += 1;
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventElapsedTime_v2(
    milliseconds: *mut f32,
    _: usize,
    _: usize,
) -> Status {
    unsafe { *milliseconds = 1.0 };
    OK
}
