//! Points at which a test lets the disk fail or the process end. Only builds with debug assertions
//! have them; in others every point is nothing.
//!
//! Whatever changes the disk passes a point first, except for what a process removes because its
//! work has failed. A point's name is `OP NAME N`: what is done, the last name of the file that is
//! meant (the file to be replaced, never the temporary one), and how often the two have come
//! together in this process, from 1: `rename model.safetensors 1`. A leftover of another process
//! stands for none of this one's files; its name is `.revox-file-XXXXXX`.
//!
//! The environment variable `REVOX_FAULT` is `MODE@POINT`. Once that point is reached:
//!
//! | mode | what happens |
//! |---|---|
//! | `kill` | the process ends with exit code 99 |
//! | `torn` | half of the bytes are written before the end of `kill` |
//! | `once` | the operation fails as on a full disk |
//! | `full` | the operation fails, and so does whatever takes up space from now on |
//!
//! `REVOX_FAULT_LOG` names a file that every point's name is appended to, a line each.

#[cfg(debug_assertions)]
mod plan;

#[cfg(debug_assertions)]
pub(super) use plan::{point, writing};

/// What is about to change the disk.
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

/// Passes the point of writing `bytes` to `out`, which is `path` or is to become it.
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
