//! How `mpirun` is called, and this program again as several ranks.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What ranks have done.
pub struct Done {
    pub success: bool,
    /// What all of them and their launcher have written.
    pub said: String,
    pub took: Duration,
}

/// Whether `mpirun` is there.
///
/// # Panics
/// If it is missing in CI.
pub fn is_there() -> bool {
    let found = Command::new("mpirun").arg("--version").stdin(Stdio::null()).output();
    if let Err(e) = &found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has mpirun: {e}");
        eprintln!("skipped: mpirun: {e}");
    }
    found.is_ok()
}

/// Runs an ignored test of this program as so many ranks; nothing where `mpirun` is missing.
pub fn ranks(count: usize, test: &str) -> Option<Done> {
    if !is_there() {
        return None;
    }
    let start = Instant::now();
    let output = mpirun(count)
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Some(Done { success: output.status.success(), said, took: start.elapsed() })
}

/// The one place that knows how `mpirun` is called. In containers tests run as root; a machine may
/// have fewer cores than there are ranks. Bound to a core, threads of a rank would share it.
pub fn mpirun(ranks: usize) -> Command {
    let mut command = Command::new("mpirun");
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.args(["--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string()]);
    command
}
