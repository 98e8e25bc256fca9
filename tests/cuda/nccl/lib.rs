//! A stand-in for NVIDIA's NCCL, for one process that is rank 0 of two. It sums on the stand-in for
//! the driver, whose device memory the processor can reach. Rank 1 always has the same values.
//!
//! Calls do not wait: each is under way for a few questions, and a sum is there after the last one.
//! `STAND_IN_NCCL` is `apart` where ranks never reach each other, `hang` where sums never end, and
//! `broken` where they fail.
//!
//! `rustc --edition 2024 -O lib.rs -o libnccl.so.2` makes it.

#![crate_type = "cdylib"]
#![allow(non_snake_case, reason = "NVIDIA's names")]

use std::ffi::{c_char, c_int, c_uint};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// NVIDIA's `ncclResult_t`.
type Status = c_int;
const OK: Status = 0;
const INVALID_ARGUMENT: Status = 4;
const REMOTE_ERROR: Status = 6;
const IN_PROGRESS: Status = 7;

/// NVIDIA's `ncclFloat32` and `ncclSum`.
const FLOAT32: c_int = 7;
const SUM: c_int = 0;

/// The only connection.
const CONNECTION: usize = 21;
/// Questions before something is done.
const QUESTIONS: u32 = 3;

/// `ncclConfig_t` of NCCL 2.14.
#[repr(C)]
pub struct Config {
    size: usize,
    magic: c_uint,
    version: c_uint,
    blocking: c_int,
}

/// `ncclUniqueId`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
pub struct Id([u8; 128]);

/// What is under way.
struct Work {
    questions: u32,
    /// Address and number of the values of a sum.
    sum: Option<(usize, usize)>,
}

static WORK: Mutex<Work> = Mutex::new(Work { questions: 0, sum: None });

fn work() -> MutexGuard<'static, Work> {
    WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn id() -> Id {
    Id(std::array::from_fn(|i| 255 - i as u8))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ncclGetVersion(version: *mut c_int) -> Status {
    unsafe { *version = 22_703 };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ncclGetUniqueId(to: *mut Id) -> Status {
    unsafe { *to = id() };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ncclCommInitRankConfig(
    connection: *mut usize,
    size: c_int,
    given: Id,
    rank: c_int,
    config: *mut Config,
) -> Status {
    let config = unsafe { &*config };
    let fits = config.size == size_of::<Config>()
        && (config.magic, config.version, config.blocking) == (0xcafe_beef, 21_400, 0);
    if !fits || (rank, size) != (0, 2) || given != id() {
        return INVALID_ARGUMENT;
    }
    unsafe { *connection = CONNECTION };
    *work() = Work { questions: QUESTIONS, sum: None };
    IN_PROGRESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ncclCommGetAsyncError(connection: usize, state: *mut Status) -> Status {
    if connection != CONNECTION {
        return INVALID_ARGUMENT;
    }
    let mut work = work();
    let fault = std::env::var("STAND_IN_NCCL").unwrap_or_default();
    let now = match (fault.as_str(), work.sum) {
        ("apart", None) | ("hang", Some(_)) => IN_PROGRESS,
        ("broken", Some(_)) => REMOTE_ERROR,
        _ if work.questions > 0 => {
            work.questions -= 1;
            IN_PROGRESS
        }
        _ => {
            if let Some((at, count)) = work.sum.take() {
                let values = unsafe { std::slice::from_raw_parts_mut(at as *mut f32, count) };
                values.iter_mut().for_each(|x| *x += *x);
            }
            OK
        }
    };
    unsafe { *state = now };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ncclAllReduce(
    from: usize,
    to: usize,
    count: usize,
    kind: c_int,
    operation: c_int,
    connection: usize,
    _: usize,
) -> Status {
    let mut work = work();
    let is_free = work.sum.is_none() && work.questions == 0;
    if !is_free || from != to || (kind, operation, connection) != (FLOAT32, SUM, CONNECTION) {
        return INVALID_ARGUMENT;
    }
    *work = Work { questions: QUESTIONS, sum: Some((to, count)) };
    IN_PROGRESS
}

#[unsafe(no_mangle)]
pub extern "C" fn ncclCommDestroy(connection: usize) -> Status {
    match work().sum.is_none() && connection == CONNECTION {
        true => OK,
        false => INVALID_ARGUMENT,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ncclCommAbort(_: usize) -> Status {
    work().sum = None;
    OK
}

#[unsafe(no_mangle)]
pub extern "C" fn ncclGetErrorString(status: Status) -> *const c_char {
    let words = match status {
        REMOTE_ERROR => c"remote process exited or there was a network error",
        _ => c"invalid argument",
    };
    words.as_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn ncclGetLastError(_: usize) -> *const c_char {
    c"rank 1\n is gone".as_ptr()
}
