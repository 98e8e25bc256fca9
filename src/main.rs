//! `revox`: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    revox::cli::main()
}
