//! This program again, as several ranks.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What ranks have done.
pub struct Done {
    pub success: bool,
    /// What all of them and their launcher have written.
    pub said: String,
    pub took: Duration,
}

/// Runs an ignored test of this program as so many ranks; nothing where `mpirun` is missing.
///
/// # Panics
/// If `mpirun` is missing in CI.
pub fn ranks(count: usize, test: &str) -> Option<Done> {
    let start = Instant::now();
    let output = mpirun(count)
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(e) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has mpirun: {e}");
            eprintln!("skipped: mpirun: {e}");
            return None;
        }
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Some(Done { success: output.status.success(), said, took: start.elapsed() })
}

/// The one place that knows how `mpirun` is called. In containers tests run as root; a machine may
/// have fewer cores than there are ranks. Bound to a core, threads of a rank would share it.
fn mpirun(ranks: usize) -> Command {
    let mut command = Command::new("mpirun");
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.args(["--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string()]);
    command
}
