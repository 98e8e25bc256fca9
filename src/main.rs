//! `revox`: parse, run, exit code.

use std::process::ExitCode;

/// Counts bytes for `revox memory --measure`, and leaves the allocating to the system.
#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

fn main() -> ExitCode {
    revox::cli::main()
}
