//! Memory of the card, reserved and not made real, and copies between it and the host.

use std::ffi::{c_int, c_void};

use crate::card::{card, memory};
use crate::{INVALID_VALUE, OK, OUT_OF_MEMORY, Status};

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        size: usize,
        prot: c_int,
        flags: c_int,
        fd: c_int,
        from: i64,
    ) -> *mut c_void;
    fn munmap(at: *mut c_void, size: usize) -> c_int;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAlloc_v2(pointer: *mut u64, size: usize) -> Status {
    const READ_WRITE: c_int = 3;
    const PRIVATE_ANONYMOUS_NORESERVE: c_int = 0x4022;
    let mut card = card();
    if size == 0 {
        return INVALID_VALUE;
    }
    if card.reserved + size as u64 > memory() {
        return OUT_OF_MEMORY;
    }
    let at =
        unsafe { mmap(std::ptr::null_mut(), size, READ_WRITE, PRIVATE_ANONYMOUS_NORESERVE, -1, 0) };
    if at as isize == -1 {
        return OUT_OF_MEMORY;
    }
    card.pages.insert(at as usize, size);
    card.reserved += size as u64;
    card.peak = card.peak.max(card.reserved);
    unsafe { *pointer = at as u64 };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Status {
    unsafe {
        *free = (memory() - card().reserved) as usize;
        *total = memory() as usize;
    }
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocAsync(pointer: *mut u64, size: usize, _: usize) -> Status {
    unsafe { cuMemAlloc_v2(pointer, size) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFree_v2(pointer: u64) -> Status {
    let mut card = card();
    let Some(size) = card.pages.remove(&(pointer as usize)) else {
        return INVALID_VALUE;
    };
    card.reserved -= size as u64;
    unsafe { munmap(pointer as *mut c_void, size) };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFreeAsync(pointer: u64, _: usize) -> Status {
    unsafe { cuMemFree_v2(pointer) }
}

/// Gives memory of the host, with its size in front of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocHost_v2(pointer: *mut *mut c_void, size: usize) -> Status {
    let mut cells = vec![0u128; size.div_ceil(16) + 16].into_boxed_slice();
    cells[0] = cells.len() as u128;
    let start = Box::into_raw(cells).cast::<u128>();
    unsafe { *pointer = start.add(16).cast() };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFreeHost(pointer: *mut c_void) -> Status {
    unsafe {
        let start = pointer.cast::<u128>().sub(16);
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(start, *start as usize)));
    }
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: u64,
    from: *const u8,
    size: usize,
    _: usize,
) -> Status {
    unsafe { (to as *mut u8).copy_from_nonoverlapping(from, size) };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    to: *mut u8,
    from: u64,
    size: usize,
    _: usize,
) -> Status {
    unsafe { to.copy_from_nonoverlapping(from as *const u8, size) };
    OK
}

/// Copies nothing: there are zeros at both places, and a copy would make their pages real.
#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoDAsync_v2(_: u64, _: u64, _: usize, _: usize) -> Status {
    OK
}

/// `CUDA_MEMCPY2D`.
#[repr(C)]
pub struct Copy2d {
    from_x: usize,
    from_y: usize,
    from_kind: c_int,
    from_host: *const u8,
    from_card: u64,
    from_array: usize,
    from_pitch: usize,
    to_x: usize,
    to_y: usize,
    to_kind: c_int,
    to_host: *mut u8,
    to_card: u64,
    to_array: usize,
    to_pitch: usize,
    width: usize,
    height: usize,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpy2DAsync_v2(copy: *const Copy2d, _: usize) -> Status {
    const HOST: c_int = 1;
    let copy = unsafe { &*copy };
    if [copy.from_x, copy.from_y, copy.to_x, copy.to_y] != [0; 4] {
        return INVALID_VALUE;
    }
    let from = if copy.from_kind == HOST { copy.from_host } else { copy.from_card as *const u8 };
    let to = if copy.to_kind == HOST { copy.to_host } else { copy.to_card as *mut u8 };
    if copy.from_kind != HOST && copy.to_kind != HOST {
        return OK;
    }
    for row in 0..copy.height {
        unsafe {
            to.add(row * copy.to_pitch)
                .copy_from_nonoverlapping(from.add(row * copy.from_pitch), copy.width);
        }
    }
    OK
}
