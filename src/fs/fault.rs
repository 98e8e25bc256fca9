//! Points at which a test makes the disk fail or ends the process. They exist only in builds with
//! debug assertions.
//!
//! Every change of the disk passes a point first, except for removals after a failure. The name of
//! a point is `OP NAME N`, such as `rename model.safetensors 1`: the operation, the last name of
//! the file, and a count, from 1, of this operation on this name in the process. The file is the
//! one to be replaced, never the temporary one. A temporary file of another process belongs to no
//! file of this one, and has the name `.revox-file-XXXXXX`.
//!
//! The environment variable `REVOX_FAULT` is `MODE@POINT`. When the process reaches that point:
//!
//! | mode | what happens |
//! |---|---|
//! | `kill` | the process ends with exit code 99 |
//! | `torn` | half of the bytes are written, then the process ends as with `kill` |
//! | `once` | the operation fails as on a full disk |
//! | `full` | the operation fails, and so do all later ones that take space |
//!
//! `REVOX_FAULT_LOG` names a file to which the names of all points are appended, one a line.

#[cfg(debug_assertions)]
mod plan;

#[cfg(debug_assertions)]
pub(super) use plan::{point, writing};

/// An operation that changes the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Create,
    Write,
    Sync,
    Rename,
    SyncFolder,
    Append,
    SyncAppend,
    Link,
    Remove,
    CreateFolder,
}

/// Passes the point of an operation on `path`.
#[cfg(not(debug_assertions))]
#[inline]
pub(super) fn point(_: Op, _: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

/// Passes the point of writing `bytes` to `out`, which is `path` or will replace it.
#[cfg(not(debug_assertions))]
#[inline]
pub(super) fn writing(
    _: Op,
    _: &std::path::Path,
    _: &mut impl std::io::Write,
    _: &[u8],
) -> std::io::Result<()> {
    Ok(())
}
