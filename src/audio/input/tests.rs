use std::io::Write;

use super::*;

/// A file with these bytes, all of them in memory.
pub fn held(name: &str, bytes: &[u8]) -> Input {
    Input::held(Path::new(name), bytes.to_vec())
}

/// A file with these bytes, about a page of them in memory.
pub fn paged(name: &str, bytes: &[u8], page: u64) -> Input {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let origin = Origin { file: Arc::new(file), first: 0 };
    Input::paged(Path::new(name), origin, bytes.len() as u64, Vec::new(), page)
}

/// The same file, in memory and with pages of two sizes.
pub fn every(name: &str, bytes: &[u8]) -> [Input; 3] {
    [held(name, bytes), paged(name, bytes, 7), paged(name, bytes, 64)]
}

#[test]
fn all_places_have_their_bytes() {
    let bytes: Vec<u8> = (0..100).collect();
    for mut input in every("a", &bytes) {
        assert_eq!((input.length(), input.path()), (100, Path::new("a")));
        for place in [0u64, 50, 3, 99, 100, 17, 101, 0, 64, u64::MAX] {
            for least in [1usize, 8, 60, 1000, 0] {
                let wanted = bytes.get(place.min(100) as usize..).unwrap();
                let found = input.at(place, least).unwrap();
                assert!(found.len() >= least.min(wanted.len()), "{place} {least}");
                assert_eq!(found, &wanted[..found.len()], "{place} {least}");
            }
        }
        assert!(
            input.begins(97, &[97, 98, 99]).unwrap()
                && !input.begins(97, &[97, 98, 99, 100]).unwrap()
        );
    }
}

#[test]
fn little_is_held_of_a_large_file() {
    let mut input = paged("a", &[5; 100_000], 64);
    for place in (0..100_000).step_by(33) {
        input.at(place, 40).unwrap();
        assert!(input.held.len() <= 2 * 64, "{} bytes", input.held.len());
    }
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let mut input = paged("a.wav", &[1; 1000], 64);
    assert_eq!(input.at(0, 8).unwrap()[..8], [1; 8]);
    input.origin.as_ref().unwrap().file.set_len(500).unwrap();
    let error = input.at(490, 64).unwrap_err().to_string();
    assert!(error.contains("a.wav: became shorter"), "{error}");
    assert_eq!(input.at(400, 8).unwrap()[..8], [1; 8]);
}

#[test]
fn of_a_small_file_that_is_no_audio_the_beginning_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, vec![b'x'; 5000]).unwrap();
    assert_eq!(Input::open(&path).unwrap().length(), kind::HEAD);
    std::fs::write(&path, [b"RIFF".as_slice(), &[0; 5000]].concat()).unwrap();
    assert_eq!(Input::open(&path).unwrap().length(), 5004);
    assert!(Input::open(dir.path()).is_err());
}

#[test]
fn of_stored_samples_what_is_wanted_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let [path, outer] = ["a", "b"].map(|name| dir.path().join(name));
    for (head, bytes, is_stored) in [
        (b"RIFF", 300_000, true),
        (b"RIFF", 5_000_000, true),
        (b"RIFF", 60_000, false),
        (b"fLaC", 300_000, false),
        (b"text", 100, false),
    ] {
        let mut content: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
        content[..4].copy_from_slice(head);
        std::fs::write(&path, &content).unwrap();
        // A part has other bytes on both sides.
        std::fs::write(&outer, [[7; 99].as_slice(), &content, &[8; 99]].concat()).unwrap();
        let file = Arc::new(File::open(&outer).unwrap());
        let part = Input::part(&outer, file, 99..99 + bytes as u64).unwrap();
        for mut input in [Input::open(&path).unwrap(), part] {
            assert_eq!(input.length(), bytes as u64);
            assert_eq!(input.origin.is_some(), is_stored, "{head:?} {bytes}");
            for (place, least) in [(0, 4), (40_000, 10), (30_000, 20_000), (bytes, 9)] {
                let place = place.min(bytes - 9);
                let wanted = &content[place..bytes.min(place + least)];
                assert!(input.at(place as u64, least).unwrap().starts_with(wanted));
                assert!(!is_stored || input.held.len() <= least + 2 * LEAST as usize);
            }
        }
    }
    let file = Arc::new(File::open(&path).unwrap());
    let error = Input::part(&path, file, 90..200).err().unwrap().to_string();
    assert!(error.contains("a: became shorter"), "{error}");
}
