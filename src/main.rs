//! `revox`: parse, run, exit code.

use std::process::ExitCode;

/// Counts bytes for `revox memory --measure`. The system's allocator does the work.
#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

fn main() -> ExitCode {
    revox::keep_freed_memory();
    revox::cli::main()
}
