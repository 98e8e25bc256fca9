//! Commands in the place of files, as Kaldi's lists have them: `sph2pipe -f wav a.sph |` is what
//! that command writes to its standard output.
//!
//! They run programs, so nothing is read from a command unless [`allow`] was called.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

static ALLOWED: AtomicBool = AtomicBool::new(false);

/// Lets lists name commands from now on, in the whole process.
pub fn allow() {
    ALLOWED.store(true, Ordering::Relaxed);
}

/// Whether lists may name commands.
pub fn is_allowed() -> bool {
    ALLOWED.load(Ordering::Relaxed)
}

/// Whether the text of a list is a command.
pub fn is_command(text: &str) -> bool {
    text.trim_end().ends_with('|')
}

/// The command that stands in the place of a file, if commands are allowed and this is one.
pub(super) fn command(path: &Path) -> Option<&str> {
    let text = path.to_str().filter(|text| is_allowed() && is_command(text))?;
    text.trim_end().strip_suffix('|').map(str::trim)
}

/// What a command writes to its standard output. The system's shell runs it. Its last line on
/// standard error is part of the error.
///
/// # Errors
/// A command that cannot be started or that fails.
pub(super) fn run(command: &str) -> Result<Vec<u8>> {
    let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let run = Command::new(shell).arg(option).arg(command).stdin(Stdio::null()).output();
    let output = run.map_err(|e| Error::invalid(format!("`{command} |` cannot be run: {e}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(Error::invalid(format!("`{command} |` failed ({}): {last}", output.status)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_writes_is_its_output() {
        assert_eq!(run("printf abc").unwrap(), b"abc");
        let error = run("echo lost >&2; exit 3").unwrap_err().to_string();
        assert!(error.contains("exit 3 |` failed") && error.ends_with("lost"), "{error}");
    }

    #[test]
    fn commands_are_told_by_their_end() {
        assert!(is_command("sox a.wav - |") && is_command("cat a.wav |  "));
        assert!(!is_command("a|b.wav") && !is_command(""));
    }
}
