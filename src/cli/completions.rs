//! `revox completions`.

use clap_complete::Shell;

use super::command;
use crate::error::Result;
use crate::fs;

/// Completions for a shell, on standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox completions bash > ~/.local/share/bash-completion/completions/revox
  revox completions fish > ~/.config/fish/completions/revox.fish")]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "revox", &mut script);
    fs::write_bytes(fs::STDOUT, &script)
}
