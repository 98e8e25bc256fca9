//! `revox`: parse, run, exit code.

use std::process::ExitCode;

/// Counts bytes for `revox memory --measure`, and leaves the allocating to the system.
#[global_allocator]
static ALLOCATOR: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

fn main() -> ExitCode {
    // A reader that has seen enough (`revox ... | head`) ends the program, as it ends others.
    sigpipe::reset();
    revox::cli::main()
}
