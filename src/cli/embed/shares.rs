//! Files beside an output in which several processes keep their shares of it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::corpus::Shard;
use crate::fs;
use crate::terminal::errln;

/// So many files are named in a warning.
const NAMED: usize = 4;

/// Where the embeddings of a shard wait for the others: `OUTPUT.2-of-4`.
pub(super) fn of(output: &Path, shard: Shard) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(format!(".{}-of-{}", shard.index() + 1, shard.count()));
    name.into()
}

/// Warns of shares that are there although the output is done: processes in another number have
/// left them, and nobody goes on with them.
pub(super) fn warn(output: &Path) {
    if let Some(text) = warning(&left(output)) {
        errln!("warning: {text}");
    }
}

fn warning(left: &[String]) -> Option<String> {
    let (named, others) = left.split_at(left.len().min(NAMED));
    let mut all = named.to_vec();
    if !others.is_empty() {
        all.push(format!("{} more", others.len()));
    }
    let (last, before) = all.split_last()?;
    let names = match before {
        [] => last.clone(),
        before => format!("{} and {last}", before.join(", ")),
    };
    Some(format!(
        "an unfinished run by another number of processes has left {names}; unless it is to go on, \
         this may be removed"
    ))
}

/// The shares that are there, and what was done of unfinished ones (`OUTPUT.2-of-4.part`), sorted.
fn left(output: &Path) -> Vec<String> {
    let Some(name) = output.file_name().and_then(OsStr::to_str) else { return Vec::new() };
    let is_share = |entry: &str| {
        let rest = entry.strip_prefix(name)?.strip_prefix('.')?;
        let shard = rest.strip_suffix(".part").unwrap_or(rest);
        let (index, count) = shard.split_once("-of-")?;
        Shard::parse(&format!("{index}/{count}")).ok()
    };
    let folder = fs::parent(output);
    // A folder that cannot be listed is no reason to fail: the output is written.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let shares = names.filter(|entry| is_share(entry).is_some());
    let mut shares: Vec<String> =
        shares.map(|entry| output.with_file_name(entry).display().to_string()).collect();
    shares.sort();
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_lie_beside_the_output() {
        let share = of(Path::new("a/e.safetensors"), Shard::of(1, 4));
        assert_eq!(share, Path::new("a/e.safetensors.2-of-4"));
    }

    #[test]
    fn shares_that_nobody_needs_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("e.safetensors");
        let write = |more: &str| std::fs::write(format!("{}{more}", output.display()), "").unwrap();
        for other in ["", ".part", ".0-of-2", ".3-of-2", ".1-of-2.old", ".1-of-x", "1-of-2"] {
            write(other);
        }
        assert_eq!(left(&output), Vec::<String>::new());
        for share in [".2-of-2", ".1-of-2.part"] {
            write(share);
        }
        let beside = |more: &str| format!("{}{more}", output.display());
        assert_eq!(left(&output), [beside(".1-of-2.part"), beside(".2-of-2")]);
        let text = warning(&left(&output)).unwrap();
        let names = format!("{} and {}", beside(".1-of-2.part"), beside(".2-of-2"));
        assert!(text.contains(&format!("processes has left {names}; unless")), "{text}");
        (1..=9).for_each(|i| write(&format!(".{i}-of-9")));
        let text = warning(&left(&output)).unwrap();
        assert!(text.contains(" and 7 more; unless"), "{text}");
        assert_eq!(left(&dir.path().join("none/e")), Vec::<String>::new());
        assert_eq!(warning(&[]), None);
    }
}
