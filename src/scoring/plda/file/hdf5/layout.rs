//! Where a dataset's bytes are.

use super::chunks::{Chunk, Chunks};
use super::source::{Cursor, File};
use super::tree;

/// Rows and columns.
pub(super) type Plane = [usize; 2];

/// Extents or places of up to two axes as those of two, `missing` where there is no axis.
pub(super) fn plane(axes: &[u64], missing: u64) -> Result<Plane, String> {
    let (rows, columns) = match *axes {
        [] => (missing, missing),
        [columns] => (missing, columns),
        [rows, columns] => (rows, columns),
        _ => return Err(format!("arrays of {} axes are not read", axes.len())),
    };
    let size = |n: u64| usize::try_from(n).map_err(|_| format!("an axis of {n} is too long"));
    Ok([size(rows)?, size(columns)?])
}

pub(super) enum Layout<'a> {
    /// In one piece.
    Whole(&'a [u8]),
    Chunks(Chunks<'a>),
}

impl<'a> Layout<'a> {
    /// From a layout message of an array with `rank` axes and numbers of `size` bytes.
    pub fn read(
        file: &File<'a>,
        mut body: Cursor<'a>,
        rank: usize,
        size: usize,
    ) -> Result<Self, String> {
        let (version, class) = (body.number(1)?, body.number(1)?);
        match (version, class) {
            (3..=5, 0) => {
                let bytes = body.number(2)?;
                Ok(Self::Whole(body.take(bytes)?))
            }
            (3..=5, 1) => Ok(Self::Whole(file.block(body.number(8)?, body.number(8)?)?.0)),
            (3, 2) => in_tree(file, body, rank, size).map(Self::Chunks),
            (4 | 5, 2) => single(file, body, rank, size).map(Self::Chunks),
            _ => Err(format!("a layout of version {version} and class {class} is not read")),
        }
    }
}

/// The extent of chunks: the last axis is the bytes of a number.
fn extent(body: &mut Cursor, axes: u64, width: u64, known: [usize; 2]) -> Result<Plane, String> {
    let [rank, size] = known;
    let mut sides = body.numbers(axes, width)?;
    if sides.pop() != Some(size as u64) || sides.len() != rank || sides.contains(&0) {
        return Err("its chunks are not of its axes and numbers".into());
    }
    plane(&sides, 1)
}

/// Chunks that a B-tree knows.
fn in_tree<'a>(
    file: &File<'a>,
    mut body: Cursor<'a>,
    rank: usize,
    size: usize,
) -> Result<Chunks<'a>, String> {
    let (axes, root) = (body.number(1)?, body.number(8)?);
    let extent = extent(&mut body, axes, 4, [rank, size])?;
    let mut list = Vec::new();
    tree::walk(file, root, tree::Kind::Chunks, 8 + 8 * axes, &mut |mut key, address| {
        let (stored, skipped) = (key.number(4)?, key.number(4)?);
        let at = plane(&key.numbers(axes - 1, 8)?, 0)?;
        list.push(Chunk { stored: file.block(address, stored)?.0, skipped, at });
        Ok(())
    })?;
    Ok(Chunks { extent, list })
}

/// One chunk for all of an array.
fn single<'a>(
    file: &File<'a>,
    mut body: Cursor<'a>,
    rank: usize,
    size: usize,
) -> Result<Chunks<'a>, String> {
    let (flags, axes, width) = (body.number(1)?, body.number(1)?, body.number(1)?);
    if width > 8 {
        return Err(format!("chunks with extents of {width} bytes are not read"));
    }
    let extent = extent(&mut body, axes, width, [rank, size])?;
    let index = body.number(1)?;
    if index != 1 {
        // h5py with `libver="latest"`, which WeSpeaker does not use.
        return Err(format!("an index of chunks of kind {index} is not read"));
    }
    let (stored, skipped) = match flags {
        2 => (body.number(8)?, body.number(4)?),
        0 => (extent.iter().fold(size as u64, |n, &side| n.saturating_mul(side as u64)), 0),
        _ => return Err(format!("chunks with the flags {flags} are not read")),
    };
    let stored = file.block(body.number(8)?, stored)?.0;
    Ok(Chunks { extent, list: vec![Chunk { stored, skipped, at: [0, 0] }] })
}
