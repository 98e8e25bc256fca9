use super::*;
use crate::rng::Stream;
use crate::shared::fixture;

fn model(dim: usize, flags: [bool; 2]) -> Parts {
    let mut stream = Stream::new(4, "hdf5", &[]);
    let mut values = |count: usize| -> Vec<f64> { (0..count).map(|_| stream.normal()).collect() };
    Parts {
        mu: values(dim),
        psi: values(dim),
        transform: values(dim * dim),
        length_norm: flags[0],
        lacks_mean: flags[1],
    }
}

/// The model of `make.py`.
fn given(length_norm: bool, lacks_mean: bool) -> Parts {
    let transform = |i: usize| {
        let diagonal = if i.is_multiple_of(6) { 2.0 } else { 0.0 };
        ((i * 7 % 23) as f64 - 11.0) / 8.0 + diagonal
    };
    Parts {
        mu: (0..5).map(|i| f64::from(i) / 8.0 - 0.25).collect(),
        psi: (0..5).map(|i| 4.0 / f64::from(1 << i)).collect(),
        transform: (0..25).map(transform).collect(),
        length_norm,
        lacks_mean,
    }
}

fn h5py(name: &str) -> Vec<u8> {
    std::fs::read(fixture("plda").join(name)).unwrap()
}

#[test]
fn what_is_written_is_read() {
    for (dim, flags) in [(1, [true, false]), (2, [false, true]), (33, [true; 2]), (300, [false; 2])]
    {
        let parts = model(dim, flags);
        let file = write(&parts).unwrap();
        assert_eq!(read(&file).unwrap(), parts, "{dim}");
    }
}

/// Of h5py 3.16: what WeSpeaker calls; other forms of the same numbers.
#[test]
fn files_of_h5py_are_read() {
    for (name, length_norm, lacks_mean) in [
        ("wespeaker.h5", false, true),
        ("single_chunks.h5", true, true),
        ("pieces.h5", true, false),
        ("plain.h5", false, true),
        ("bare_pieces.h5", true, true),
    ] {
        let parts = read(&h5py(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(parts, given(length_norm, lacks_mean), "{name}");
    }
}

#[test]
fn what_is_not_read_is_named() {
    for (name, wanted) in [
        ("fixed_array.h5", "`mu`: an index of chunks of kind 3 is not read"),
        ("ten_names.h5", "names in a fractal heap"),
    ] {
        let error = read(&h5py(name)).unwrap_err();
        assert!(error.contains(wanted), "{name}: {error}");
    }
}

/// Checksums cover all of a file that is written here.
#[test]
fn every_flipped_bit_is_noticed() {
    let good = write(&model(3, [true, false])).unwrap();
    for (bit, damaged) in crate::tensor_file::flipped(&good, 8 * good.len()) {
        assert!(read(&damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_is_noticed() {
    let whole = [write(&model(3, [true, false])).unwrap(), h5py("wespeaker.h5")];
    for good in whole {
        for cut in 0..good.len() {
            assert!(read(&good[..cut]).is_err(), "{cut}");
        }
    }
}

/// A circle is refused as soon as more was read than the file holds.
#[test]
fn circles_and_names_that_repeat_are_refused() {
    let good = h5py("wespeaker.h5");
    let fails = |changes: &[(usize, &[u8])], wanted: &str| {
        let mut damaged = good.clone();
        for (at, bytes) in changes {
            damaged[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        let error = read(&damaged).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    };
    // The root group's tree is at byte 136, its level at 141, its only child's address at 168.
    assert_eq!(good[136..140], *b"TREE");
    fails(&[(141, &[1]), (168, &136u64.to_le_bytes())], "its parts overlap");
    // The tree's only child is at 1072: the place of its second name becomes that of the first.
    assert_eq!(good[1072..1076], *b"SNOD");
    fails(&[(1120, &good[1080..1088])], "`mu` is there twice");
}

#[test]
fn an_array_beyond_a_chunk_is_not_written() {
    let error = Writer::new().array("transform", &[], &[30_000, 30_000]).unwrap_err();
    assert!(error.contains("`transform` has 7200000000 bytes"), "{error}");
}
