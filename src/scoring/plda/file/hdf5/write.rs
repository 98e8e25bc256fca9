//! Writes files for HDF5 1.10 and later: each array is one chunk behind gzip and Fletcher's
//! checksum, and checksums cover all else.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::header::{DATASPACE, DATATYPE, FILTERS, LAYOUT, LINK, LINK_INFO};
use super::{SIGNATURE, checksum};

/// Bytes of the superblock.
const SUPERBLOCK: usize = 48;
/// h5py's level of gzip.
const LEVEL: u32 = 4;
/// The kind of the message that tells what stands where nothing was written.
const FILL: u64 = 5;

/// A file in the making.
pub(super) struct Writer {
    file: Vec<u8>,
    /// The messages of the root group.
    root: Vec<u8>,
}

impl Writer {
    pub fn new() -> Self {
        // No heap and no tree of names: links are messages.
        let root = message(LINK_INFO, &[&[0, 0], &[0xff; 16]]);
        Self { file: vec![0; SUPERBLOCK], root }
    }

    /// Adds an array of one or two axes.
    pub fn array(&mut self, name: &str, values: &[f64], shape: &[usize]) -> Result<(), String> {
        const SIZE: u64 = size_of::<f64>() as u64;
        let sides = shape.iter().map(|&side| side as u64);
        let bytes = sides.clone().fold(SIZE, u64::saturating_mul);
        if bytes > u64::from(u32::MAX) {
            return Err(format!("`{name}` has {bytes} bytes, and a chunk holds less than 4 GiB"));
        }
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::new(LEVEL));
        let packed = values.iter().try_for_each(|value| zlib.write_all(&value.to_le_bytes()));
        let mut stored = packed.and_then(|()| zlib.finish()).map_err(|e| e.to_string())?;
        stored.extend(checksum::fletcher32(&stored).to_le_bytes());
        let address = self.file.len() as u64;
        self.file.extend_from_slice(&stored);

        let rank = shape.len() as u8;
        let dims: Vec<u8> = sides.clone().flat_map(u64::to_le_bytes).collect();
        // As few bytes as the longest side needs: HDF5 2.0 insists.
        let longest = sides.clone().fold(SIZE, u64::max);
        let width = size_of::<u64>() - longest.leading_zeros() as usize / 8;
        let extent: Vec<u8> = sides
            .chain([SIZE])
            .flat_map(|side| side.to_le_bytes().into_iter().take(width))
            .collect();
        // 64 bits from the first: exponent of 11 bits from bit 52, mantissa of 52 from bit 0.
        let float = [&[0, 0, 64, 0, 52, 11, 0, 52][..], &1023u32.to_le_bytes()].concat();
        // Number, flags, count of values, values.
        let gzip = [1, 0, 0, 0, 1, 0, LEVEL as u8, 0, 0, 0];
        let fletcher32 = [3, 0, 0, 0, 0, 0];
        self.object(
            name,
            &[
                message(DATASPACE, &[&[2, rank, 0, 1], &dims]),
                message(DATATYPE, &[&[0x11, 0x20, 63, 0, 8, 0, 0, 0], &float]),
                message(FILL, &[&[3, 0x0b]]),
                message(
                    LAYOUT,
                    &[
                        &[4, 2, 2, rank + 1, width as u8],
                        &extent,
                        &[1],
                        &(stored.len() as u64).to_le_bytes(),
                        &[0; 4],
                        &address.to_le_bytes(),
                    ],
                ),
                message(FILTERS, &[&[2, 2], &gzip, &fletcher32]),
            ]
            .concat(),
        );
        Ok(())
    }

    /// Adds a number without an axis. It stands in its object's header.
    pub fn number(&mut self, name: &str, value: i64) {
        self.object(
            name,
            &[
                message(DATASPACE, &[&[2, 0, 0, 0]]),
                message(DATATYPE, &[&[0x10, 8, 0, 0, 8, 0, 0, 0], &[0, 0, 64, 0]]),
                message(FILL, &[&[3, 0x09]]),
                message(LAYOUT, &[&[3, 0, 8, 0], &value.to_le_bytes()]),
            ]
            .concat(),
        );
    }

    /// The whole file.
    pub fn finish(mut self) -> Vec<u8> {
        let root = self.file.len() as u64;
        let header = header(&self.root);
        self.file.extend_from_slice(&header);
        let end = self.file.len() as u64;
        let numbers = [0, u64::MAX, end, root].map(u64::to_le_bytes);
        let superblock = summed([&SIGNATURE[..], &[3, 8, 8, 0], numbers.as_flattened()].concat());
        self.file[..SUPERBLOCK].copy_from_slice(&superblock);
        self.file
    }

    /// Adds an object, and a link to it.
    fn object(&mut self, name: &str, messages: &[u8]) {
        let address = (self.file.len() as u64).to_le_bytes();
        self.file.extend_from_slice(&header(messages));
        let link = message(LINK, &[&[1, 0, name.len() as u8], name.as_bytes(), &address]);
        self.root.extend_from_slice(&link);
    }
}

/// A message of an object header, put together from parts.
fn message(kind: u64, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[kind as u8][..], &(body.len() as u16).to_le_bytes(), &[0], &body].concat()
}

/// An object header of the second version.
fn header(messages: &[u8]) -> Vec<u8> {
    summed([&b"OHDR\x02\x02"[..], &(messages.len() as u32).to_le_bytes(), messages].concat())
}

/// A structure with its checksum.
fn summed(mut structure: Vec<u8>) -> Vec<u8> {
    let sum = checksum::lookup3(&structure);
    structure.extend(sum.to_le_bytes());
    structure
}
