use proptest::prelude::*;

use super::super::Reader;
use super::super::encoder::{Code, Form, Stream};
use super::NEAR;
use crate::audio::blocks::Blocks;
use crate::audio::input::tests::{held, paged};
use crate::audio::tags::tests::id3v2_of;

/// Noise whose level changes, so that frames have many lengths.
fn noise(length: usize) -> Vec<i64> {
    (0..length as i64).map(|i| ((i * 7919) % 60_001 - 30_000) >> (i / 3000 % 11)).collect()
}

fn known(samples: &[i64], block: usize) -> Stream {
    let form = Form::Fixed(1);
    Stream { known: true, form, code: Code::Plain, ..Stream::mono(samples, block) }
}

/// Reads all samples from the frame on that a seek finds. Gives the place of the first one, too,
/// and the error at which reading ends.
fn read_from(reader: &mut Reader, sample: usize) -> (usize, Vec<f32>, Option<String>) {
    let first = match reader.seek(sample as u64) {
        Ok(first) => first as usize,
        Err(error) => return (0, Vec::new(), Some(error.to_string())),
    };
    assert!(first <= sample);
    let mut samples = Vec::new();
    loop {
        match reader.more(&mut samples) {
            Ok(true) => {}
            Ok(false) => return (first, samples, None),
            Err(error) => return (first, samples, Some(error.to_string())),
        }
    }
}

/// Places in a file, and some behind its end.
fn places(length: usize) -> impl Iterator<Item = usize> {
    (0..=11).map(move |i| i * length / 10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn samples_after_a_seek_are_those_of_the_whole(
        (length, block) in (1usize..40_000, 150usize..5000),
        (variable, plain) in any::<(bool, bool)>(),
        page in prop::sample::select(vec![64u64, 1000, 1 << 16]),
        front in prop::sample::select(vec![Vec::new(), id3v2_of(&b"\xff\xf8fLaC".repeat(99))]),
        behind in prop::sample::select(vec![
            Vec::new(), vec![0; 5000], id3v2_of(b"\xff\xf8"),
            [b"TAG".as_slice(), &[1; 125]].concat(),
        ]),
    ) {
        let code = if plain { Code::Plain } else { Code::Rice };
        let stream = Stream { variable, code, ..known(&noise(length), block) };
        let (file, wanted) = ([&front[..], &stream.file(), &behind].concat(), stream.wanted(0));
        for input in [held("a.flac", &file), paged("a.flac", &file, page)] {
            let mut reader = Reader::new(input, front.len() as u64, None).unwrap();
            prop_assert_eq!(reader.promised(), Some(length as u64));
            for sample in places(length).chain([length - 1, 0]) {
                let (first, samples, error) = read_from(&mut reader, sample);
                prop_assert_eq!(error, None);
                prop_assert!(samples == wanted[first..], "{sample} from {first}");
                let left_out = sample.min(length - 1) - first;
                prop_assert!(left_out < block.max(NEAR as usize), "{sample} from {first}");
            }
        }
    }

    /// A cut or a changed bit is an error or leaves the samples as they are, wherever reading
    /// begins.
    #[test]
    fn damage_never_makes_other_samples(
        (length, block) in (9000usize..30_000, 150usize..3000),
        variable in any::<bool>(),
        (place, sample) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let stream = Stream { variable, ..known(&noise(length), block) };
        let (mut file, wanted, head) = (stream.file(), stream.wanted(0), stream.head().len());
        let (place, sample) = (head + place.index(file.len() - head), sample.index(length));
        for input in [held("a.flac", &file[..place]), paged("a.flac", &file[..place], 1000)] {
            let mut reader = Reader::new(input, 0, None).unwrap();
            let (first, samples, error) = read_from(&mut reader, sample);
            prop_assert!(samples == wanted[first..first + samples.len()]);
            prop_assert!(error.is_some());
        }
        file[place] ^= 1 << (sample % 8);
        for input in [held("a.flac", &file), paged("a.flac", &file, 1000)] {
            let mut reader = Reader::new(input, 0, None).unwrap();
            let (first, samples, _) = read_from(&mut reader, sample);
            prop_assert!(samples == wanted[first..first + samples.len()]);
        }
    }
}

#[test]
fn blocks_of_many_sizes() {
    let samples = noise(36_000);
    let stream = Stream { variable: true, ..known(&samples, 300) };
    let other = Stream { block: 450, ..stream.clone() };
    let mut file = stream.head();
    for group in 0..40 {
        match group % 3 {
            0 => (0..2).for_each(|i| file.extend(other.frame(2 * group + i))),
            _ => (0..3).for_each(|i| file.extend(stream.frame(3 * group + i))),
        }
    }
    let wanted = stream.wanted(0);
    for input in [held("a.flac", &file), paged("a.flac", &file, 500)] {
        let mut reader = Reader::new(input, 0, None).unwrap();
        for sample in places(36_000) {
            let (first, samples, error) = read_from(&mut reader, sample);
            assert!(error.is_none() && samples == wanted[first..], "{sample}");
            assert!(sample < first + NEAR as usize || sample > 36_000, "{sample} from {first}");
        }
    }
    // Frames that are counted must have one size: the sample is not known from the frame.
    let (counted, other) = (known(&samples, 300), known(&samples, 450));
    let mixed = [counted.head(), counted.frame(0), other.frame(1), counted.frame(2)].concat();
    let mut reader = Reader::new(held("a.flac", &mixed), 0, None).unwrap();
    let (_, samples, error) = read_from(&mut reader, 0);
    assert_eq!(samples.len(), 750);
    let error = error.unwrap();
    assert!(error.contains("frame 2 should begin at sample 600"), "{error}");
}

#[test]
fn in_files_that_break_their_promise_no_frame_is_left_out() {
    let stream = known(&noise(20_000), 1000);
    let (file, wanted) = (stream.file(), stream.wanted(0));
    let check = |bytes: &[u8], count: usize, why: &str| {
        for input in [held("a.flac", bytes), paged("a.flac", bytes, 1000)] {
            let mut reader = Reader::new(input, 0, None).unwrap();
            for sample in places(20_000) {
                let (first, samples, error) = read_from(&mut reader, sample);
                assert_eq!((first, samples.len()), (0, count), "{why}");
                assert!(samples == wanted[..count], "{why}");
                assert!(error.unwrap_or_default().contains(why), "{why}");
            }
        }
    };
    let longer = known(&noise(25_000), 1000).file();
    check(&[&file[..], &longer].concat(), 20_000, "another FLAC file");
    let frames: usize = stream.frames()[..15].iter().map(Vec::len).sum();
    check(&file[..stream.head().len() + frames], 15_000, "promises 20000 samples");
    let mut fewer = file.clone();
    fewer[8 + 16..8 + 18].copy_from_slice(&12_345u16.to_be_bytes());
    check(&fewer, 20_000, "");
    let mut unknown = file;
    unknown[8 + 16..8 + 18].fill(0);
    check(&unknown, 20_000, "");
}

#[test]
fn two_files_of_one_length_are_told_apart() {
    let stream = known(&noise(20_000), 1000);
    let reversed: Vec<i64> = noise(20_000).into_iter().rev().collect();
    let joined = [stream.file(), known(&reversed, 1000).file()].concat();
    let mut reader = Reader::new(held("a.flac", &joined), 0, None).unwrap();
    for sample in places(20_000) {
        let (first, samples, error) = read_from(&mut reader, sample);
        assert!(samples == stream.wanted(0)[first..], "{sample}");
        assert!(error.unwrap().contains("another FLAC file"));
    }
}

#[test]
fn only_from_the_start_is_the_md5_checked() {
    let stream = known(&noise(20_000), 1000);
    let mut file = stream.file();
    file[8 + 20] ^= 1;
    let mut reader = Reader::new(held("a.flac", &file), 0, None).unwrap();
    assert_eq!(read_from(&mut reader, 0).2, None);
    reader.verify();
    for (sample, why) in [(15_000, None), (0, Some("MD5")), (19_999, None), (100, Some("MD5"))] {
        let (first, samples, error) = read_from(&mut reader, sample);
        assert!(samples == stream.wanted(0)[first..]);
        assert!(error.as_deref().unwrap_or("").contains(why.unwrap_or("")), "{error:?}");
        assert_eq!(error.is_some(), why.is_some());
    }
}
