//! What a file begins with.

use super::checksum::checked;
use super::source::File;

/// Bytes of an address and of a length. HDF5 allows others, which nobody writes.
const WIDTHS: [u64; 2] = [8, 8];

/// Address of the root group's header.
pub(super) fn root(file: &File) -> Result<u64, String> {
    let mut head = file.peek(0, 9)?;
    head.skip(8)?;
    let version = head.number(1)?;
    let is_old = version < 2;
    let mut block = match version {
        0 | 1 => file.block(0, 96 + 4 * version)?,
        2 | 3 => checked(file.block(0, 48)?)?,
        _ => return Err(format!("a superblock of version {version} is not read")),
    };
    block.skip(if is_old { 13 } else { 9 })?;
    if [block.number(1)?, block.number(1)?] != WIDTHS {
        return Err("addresses and lengths of other than 8 bytes are not read".into());
    }
    // Sizes of B-trees, flags.
    block.skip(if is_old { 9 + 4 * version } else { 1 })?;
    let base = block.number(8)?;
    // Of free space, or of an extension.
    block.skip(8)?;
    let end = block.number(8)?;
    // The driver, and where the root group has its name.
    block.skip(if is_old { 16 } else { 0 })?;
    if base != 0 {
        return Err(format!("addresses that count from byte {base} are not read"));
    }
    file.check_end(end)?;
    block.number(8)
}
