//! Memory that a program has freed.

/// Has the C library keep freed memory for what comes next, up to a gigabyte at the end of a heap.
/// Otherwise glibc gives every large buffer back to the system, which then clears each page anew:
/// a tenth of the time of a training step on a CPU. Other C libraries do as they do.
///
/// A program calls it once, at its start. The program `revox` does.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "a function of the C library")]
    {
        // Buffers from this size on have mappings of their own, which go when they are freed.
        const APART: libc::c_int = 1 << 30;
        // SAFETY: the call sets two numbers of the allocator, which is in use already.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, APART);
            libc::mallopt(libc::M_TRIM_THRESHOLD, APART);
        }
    }
}
