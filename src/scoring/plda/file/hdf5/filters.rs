//! What chunks have gone through.

use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress, Status};

use super::checksum::{SUM, fletcher32};
use super::source::Cursor;

/// How many bytes gzip makes of one at most.
pub(super) const EXPANSION: usize = 1032;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Filter {
    Gzip,
    Fletcher32,
}

/// In the order in which a writer applied them, each once.
pub(super) struct Filters(Vec<Filter>);

impl Filters {
    /// From a message, if there is one.
    pub fn read(message: Option<Cursor>) -> Result<Self, String> {
        let mut all = Vec::new();
        let Some(mut body) = message else { return Ok(Self(all)) };
        let (version, count) = (body.number(1)?, body.number(1)?);
        match version {
            1 => body.skip(6)?,
            2 => (),
            _ => return Err(format!("filters of version {version} are not read")),
        }
        for _ in 0..count {
            let filter = match body.number(2)? {
                1 => Filter::Gzip,
                3 => Filter::Fletcher32,
                other => return Err(format!("chunks behind filter {other} are not read")),
            };
            if all.contains(&filter) {
                return Err("it went through a filter twice".into());
            }
            all.push(filter);
            // The second version names no filter of HDF5's own, and fills nothing up.
            let name = if version == 1 { body.number(2)? } else { 0 };
            body.skip(2)?;
            let values = body.number(2)?;
            let padding = if version == 1 { values % 2 } else { 0 };
            body.skip(name + 4 * (values + padding))?;
        }
        Ok(Self(all))
    }

    /// The `wanted` bytes of a chunk. The bits of `skipped` are set for filters that it did not go
    /// through.
    pub fn undo<'a>(
        &self,
        stored: &'a [u8],
        skipped: u64,
        wanted: usize,
    ) -> Result<Cow<'a, [u8]>, String> {
        let mut data = Cow::Borrowed(stored);
        for (i, filter) in self.0.iter().enumerate().rev() {
            if (skipped >> i) & 1 == 0 {
                data = match filter {
                    Filter::Gzip => Cow::Owned(unpacked(&data, wanted + SUM)?),
                    Filter::Fletcher32 => summed(data)?,
                };
            }
        }
        match data.len() == wanted {
            true => Ok(data),
            false => Err(format!("a chunk has {} bytes instead of {wanted}", data.len())),
        }
    }
}

/// A chunk without its checksum.
fn summed(data: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, String> {
    let (body, sum) = data.split_last_chunk::<SUM>().ok_or("a chunk is shorter than a checksum")?;
    if fletcher32(body) != u32::from_le_bytes(*sum) {
        return Err("a chunk's checksum is not that of its bytes".into());
    }
    let length = body.len();
    Ok(match data {
        Cow::Borrowed(data) => Cow::Borrowed(&data[..length]),
        Cow::Owned(mut data) => {
            data.truncate(length);
            Cow::Owned(data)
        }
    })
}

/// At most `most` bytes that zlib packed.
fn unpacked(data: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let mut out = vec![0; most];
    let mut zlib = Decompress::new(true);
    match zlib.decompress(data, &mut out, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) => {
            out.truncate(zlib.total_out() as usize);
            Ok(out)
        }
        _ => Err("a chunk is not what gzip makes".into()),
    }
}
