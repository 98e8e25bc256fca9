//! Names of the root group.

use super::header::{Header, LINK, LINK_INFO, SYMBOL_TABLE};
use super::source::{Cursor, File};
use super::{superblock, tree};

/// Names of so many bytes are none of those that are looked for.
const LONGEST: usize = 32;
/// The address of what is not there.
const NOWHERE: u64 = u64::MAX;

/// Told of each name and its object's address.
type Meet<'m> = &'m mut dyn FnMut(&[u8], u64) -> Result<(), String>;

/// Addresses of the root group's objects of these names.
pub(super) fn find<const N: usize>(
    file: &File,
    names: [&str; N],
) -> Result<[Option<u64>; N], String> {
    let group = Header::read(file, superblock::root(file)?)?;
    let mut found = [None; N];
    let mut meet = |name: &[u8], address: u64| -> Result<(), String> {
        let Some(i) = names.iter().position(|wanted| wanted.as_bytes() == name) else {
            return Ok(());
        };
        match found[i].replace(address) {
            None => Ok(()),
            Some(_) => Err(format!("`{}` is there twice", names[i])),
        }
    };
    if let Some(mut table) = group.get(SYMBOL_TABLE)? {
        in_table(file, table.number(8)?, table.number(8)?, &mut meet)?;
    }
    for link in group.all(LINK) {
        in_message(link, &mut meet)?;
    }
    if let Some(mut info) = group.get(LINK_INFO)? {
        info.skip(1)?;
        // The highest order of creation.
        let order = 8 * (info.number(1)? & 1);
        info.skip(order)?;
        if info.number(8)? != NOWHERE {
            return Err("names in a fractal heap (more than eight of them) are not read".into());
        }
    }
    Ok(found)
}

/// A symbol table: a tree of nodes, and a heap of names.
fn in_table(file: &File, root: u64, heap: u64, meet: Meet) -> Result<(), String> {
    let mut heap = file.block(heap, 32)?;
    heap.signature("HEAP")?;
    heap.skip(4)?;
    let size = heap.number(8)?;
    heap.skip(8)?;
    let heap = file.block(heap.number(8)?, size)?;
    tree::walk(file, root, tree::Kind::Names, 8, &mut |_, address| {
        let mut head = file.peek(address, 8)?;
        head.signature("SNOD")?;
        head.skip(2)?;
        let count = head.number(2)?;
        let mut node = file.block(address, 8 + 40 * count)?;
        node.skip(8)?;
        for _ in 0..count {
            let (offset, object) = (node.number(8)?, node.number(8)?);
            node.skip(24)?;
            meet(name(heap.0, offset)?, object)?;
        }
        Ok(())
    })
}

/// The name at a place of a heap, up to a zero, cut to [`LONGEST`] bytes.
fn name(heap: &[u8], offset: u64) -> Result<&[u8], String> {
    let rest = usize::try_from(offset).ok().and_then(|offset| heap.get(offset..));
    let rest = rest.ok_or("a name is not within its heap")?;
    let longest = &rest[..rest.len().min(LONGEST)];
    Ok(longest.split(|&byte| byte == 0).next().unwrap_or_default())
}

/// A link message. Links to names and to other files are passed over.
fn in_message(mut link: Cursor, meet: Meet) -> Result<(), String> {
    let (version, flags) = (link.number(1)?, link.number(1)?);
    if version != 1 {
        return Err(format!("a link of version {version} is not read"));
    }
    let kind = if flags & 8 != 0 { link.number(1)? } else { 0 };
    // The order of creation, and the alphabet.
    link.skip(8 * ((flags >> 2) & 1) + ((flags >> 4) & 1))?;
    let length = link.number(1 << (flags & 3))?;
    let name = link.take(length)?;
    match kind {
        0 => meet(name, link.number(8)?),
        _ => Ok(()),
    }
}
