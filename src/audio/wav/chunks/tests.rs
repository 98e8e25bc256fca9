use super::*;
use crate::audio::input::tests::{every, held};

/// The chunks of a file, found with more and with fewer of its bytes in memory.
fn walked(bytes: &[u8]) -> Result<Chunks, String> {
    let found =
        every("a.wav", bytes).map(|mut input| walk(&mut input, 0).map_err(|e| e.to_string()));
    assert!(found[0] == found[1] && found[1] == found[2], "{found:?}");
    let [found, ..] = found;
    found
}

/// The bytes of the samples.
fn content<'a>(bytes: &'a [u8], chunks: &Chunks) -> &'a [u8] {
    &bytes[chunks.data.start as usize..chunks.data.end as usize]
}

fn chunk(id: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut chunk = [id.as_slice(), &(content.len() as u32).to_le_bytes(), content].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    [b"RIFF\0\0\0\0WAVE".to_vec(), chunks.concat()].concat()
}

/// A file whose chunk `data` gives a wrong length.
fn streamed(length: u32, held: &[u8]) -> Vec<u8> {
    let mut file = file(&[chunk(b"fmt ", &[1; 16])]);
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend(held);
    file
}

fn refused(bytes: &[u8]) -> String {
    walked(bytes).unwrap_err()
}

#[test]
fn chunks_are_found_behind_others_of_any_length() {
    let (format, data) = (chunk(b"fmt ", &[1; 16]), chunk(b"data", &[5; 9]));
    for length in 0..5 {
        let other = chunk(b"note", &vec![b'x'; length]);
        let bytes = file(&[other.clone(), format.clone(), other.clone(), data.clone(), other]);
        let found = walked(&bytes).unwrap();
        assert_eq!((content(&bytes, &found), found.open), ([5; 9].as_slice(), false));
        assert_eq!(found.format, [1; 16]);
    }
}

#[test]
fn a_length_that_nobody_knew_reaches_to_the_end() {
    let samples = [7, 0, 8, 0, 9, 0];
    // 0; the largest numbers of 32 bits, unsigned and signed; those of sox and arecord; the
    // largest for the file, and for all but its first 8 bytes, with a header of 44 bytes.
    let lengths = [
        0,
        u32::MAX,
        0x7fff_ffff,
        0x8000_0000,
        0x7fff_f000,
        0x7fff_ff00,
        u32::MAX - 44,
        u32::MAX - 36,
    ];
    for length in lengths.into_iter().flat_map(|length| [length, length & !1]) {
        let bytes = streamed(length, &samples);
        let found = walked(&bytes).unwrap();
        assert_eq!(
            (content(&bytes, &found), found.open),
            (samples.as_slice(), true),
            "{length:#x}"
        );
    }
    for length in [7, 1 << 24, 0x7fff_0000, 0x8000_0001, 0xff00_0000, 0xffff_fff0] {
        let error = refused(&streamed(length, &samples));
        assert!(
            error.contains(&format!("promises {length} bytes of samples, the file holds 6")),
            "{error}"
        );
    }
}

#[test]
fn no_samples_are_none_when_only_chunks_follow() {
    let list = chunk(b"LIST", b"INFOx");
    for behind in [vec![], list.clone(), [list.clone(), list].concat()] {
        let bytes = streamed(0, &behind);
        let found = walked(&bytes).unwrap();
        assert!(found.data.is_empty() && !found.open, "{found:?}");
    }
}

#[test]
fn long_files_have_their_length_in_a_chunk_of_its_own() {
    let long = |length: u64| {
        let sizes = chunk(b"ds64", &[[0; 8], length.to_le_bytes(), [0; 8]].concat());
        let mut bytes = file(&[sizes, chunk(b"fmt ", &[1; 16])]);
        bytes[..4].copy_from_slice(b"RF64");
        bytes.extend(b"data\xff\xff\xff\xff123456");
        bytes
    };
    assert_eq!(content(&long(4), &walked(&long(4)).unwrap()), b"1234");
    assert_eq!(content(&long(0), &walked(&long(0)).unwrap()), b"123456");
    assert!(refused(&long(1 << 40)).contains("promises 1099511627776 bytes"));
    let mut missing = streamed(u32::MAX, b"12");
    missing[..4].copy_from_slice(b"RF64");
    assert!(refused(&missing).contains("ds64"));
}

#[test]
fn damaged_files_are_errors_that_name_the_place() {
    let (format, data) = (chunk(b"fmt ", &[1; 16]), chunk(b"data", b"1234"));
    let mut no_pad = file(&[format.clone(), chunk(b"note", b"xxxxx")]);
    no_pad.pop();
    no_pad.extend(&data);
    for (bytes, wanted) in [
        (no_pad, "no chunk begins at byte 50: damaged; the chunk `note` before has an odd length"),
        (file(std::slice::from_ref(&data)), "before any chunk `fmt `"),
        (file(&[format.clone(), format.clone(), data.clone()]), "two chunks `fmt `"),
        (file(std::slice::from_ref(&format)), "without a chunk `data`"),
        (
            file(std::slice::from_ref(&format))[..30].to_vec(),
            "chunk `fmt ` promises 16 bytes, the file holds 10",
        ),
        (b"RIFF\0\0\0\0AVI LIST".to_vec(), "`AVI `"),
        (b"RIFF\0\0".to_vec(), "ends inside its header"),
        (
            file(&[format.clone(), data.clone(), data.clone()]),
            "a second chunk `data` begins at byte 48",
        ),
        (
            file(&[format.clone(), data.clone(), file(&[format, data])]),
            "another WAV file begins at byte 48",
        ),
    ] {
        assert!(refused(&bytes).contains(wanted), "{} for {wanted}", refused(&bytes));
    }
}

#[test]
fn parts_of_frames_are_errors() {
    let frames = |bytes: &[u8], open, frame| {
        let chunks = Chunks { format: vec![], data: 0..bytes.len() as u64, open };
        chunks.frames(&mut held("a.wav", bytes), frame).map_err(|e| e.to_string())
    };
    assert_eq!(frames(b"123456", false, 3), Ok(0..6));
    assert!(
        frames(b"12345", false, 2).unwrap_err().contains("5 bytes are not whole frames of 2 bytes")
    );
    // The pad byte behind three frames of 3 bytes.
    assert_eq!(frames(b"123456789\0", true, 3), Ok(0..9));
    for (bytes, open) in
        [(b"123456789\0".as_slice(), false), (b"123456789x", true), (b"123456\0", true)]
    {
        assert!(frames(bytes, open, 3).is_err());
    }
}
