use super::page::tests::page;
use super::*;
use crate::audio::input::tests::every;

/// Every byte of a packet is a sample.
struct Bytes;

impl Codec for Bytes {
    fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<(), String> {
        if packet.contains(&255) {
            return Err("a bad byte".into());
        }
        samples.extend(packet.iter().map(|&byte| f32::from(byte)));
        Ok(())
    }

    fn reset(&mut self) {}
}

/// The samples of a stream with two headers, read twice.
fn read(pages: &[Vec<u8>], skip: u64, early: bool) -> Result<Vec<f32>, String> {
    let head = [page(2, 0, 0, &[b"one"]), page(0, 0, 1, &[b"two"])].concat();
    let bytes = [head, pages.concat()].concat();
    let found = every("a.ogg", &bytes).map(|input| {
        let mut pages = Pages::new(input, 0, "Ogg").map_err(|e| e.to_string())?;
        let headers = headers::<2>(&mut pages).map_err(|e| e.to_string())?;
        assert_eq!(headers, [b"one", b"two"]);
        let mut reader = Reader::new(pages, Box::new(Bytes), 10, skip, early);
        let mut twice = [Vec::new(), Vec::new()];
        for samples in &mut twice {
            while reader.more(samples).map_err(|e| e.to_string())? {}
            reader.rewind();
        }
        assert_eq!(twice[0], twice[1]);
        let [samples, _] = twice;
        Ok(samples)
    });
    assert!(found[0] == found[1] && found[1] == found[2], "{found:?}");
    let [found, ..] = found;
    found
}

#[test]
fn packets_may_go_on_over_pages() {
    let long: Vec<u8> = (0..700).map(|i| (i % 200) as u8).collect();
    let pages = [
        page(0, 3, 2, &[&[1, 2, 3], &long[..255]]),
        page(1, -1, 3, &[&long[255..510]]),
        page(5, 705, 4, &[&long[510..], &[8, 9]]),
    ];
    let wanted: Vec<f32> =
        [&[1, 2, 3], long.as_slice(), &[8, 9]].concat().iter().map(|&b| f32::from(b)).collect();
    assert_eq!(read(&pages, 0, true), Ok(wanted));
    let lost = [pages[0].clone(), page(5, 705, 3, &[&long[510..], &[8, 9]])];
    assert!(read(&lost, 0, true).is_ok());
    for (pages, wanted) in [
        (vec![pages[0].clone(), page(4, 9, 3, &[&[5]])], "a part of a packet is missing"),
        (vec![page(1, 9, 2, &[&[5]])], "a part of a packet is missing"),
        (vec![page(4, 9, 2, &[&long[..255]])], "ends inside a packet"),
        (vec![page(0, 4, 2, &[&[1; 4]]), page(4, 9, 3, &[&[255]])], "(0.400 s) a packet cannot"),
    ] {
        let error = read(&pages, 0, true).unwrap_err();
        assert!(error.contains(wanted) && error.contains("a.ogg"), "{error} for {wanted}");
    }
}

#[test]
fn pages_tell_where_the_recording_begins_and_ends() {
    let pages = |first: i64, last: i64| {
        [
            page(0, first, 2, &[&[1, 2, 3]]),
            page(0, first + 2, 3, &[&[4, 5]]),
            page(4, last, 4, &[&[6, 7]]),
        ]
    };
    let all = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    assert_eq!(read(&pages(3, 7), 0, true).unwrap(), all);
    assert_eq!(read(&pages(3, 6), 0, true).unwrap(), all[..6]);
    // Samples in front of the recording, if they may be there.
    assert_eq!(read(&pages(1, 4), 0, true).unwrap(), all[2..6]);
    // A part of a longer stream.
    assert_eq!(read(&pages(1003, 1006), 0, true).unwrap(), all[..6]);
    // A header that says what to drop.
    assert_eq!(read(&pages(3, 6), 4, false).unwrap(), all[4..6]);
    assert_eq!(read(&pages(3, 99), 4, false).unwrap(), all[4..]);
    // One page is the first and the last.
    assert_eq!(read(&[page(4, 2, 2, &[&[1, 2, 3]])], 0, true).unwrap(), all[..2]);
    assert_eq!(read(&[page(4, 2, 2, &[&[1, 2, 3]])], 1, false).unwrap(), all[1..2]);
}

#[test]
fn headers_have_pages_of_their_own() {
    let shared = [page(2, 0, 0, &[b"one"]), page(4, 0, 1, &[b"two", b"x"])].concat();
    let cut = page(6, 0, 0, &[b"one"]);
    for (bytes, wanted) in [(shared, "share a page"), (cut, "ends inside its headers")] {
        for input in every("a.ogg", &bytes) {
            let mut pages = Pages::new(input, 0, "Ogg").unwrap();
            let error = headers::<2>(&mut pages).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error} for {wanted}");
        }
    }
}
