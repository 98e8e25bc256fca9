//! Counts the points, and chooses the one that fails.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::Op;

/// The exit code of a process that ends at a point.
const ENDED: i32 = 99;
/// The exit code for variables with impossible values.
const USAGE: i32 = 2;

/// The plan of this process; none without the variables.
static PLAN: LazyLock<Option<Mutex<Plan>>> =
    LazyLock::new(|| Plan::of_environment().map(Mutex::new));

/// Passes the point of an operation on `path`.
///
/// # Errors
/// The planned failure.
pub(in crate::fs) fn point(op: Op, path: &Path) -> io::Result<()> {
    reach(op, path, || ())
}

/// Passes the point of writing `bytes` to `out`, which is `path` or will replace it.
///
/// # Errors
/// The planned failure.
pub(in crate::fs) fn writing(
    op: Op,
    path: &Path,
    out: &mut impl Write,
    bytes: &[u8],
) -> io::Result<()> {
    reach(op, path, || {
        let _ = out.write_all(&bytes[..bytes.len() / 2]);
    })
}

/// Passes a point. `tear` does half of the operation.
fn reach(op: Op, path: &Path, tear: impl FnOnce()) -> io::Result<()> {
    let Some(plan) = &*PLAN else { return Ok(()) };
    // If the process ends here, it still holds the plan, so no other thread passes a point.
    let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
    let (label, outcome) = plan.pass(op, &last_name(path));
    let full = || -> io::Result<()> { Err(io::ErrorKind::StorageFull.into()) };
    let mode = match outcome {
        Outcome::Pass => return Ok(()),
        Outcome::Full => return full(),
        Outcome::Hit(mode) => mode,
    };
    let _ = writeln!(io::stderr(), "fault injected: {}@{label}", mode.name());
    match mode {
        Mode::Kill => std::process::exit(ENDED),
        Mode::Torn => {
            tear();
            std::process::exit(ENDED)
        }
        Mode::Once | Mode::Full => full(),
    }
}

fn last_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Ends the process: a test must not go on without the fault that it wants.
fn refuse(message: &str) -> ! {
    let _ = writeln!(io::stderr(), "error: {message}");
    std::process::exit(USAGE)
}

impl Op {
    const ALL: [Self; 10] = [
        Self::Create,
        Self::Write,
        Self::Sync,
        Self::Rename,
        Self::SyncFolder,
        Self::Append,
        Self::SyncAppend,
        Self::Link,
        Self::Remove,
        Self::CreateFolder,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::SyncFolder => "sync-folder",
            Self::Append => "append",
            Self::SyncAppend => "sync-append",
            Self::Link => "link",
            Self::Remove => "remove",
            Self::CreateFolder => "create-folder",
        }
    }

    /// Whether a full disk makes it fail.
    fn takes_space(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Write
                | Self::Append
                | Self::Sync
                | Self::Link
                | Self::CreateFolder
        )
    }
}

/// How a point fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Kill,
    Torn,
    Once,
    Full,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Kill, Self::Torn, Self::Once, Self::Full];

    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Torn => "torn",
            Self::Once => "once",
            Self::Full => "full",
        }
    }
}

/// A point, and how it fails.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    mode: Mode,
    label: String,
}

impl Fault {
    /// Reads `MODE@OP NAME N`; none if the text is anything else.
    fn parse(text: &str) -> Option<Self> {
        let (mode, label) = text.split_once('@')?;
        let mode = Mode::ALL.into_iter().find(|m| m.name() == mode)?;
        let (op, rest) = label.split_once(' ')?;
        let op = Op::ALL.into_iter().find(|o| o.name() == op)?;
        let (name, count) = rest.rsplit_once(' ')?;
        let count = count.parse::<u64>().ok().filter(|&n| n > 0)?;
        (!name.is_empty()).then(|| Self { mode, label: label_of(op, name, count) })
    }
}

fn label_of(op: Op, name: &str, count: u64) -> String {
    format!("{} {name} {count}", op.name())
}

/// What happens to an operation.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Pass,
    /// It fails, because the disk has been full since an earlier point.
    Full,
    /// It fails, because this is the point of the fault.
    Hit(Mode),
}

#[derive(Debug, Default)]
struct Plan {
    fault: Option<Fault>,
    log: Option<File>,
    /// How often each operation on each name was done.
    counts: HashMap<(&'static str, String), u64>,
    is_full: bool,
}

impl Plan {
    /// The plan of the environment variables; none without any.
    fn of_environment() -> Option<Self> {
        let fault = std::env::var_os("REVOX_FAULT").map(|text| {
            let text = text.to_string_lossy();
            Fault::parse(&text).unwrap_or_else(|| {
                refuse(&format!(
                    "REVOX_FAULT={text}: must be MODE@OP NAME N, \
                     such as kill@rename model.safetensors 1"
                ))
            })
        });
        let log = std::env::var_os("REVOX_FAULT_LOG").map(|path| Self::open_log(&path));
        (fault.is_some() || log.is_some()).then(|| Self { fault, log, ..Self::default() })
    }

    fn open_log(path: &OsStr) -> File {
        File::options().create(true).append(true).open(path).unwrap_or_else(|e| {
            refuse(&format!("REVOX_FAULT_LOG={}: cannot write: {e}", path.to_string_lossy()))
        })
    }

    /// Counts a point. Returns its name and what happens to the operation.
    fn pass(&mut self, op: Op, name: &str) -> (String, Outcome) {
        let count = self.counts.entry((op.name(), name.to_owned())).or_insert(0);
        *count += 1;
        let label = label_of(op, name, *count);
        if let Some(log) = &mut self.log
            && let Err(e) = log.write_all(format!("{label}\n").as_bytes())
        {
            refuse(&format!("REVOX_FAULT_LOG: cannot write: {e}"));
        }
        let outcome = match &self.fault {
            Some(fault) if fault.label == label => Outcome::Hit(fault.mode),
            _ if self.is_full && op.takes_space() => Outcome::Full,
            _ => Outcome::Pass,
        };
        self.is_full |= outcome == Outcome::Hit(Mode::Full);
        (label, outcome)
    }
}

#[cfg(test)]
mod tests;
