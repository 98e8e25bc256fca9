use proptest::prelude::*;

use super::Reader;
use super::crc::{crc8, crc16};
use super::encoder::{Code, Form, Stream};
use super::header::Stereo;
use crate::audio::blocks::Blocks;
use crate::audio::input::tests::{held, paged};
use crate::audio::source::tests::all;
use crate::audio::tags::tests::id3v2_of;

/// A file of one channel of 16 bits, with or without the number of samples and their MD5.
pub fn file_of(samples: &[i64], block: usize, rate: i64, known: bool) -> Vec<u8> {
    Stream { known, rate, ..Stream::mono(samples, block) }.file()
}

#[derive(Debug, PartialEq)]
struct Mono {
    samples: Vec<f32>,
    sample_rate: u32,
}

/// A file that begins at byte `start`, read from memory and a page at a time, with all checks or
/// only those that are always made.
fn read_from(
    start: usize,
    bytes: &[u8],
    channel: Option<usize>,
    verifies: bool,
) -> Result<Mono, String> {
    let inputs = [held("a.flac", bytes), paged("a.flac", bytes, 48)];
    let [found, other] = inputs.map(|input| -> Result<Mono, String> {
        let reader = Reader::new(input, start as u64, channel);
        let mut reader = reader.map_err(|e| e.to_string())?;
        if verifies {
            reader.verify();
        }
        let (samples, sample_rate) = all(reader).map_err(|e| e.to_string())?;
        Ok(Mono { samples, sample_rate })
    });
    assert_eq!(found, other);
    found
}

fn read(bytes: &[u8], channel: Option<usize>) -> Result<Mono, String> {
    read_from(0, bytes, channel, true)
}

/// What training reads.
fn trusted(bytes: &[u8]) -> Result<Mono, String> {
    read_from(0, bytes, None, false)
}

fn refused(bytes: &[u8]) -> String {
    read(bytes, None).unwrap_err()
}

fn ramp(length: usize) -> Vec<i64> {
    (0..length as i64).map(|i| (i * 2_311) % 60_000 - 30_000).collect()
}

proptest! {
    #[test]
    fn every_form_is_read_exactly(
        bits in prop::sample::select(vec![8u32, 11, 12, 16, 20, 24, 32]),
        steps in prop::collection::vec((-1000i64..1000, -1000i64..1000), 1..200),
        (shift, block) in (0u32..4, 1usize..70),
        stereo in prop::sample::select(vec![
            Stereo::Independent, Stereo::LeftSide, Stereo::SideRight, Stereo::MidSide
        ]),
        (order, form) in (0usize..5, 0usize..3),
        (plain, variable, known) in any::<(bool, bool, bool)>(),
    ) {
        // A walk that reaches full scale, with low bits that are all 0.
        let half = 1i64 << (bits - 1);
        let mut at = (half / 3, -half / 5);
        let mut channels = vec![Vec::new(), Vec::new()];
        for (a, b) in steps {
            at.0 = (at.0 + a * half / 1200).clamp(-half, half - 1);
            at.1 = (at.1 + b * half / 5000).clamp(-half, half - 1);
            channels[0].push(at.0 >> shift << shift);
            channels[1].push(at.1 >> shift << shift);
        }
        // Residuals of samples of 32 bits may take more than a plain code has.
        let form = if bits == 32 { 0 } else { form };
        let stream = Stream {
            channels, bits, rate: 44_100, block, stereo, known, variable,
            form: [Form::Verbatim, Form::Fixed(order), Form::Linear][form],
            code: if plain { Code::Plain } else { Code::Rice },
        };
        for channel in [0, 1] {
            let mono = read(&stream.file(), Some(channel)).unwrap();
            prop_assert_eq!(mono.sample_rate, 44_100);
            prop_assert_eq!(mono.samples, stream.wanted(channel));
        }
    }

    #[test]
    fn a_cut_is_an_error_or_lies_between_two_frames(
        samples in prop::collection::vec(-32_768i64..32_768, 1..300),
        block in 1usize..90,
        cut in any::<prop::sample::Index>(),
    ) {
        let stream = Stream::mono(&samples, block);
        let file = stream.file();
        let cut = cut.index(file.len());
        if let Ok(mono) = read(&file[..cut], None) {
            let frames = mono.samples.len() / block;
            let whole: usize = stream.frames().iter().take(frames).map(Vec::len).sum();
            prop_assert_eq!(cut, stream.head().len() + whole);
            let wanted = stream.wanted(0);
            prop_assert_eq!(mono.samples, &wanted[..frames * block]);
        }
        // With a number of samples, every cut is an error, MD5 or not.
        let known = Stream { known: true, ..stream }.file();
        prop_assert!(read(&known[..cut], None).is_err());
        prop_assert!(trusted(&known[..cut]).is_err());
    }

    #[test]
    fn a_flipped_bit_is_an_error(
        samples in prop::collection::vec(-32_768i64..32_768, 1..300),
        (block, order, known) in (1usize..90, 0usize..5, any::<bool>()),
        bit in any::<prop::sample::Index>(),
    ) {
        let stream = Stream { form: Form::Fixed(order), known, ..Stream::mono(&samples, block) };
        let (mut file, head) = (stream.file(), stream.head().len());
        let bit = 8 * head + bit.index(8 * (file.len() - head));
        file[bit / 8] ^= 0x80 >> (bit % 8);
        prop_assert!(read(&file, None).is_err());
        // The checksum of its frame is enough.
        prop_assert!(trusted(&file).is_err());
    }
}

#[test]
fn a_difference_of_33_bits() {
    let ends = [i64::from(i32::MIN), i64::from(i32::MAX), -1, 0, 1];
    let (left, right) = (ends.repeat(5), ends.iter().flat_map(|&x| [x; 5]).collect());
    let mut stream = Stream { channels: vec![left, right], bits: 32, ..Stream::mono(&[], 7) };
    for stereo in [Stereo::LeftSide, Stereo::SideRight, Stereo::MidSide] {
        stream.stereo = stereo;
        for channel in [0, 1] {
            assert_eq!(
                read(&stream.file(), Some(channel)).unwrap().samples,
                stream.wanted(channel),
                "{stereo:?}"
            );
        }
    }
}

#[test]
fn tags_and_zeros_around_the_frames_are_no_samples() {
    let stream = Stream::mono(&ramp(100), 32);
    let file = stream.file();
    let id3v1 = [b"TAG".as_slice(), &[b'x'; 125]].concat();
    for behind in [id3v1, vec![0; 4096], id3v2_of(b"\xff\xf8\xc5\x08")] {
        let file = [file.as_slice(), &behind].concat();
        assert_eq!(read(&file, None).unwrap().samples, stream.wanted(0));
    }
    let front = id3v2_of(&b"fLaC".repeat(300_000));
    let mono = read_from(front.len(), &[front.as_slice(), &file].concat(), None, true).unwrap();
    assert_eq!(mono.samples, stream.wanted(0));
    for behind in [b"TAG".to_vec(), b"some junk".to_vec(), vec![0xff; 300], file.clone()] {
        let error = refused(&[file.as_slice(), &behind].concat());
        assert!(error.contains(&format!("at byte {} (sample 100", file.len())), "{error}");
    }
    assert!(refused(&[file.as_slice(), &file].concat()).contains("another FLAC file"));
}

#[test]
fn frames_that_are_not_the_next_one_are_errors() {
    let stream = Stream::mono(&ramp(128), 32);
    let (head, frames) = (stream.head(), stream.frames());
    let with = |order: &[usize]| {
        [head.clone(), order.iter().flat_map(|&i| frames[i].clone()).collect()].concat()
    };
    assert!(read(&with(&[0, 1, 2, 3]), None).is_ok());
    for order in [[0, 2, 3].as_slice(), &[1, 2, 3], &[0, 1, 1, 2], &[1, 0, 2, 3]] {
        assert!(refused(&with(order)).contains("frames are missing"), "{order:?}");
    }
    let middle = head.len() + frames[0].len();
    let others: [(Stream, &str); 4] = [
        (Stream { bits: 12, ..stream.clone() }, "12 bits"),
        (Stream { channels: vec![ramp(128); 2], ..stream.clone() }, "2 channel(s)"),
        (Stream { variable: true, ..stream.clone() }, "numbered in another way"),
        (Stream { rate: 8000, ..stream.clone() }, ""),
    ];
    for (other, wanted) in others {
        let file =
            [head.clone(), frames[0].clone(), other.frame(1), frames[2].clone(), frames[3].clone()]
                .concat();
        match wanted {
            // Frames do not say the rate here.
            "" => assert!(read(&file, None).is_ok()),
            _ => {
                let error = refused(&file);
                let place = format!("at byte {middle} (sample 32, 0.002 s)");
                assert!(error.contains(&place) && error.contains(wanted), "{error}");
            }
        }
    }
}

#[test]
fn what_the_header_promises_is_kept() {
    let stream = Stream { known: true, ..Stream::mono(&ramp(100), 32) };
    let (head, frames) = (stream.head(), stream.frames());
    let short = [head.clone(), frames[..3].concat()].concat();
    assert!(refused(&short).contains("promises 100 samples, the file holds 96"));
    assert!(refused(&head).contains("promises 100 samples, the file holds 0"));
    // Fewer are promised than are there: all are read, and the MD5 is that of all.
    let mut fewer = stream.file();
    fewer[8 + 17] = 50;
    assert_eq!(read(&fewer, None).unwrap().samples, stream.wanted(0));
    assert_eq!(trusted(&fewer), read(&fewer, None));
}

#[test]
fn the_md5_is_compared_where_it_is_asked_for_or_alone_tells_the_end() {
    let stream = Stream { known: true, ..Stream::mono(&ramp(100), 32) };
    let mut other = stream.file();
    other[8 + 20] ^= 1;
    assert!(refused(&other).contains("MD5"));
    assert_eq!(trusted(&other).unwrap().samples, stream.wanted(0));
    // A header without the number of samples: only the MD5 tells that a frame is missing.
    let mut unknown = [stream.head(), stream.frames()[..3].concat()].concat();
    unknown[8 + 17] = 0;
    assert!(refused(&unknown).contains("MD5"));
    assert!(trusted(&unknown).unwrap_err().contains("MD5"));
}

#[test]
fn impossible_frames_are_errors() {
    // A channel of a reserved kind, of no bits, of reserved residuals; a sample beyond its bits.
    let stream =
        Stream { form: Form::Fixed(1), ..Stream::mono(&[30_000, 30_001, 30_003, 30_004], 4) };
    let good = stream.frame(0);
    let begin = good.len() - 2 - 6;
    let spoiled = |change: &dyn Fn(&mut [u8])| {
        let mut frame = good.clone();
        change(&mut frame);
        let end = frame.len() - 2;
        let sum = crc16(&frame[..end]).to_be_bytes();
        frame[end..].copy_from_slice(&sum);
        [stream.head(), frame].concat()
    };
    assert_eq!(read(&spoiled(&|_| ()), None).unwrap().samples, stream.wanted(0));
    assert_eq!(good[begin], 9 << 1);
    type Change<'a> = &'a dyn Fn(&mut [u8]);
    let cases: [(Change, &str); 7] = [
        (&|f: &mut [u8]| f[begin] = 0x80, "reserved bit"),
        (&|f: &mut [u8]| f[begin] = 14 << 1, "reserved kind"),
        (&|f: &mut [u8]| f[begin] = 63 << 1, "more samples than it has"),
        (&|f: &mut [u8]| f[begin..begin + 4].copy_from_slice(&[0x13, 0, 0, 1]), "no bits"),
        (&|f: &mut [u8]| f[begin + 3] |= 0x80, "reserved way"),
        (&|f: &mut [u8]| f[begin + 3] |= 0x3c, "partitions"),
        (&|f: &mut [u8]| f[begin + 1..begin + 3].copy_from_slice(&[0x7f, 0xff]), "does not fit"),
    ];
    for (change, wanted) in cases {
        let error = refused(&spoiled(change));
        assert!(error.contains(wanted), "{error} for {wanted}");
    }
}

#[test]
fn channels_need_a_choice() {
    let stream = Stream { channels: vec![ramp(50), ramp(50), ramp(50)], ..Stream::mono(&[], 16) };
    assert!(refused(&stream.file()).contains("has 3 channels"));
    assert_eq!(read(&stream.file(), Some(2)).unwrap().samples, stream.wanted(2));
}

#[test]
fn damaged_files_end_without_a_panic() {
    // Every byte of a frame is changed in turn, and the checksums are made right again. Nothing
    // breaks, and the MD5 finds most changes: the others leave the samples as they are.
    let stream = Stream { form: Form::Linear, known: true, ..Stream::mono(&ramp(64), 64) };
    let (head, good) = (stream.head(), stream.frame(0));
    let (mut accepted, mut errors) = (0, 0);
    for at in 4..good.len() - 2 {
        for value in [0u8, 1, 0x7f, 0x80, 0xff] {
            let mut frame = good.clone();
            frame[at] = value;
            frame[7] = crc8(&frame[..7]);
            let end = frame.len() - 2;
            let sum = crc16(&frame[..end]).to_be_bytes();
            frame[end..].copy_from_slice(&sum);
            match read(&[head.as_slice(), &frame].concat(), None) {
                Ok(mono) => {
                    assert_eq!(mono.samples, stream.wanted(0));
                    accepted += 1;
                }
                Err(_) => errors += 1,
            }
        }
    }
    assert!(errors > 4 * accepted, "{errors} errors, {accepted} without");
}
