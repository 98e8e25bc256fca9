//! PLDA models in HDF5, as WeSpeaker writes them.

use std::path::Path;

use revox::rng::Stream;

use crate::checksums::{lookup3, seal_hdf5};
use crate::mutate::pick;
use crate::plda::{FILE, changed, file, given, model, read};
use crate::runner::{Outcome, Target, Verdict, run_expanding, run_with};
use crate::shared::fixture;

/// Bytes that a reader may hold for each byte of a file: gzip makes 1032 of one at most, and some
/// arrays, their bytes and the covariances are held at a time.
const EXPANSION: usize = 16 * 1032;

/// What a field says, its first byte and its bytes.
type Field = (&'static str, usize, usize);

/// Fields of `wespeaker.h5`: the first superblock, old headers, a symbol table, trees of chunks.
const WESPEAKER: &[Field] = &[
    ("width of addresses", 13, 1),
    ("width of lengths", 14, 1),
    ("base address", 24, 8),
    ("end of file", 40, 8),
    ("root header", 64, 8),
    ("group header size", 104, 4),
    ("group message 17 size", 114, 2),
    ("tree address", 120, 8),
    ("heap address", 128, 8),
    ("heap size", 688, 8),
    ("heap data address", 704, 8),
    ("group tree count", 142, 2),
    ("group tree child", 168, 8),
    ("symbol count", 1078, 2),
    ("name offset", 1080, 8),
    ("object address", 1088, 8),
    ("mu header size", 808, 4),
    ("mu message 1 size", 818, 2),
    ("mu message 3 size", 850, 2),
    ("mu message 11 size", 898, 2),
    ("mu message 8 size", 962, 2),
    ("mu rank", 825, 1),
    ("mu side", 832, 8),
    ("size of numbers", 860, 4),
    ("filters", 905, 1),
    ("length of a filter name", 914, 2),
    ("values of a filter", 918, 2),
    ("mu axes of chunks", 970, 1),
    ("mu tree address", 971, 8),
    ("mu side of chunks", 979, 4),
    ("mu tree count", 1406, 2),
    ("mu tree child", 1448, 8),
    ("mu bytes of a chunk", 1424, 4),
    ("mu place of a chunk", 1432, 8),
    ("transform header size", 5552, 4),
    ("transform message 1 size", 5562, 2),
    ("transform message 3 size", 5610, 2),
    ("transform message 11 size", 5658, 2),
    ("transform message 8 size", 5722, 2),
    ("transform rank", 5569, 1),
    ("transform side", 5576, 8),
    ("transform axes of chunks", 5730, 1),
    ("transform tree address", 5731, 8),
    ("transform side of chunks", 5739, 4),
    ("transform tree count", 5822, 2),
    ("transform tree child", 5872, 8),
    ("transform bytes of a chunk", 5840, 4),
    ("transform place of a chunk", 5848, 8),
    ("first bit", 13216, 2),
    ("bits", 13218, 2),
];

/// Fields of `single_chunks.h5`: the third superblock, new headers with checksums, links as
/// messages, arrays of one chunk.
const SINGLE_CHUNKS: &[Field] = &[
    ("width of addresses", 9, 1),
    ("width of lengths", 10, 1),
    ("base address", 12, 8),
    ("end of file", 28, 8),
    ("root header", 36, 8),
    ("group header size", 54, 1),
    ("group message 2 size", 56, 2),
    ("group message 6 size", 84, 2),
    ("name length", 89, 1),
    ("object address", 92, 8),
    ("mu header size", 185, 2),
    ("mu message 1 size", 188, 2),
    ("mu message 3 size", 212, 2),
    ("mu message 11 size", 242, 2),
    ("mu message 8 size", 264, 2),
    ("mu rank", 192, 1),
    ("mu side", 195, 8),
    ("size of numbers", 219, 4),
    ("filters", 246, 1),
    ("values of a filter", 251, 2),
    ("mu axes of chunks", 270, 1),
    ("mu width of sides", 271, 1),
    ("mu side of chunks", 272, 1),
    ("mu bytes of a chunk", 275, 8),
    ("mu address of a chunk", 287, 8),
    ("transform header size", 453, 2),
    ("transform message 1 size", 456, 2),
    ("transform message 3 size", 496, 2),
    ("transform message 11 size", 526, 2),
    ("transform message 8 size", 548, 2),
    ("transform rank", 460, 1),
    ("transform side", 463, 8),
    ("transform axes of chunks", 554, 1),
    ("transform width of sides", 555, 1),
    ("transform side of chunks", 556, 1),
    ("transform bytes of a chunk", 560, 8),
    ("transform address of a chunk", 572, 8),
];

/// Fields of `plain.h5`: arrays in one piece.
const PLAIN: &[Field] = &[
    ("size of numbers", 860, 4),
    ("mu address", 906, 8),
    ("mu bytes", 914, 8),
    ("transform side", 1432, 8),
    ("transform address", 1522, 8),
    ("transform bytes", 1530, 8),
    ("size of named numbers", 4412, 4),
];

/// A file that h5py wrote.
fn h5py(name: &str) -> Vec<u8> {
    std::fs::read(fixture("plda").join(name)).expect("a file")
}

/// Copies of a file whose field claims more than there can be.
fn claims(good: &[u8], (_, at, width): Field) -> Vec<Vec<u8>> {
    let mut digits = [0; 8];
    digits[..width].copy_from_slice(&good[at..at + width]);
    let (given, most) = (u64::from_le_bytes(digits), u64::MAX >> (64 - 8 * width));
    let mut values = vec![most, most - 1, most >> 1, (most >> 1) + 1];
    if width >= 4 {
        values.extend([given + (3 << 24), 1 << 30]);
    }
    if width == 8 {
        values.extend([given + (1 << 32), 1 << 61]);
    }
    let damaged = |value: &u64| {
        let mut file = good.to_vec();
        file[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        seal_hdf5(&mut file);
        file
    };
    values.iter().map(damaged).collect()
}

/// Each field that sizes, counts or places are taken from claims too much, one at a time. All are
/// refused, with no more memory than any input may have.
#[test]
fn plda_hdf5_sizes() {
    let mut made = Vec::new();
    for (name, fields) in
        [("wespeaker.h5", WESPEAKER), ("single_chunks.h5", SINGLE_CHUNKS), ("plain.h5", PLAIN)]
    {
        let good = h5py(name);
        for &field in fields {
            made.extend(claims(&good, field).into_iter().map(|file| (field.0, file)));
        }
    }
    let make = |stream: &mut Stream| pick(stream, &made).1.clone();
    let refused = |path: &Path, bytes: &[u8]| -> Outcome {
        match read(path, bytes)? {
            Verdict::Refused => Ok(Verdict::Refused),
            Verdict::Read => Err("a claim beyond the file is read".into()),
        }
    };
    let name = "plda_hdf5_sizes";
    run_with(&Target { name, file: FILE, good: &[], make: &make, read: &refused }, &made);
}

/// The tests seal HDF5 files as the library and h5py do.
#[test]
fn a_sealed_hdf5_file_is_sealed_again_as_it_was() {
    // From the comments of lookup3.c.
    assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    for good in [file(&model(false, None, false), "p.h5"), h5py("single_chunks.h5")] {
        let headers = good.windows(4).filter(|window| window == b"OHDR").count();
        assert!(headers > 1, "{headers}");
        let mut again = good.clone();
        seal_hdf5(&mut again);
        assert!(again == good);
    }
}

#[test]
fn plda_hdf5() {
    let mut good =
        vec![file(&model(false, None, false), "p.h5"), file(&model(false, None, true), "p.h5")];
    let names = ["wespeaker.h5", "single_chunks.h5", "pieces.h5", "plain.h5", "bare_pieces.h5"];
    good.extend(names.map(h5py));
    // Arrays of several chunks, as h5py chooses them.
    good.extend(given("plda_default5.h5"));
    let make = |stream: &mut Stream| {
        let hot = *pick(stream, &[100, 1000, 3000, 8000]);
        let mut data = changed(stream, &good, hot);
        if stream.chance(0.8) {
            seal_hdf5(&mut data);
        }
        data
    };
    let target = Target { name: "plda_hdf5", file: FILE, good: &good, make: &make, read: &read };
    run_expanding(&target, EXPANSION);
}
