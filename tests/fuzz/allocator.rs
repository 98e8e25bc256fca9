//! Counts the bytes that the process holds, on all threads, and refuses requests that no input here
//! can justify, so that a faulty reader does not exhaust the machine.

#![allow(unsafe_code, reason = "an allocator is unsafe by its trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Most bytes held at a time.
const MOST: usize = 1 << 31;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
pub struct Counting;

/// Begins a measurement: forgets the peak and what was refused, and gives the bytes held now.
pub fn begin() -> usize {
    let live = LIVE.load(Relaxed);
    PEAK.store(live, Relaxed);
    REFUSED.store(0, Relaxed);
    live
}

/// The most bytes held since [`begin`], above those held then.
pub fn peak_above(live: usize) -> usize {
    PEAK.load(Relaxed).saturating_sub(live)
}

/// The largest request that was refused since [`begin`], 0 for none.
pub fn refused() -> usize {
    REFUSED.load(Relaxed)
}

fn admits(size: usize) -> bool {
    let fits = LIVE.load(Relaxed).saturating_add(size) <= MOST;
    if !fits {
        REFUSED.fetch_max(size, Relaxed);
    }
    fits
}

fn add(size: usize) {
    let before = LIVE.fetch_add(size, Relaxed);
    PEAK.fetch_max(before + size, Relaxed);
}

/// Counts a block if there is one.
fn counted(block: *mut u8, size: usize) -> *mut u8 {
    if !block.is_null() {
        add(size);
    }
    block
}

// SAFETY: every block is the system allocator's, asked for and given back under its own layout; a
// null pointer is the answer that the trait gives to a request that cannot be met.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match admits(layout.size()) {
            // SAFETY: the caller keeps the contract of `alloc`.
            true => counted(unsafe { System.alloc(layout) }, layout.size()),
            false => null_mut(),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match admits(layout.size()) {
            // SAFETY: the caller keeps the contract of `alloc_zeroed`.
            true => counted(unsafe { System.alloc_zeroed(layout) }, layout.size()),
            false => null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) };
        LIVE.fetch_sub(layout.size(), Relaxed);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let before = layout.size();
        if !admits(size.saturating_sub(before)) {
            return null_mut();
        }
        // SAFETY: the caller keeps the contract of `realloc`.
        let moved = unsafe { System.realloc(block, layout, size) };
        if !moved.is_null() {
            add(size.saturating_sub(before));
            LIVE.fetch_sub(before.saturating_sub(size), Relaxed);
        }
        moved
    }
}
