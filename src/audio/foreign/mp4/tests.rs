use super::boxes::tests::atom;
use super::*;
use crate::audio::input::tests::{every, held};

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|x| x.to_be_bytes()).collect()
}

/// A box with a version in front of its numbers.
fn full(kind: &[u8; 4], numbers: &[u32]) -> Vec<u8> {
    atom(kind, &words(&[&[0], numbers].concat()))
}

fn handler(kind: &[u8; 4]) -> Vec<u8> {
    atom(b"hdlr", &[&[0; 8], kind.as_slice(), &[0; 12]].concat())
}

/// An audio track of 16 kHz with these boxes in `stbl`, and an edit list.
fn audio(table: &[u8], edits: &[u32]) -> Vec<u8> {
    let edits = match edits {
        [] => Vec::new(),
        edits => atom(b"edts", &full(b"elst", edits)),
    };
    let information = atom(b"minf", &atom(b"stbl", table));
    let media = [full(b"mdhd", &[0, 0, 16_000, 0]), handler(b"soun"), information].concat();
    atom(b"trak", &[edits, atom(b"mdia", &media)].concat())
}

fn movie(tracks: &[Vec<u8>]) -> Vec<u8> {
    let content = [full(b"mvhd", &[0, 0, 1000, 0]), tracks.concat()].concat();
    [atom(b"ftyp", b"M4A \0\0\0\0"), atom(b"moov", &content)].concat()
}

/// The box `stsd` of a codec.
fn stsd(kind: &[u8; 4], inner: &[u8]) -> Vec<u8> {
    let entry = atom(kind, &[&[0; 28], inner].concat());
    atom(b"stsd", &[words(&[0, 1]), entry].concat())
}

/// The box `esds` of a kind of codec.
fn esds(kind: u8, config: &[u8]) -> Vec<u8> {
    let inner = [&[5, config.len() as u8], config].concat();
    let decoder = [&[kind], [0; 12].as_slice(), &inner].concat();
    let middle = [&[4, decoder.len() as u8], decoder.as_slice()].concat();
    let stream = [&[0, 1, 0], middle.as_slice()].concat();
    atom(b"esds", &[&[0, 0, 0, 0, 3, stream.len() as u8], stream.as_slice()].concat())
}

fn refused(file: &[u8]) -> String {
    let found = every("a.m4a", file).map(|input| open(input, 0, None).err().map(|e| e.to_string()));
    assert!(found[0] == found[1] && found[1] == found[2], "{found:?}");
    let [found, ..] = found;
    found.expect("an error")
}

#[test]
fn codecs_that_are_not_read_are_named() {
    let aac = |config: &[u8]| stsd(b"mp4a", &esds(0x40, config));
    for (stsd, wanted) in [
        (aac(&[0x2c, 0x08, 0x88, 0]), "is HE-AAC audio"),
        (aac(&[0xec, 0x08, 0x88, 0]), "is HE-AAC v2 audio"),
        (aac(&[0x0c, 0x08]), "profile Main"),
        (stsd(b"mp4a", &esds(0x6b, &[])), "MP3"),
        (stsd(b"mp4a", &esds(0xa5, &[])), "AC-3"),
        (stsd(b"ac-3", b""), "AC-3"),
        // QuickTime ends entries with four zeros, which are no box.
        (stsd(b"ac-3", &[0; 4]), "AC-3"),
        (stsd(b"Opus", b""), "Opus"),
        (stsd(b"enca", b""), "encrypted"),
        (stsd(b"wxyz", b""), "`wxyz`"),
    ] {
        let error = refused(&movie(&[audio(&stsd, &[])]));
        assert!(error.contains(wanted) && error.contains("ffmpeg -i a.m4a"), "{error}");
    }
    let fragmented = [movie(&[audio(&[], &[])]), atom(b"moof", b"")].concat();
    assert!(refused(&fragmented).contains("fragmented"));
    let two = [audio(&[], &[]), audio(&[], &[])];
    assert!(refused(&movie(&two)).contains("2 audio tracks"));
}

#[test]
fn damaged_files_are_errors() {
    let good = movie(&[audio(&stsd(b"mp4a", &esds(0x40, &[0x14, 0x08])), &[])]);
    for (file, wanted) in [
        (good.clone(), "no box `stsz`"),
        (good[..good.len() - 1].to_vec(), "box `moov` at byte 16 promises"),
        (good[..16].to_vec(), "no box `moov`"),
        (movie(&[]), "no audio track"),
        (movie(&[atom(b"trak", &atom(b"mdia", &handler(b"vide")))]), "no audio track"),
        (movie(&[audio(&[], &[])]), "no box `stsd`"),
        (movie(&[audio(&stsd(b"mp4a", b""), &[])]), "no box `esds`"),
        (movie(&[audio(&stsd(b"alac", &atom(b"alac", &[0; 28])), &[])]), "box `alac`"),
        (movie(&[audio(&stsd(b"mp4a", &esds(0x40, &[0x14])), &[])]), "configuration is cut off"),
        (movie(&[audio(&atom(b"stsd", &words(&[0, 0])), &[])]), "box `stsd`"),
    ] {
        assert!(refused(&file).contains(wanted), "{} for {wanted}", refused(&file));
    }
}

#[test]
fn whatever_follows_the_last_box_does_not_matter() {
    let mut good = movie(&[]);
    for junk in [b"\0\0\0\x03junk1234".as_slice(), b"TAGxxxxxxxxx", &[0; 20], b"\0\0\xff\xffmdat"] {
        good.truncate(movie(&[]).len());
        good.extend(junk);
        let atoms = top(&mut held("a.m4a", &good), 0).unwrap();
        assert!(find(&atoms, b"moov").is_some());
    }
}

/// What a file shows of its track.
fn found(edits: &[u32], tags: &[u8]) -> Result<Range<u64>, String> {
    let file = movie(&[audio(&[], edits), tags.to_vec()]);
    let mut input = held("a.m4a", &file);
    let whole = top(&mut input, 0).unwrap();
    let movie = within(&mut input, &whole, b"moov").unwrap();
    let track = track(&mut input, &movie).unwrap();
    let media = within(&mut input, &track, b"mdia").unwrap();
    shown(&mut input, &movie, &track, &media, 16_000).map_err(|e| e.to_string())
}

#[test]
fn edit_lists_and_tags_cut_the_recording_out() {
    const PLAIN: u32 = 1 << 16;
    let mean = full(b"mean", &[0]);
    let name = atom(b"name", b"\0\0\0\0iTunSMPB");
    let text = b" 00000000 00000840 000001CA 0000000000001000 00000000";
    let data = atom(b"data", &[[0; 8].as_slice(), text].concat());
    let tag = atom(b"ilst", &atom(b"----", &[mean, name, data].concat()));
    let tags = atom(b"udta", &atom(b"meta", &[[0; 4].as_slice(), &tag].concat()));
    assert_eq!(found(&[], &[]), Ok(0..u64::MAX));
    assert_eq!(found(&[], &tags), Ok(2112..2112 + 4096));
    // A tag that makes no sense: the length of `ilst`, in `udta` and `meta`.
    let mut broken = tags.clone();
    broken[20] = 9;
    assert_eq!(found(&[], &broken), Ok(0..u64::MAX));
    assert_eq!(found(&[1, 7300, 1024, PLAIN], &tags), Ok(1024..1024 + 116_800));
    assert_eq!(found(&[2, 9, u32::MAX, PLAIN, 0, 7, PLAIN], &[]), Ok(7..u64::MAX));
    assert!(found(&[1, 7300, 0, 2 * PLAIN], &[]).unwrap_err().contains("at another speed"));
    let two = [2, 7300, 0, PLAIN, 7300, 0, PLAIN];
    assert!(found(&two, &[]).unwrap_err().contains("with 2 edits"));
    assert!(found(&[9], &[]).unwrap_err().contains("`elst`"));
}

#[test]
fn the_last_packet_may_be_shorter() {
    let found = |entries: &[u32], packets: usize| {
        let file = full(b"stts", &[&[entries.len() as u32 / 2], entries].concat());
        let mut input = held("a.m4a", &file);
        let whole = 0..input.length();
        let atoms = list(&mut input, &whole).unwrap();
        last(&mut input, &atoms, packets, 4096).unwrap()
    };
    assert_eq!(found(&[28, 4096, 1, 2112], 29), 2112);
    assert_eq!(found(&[29, 4096], 29), 4096);
    assert_eq!(found(&[1, 5], 1), 5);
    for (entries, packets) in [
        (&[28, 4096, 1, 2112][..], 28),
        (&[28, 4000, 1, 2112], 29),
        (&[1, 2112, 28, 4096], 29),
        (&[28, 4096, 1, 5000], 29),
        (&[28, 4096, 2, 5], 30),
        (&[], 0),
    ] {
        assert_eq!(found(entries, packets), 0, "{entries:?}");
    }
}
