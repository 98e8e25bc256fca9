//! B-trees of the first version.

use super::source::{Cursor, File};

/// What a tree leads to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Names of a group.
    Names = 0,
    /// Chunks of a dataset.
    Chunks = 1,
}

/// Gives each entry of the leaves to `each`: its key of `key` bytes and its address.
pub(super) fn walk<'a>(
    file: &File<'a>,
    root: u64,
    kind: Kind,
    key: u64,
    each: &mut dyn FnMut(Cursor<'a>, u64) -> Result<(), String>,
) -> Result<(), String> {
    let mut nodes = vec![root];
    while let Some(address) = nodes.pop() {
        let mut head = file.peek(address, 8)?;
        head.signature("TREE")?;
        let (found, level, count) = (head.number(1)?, head.number(1)?, head.number(2)?);
        if found != kind as u64 {
            return Err(format!("a tree of kind {found} is where one of kind {kind:?} is wanted"));
        }
        // There is a key on both sides of each address.
        let mut node = file.block(address, 24 + count * (key + 8) + key)?;
        node.skip(24)?;
        for _ in 0..count {
            let key = Cursor(node.take(key)?);
            match (level, node.number(8)?) {
                (0, address) => each(key, address)?,
                (_, below) => nodes.push(below),
            }
        }
    }
    Ok(())
}
