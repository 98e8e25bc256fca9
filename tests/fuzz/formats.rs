//! Recordings in other containers than WAV and FLAC: MP4, Ogg, frames of MP3 and AAC, AIFF, CAF and
//! NIST SPHERE.

use std::path::Path;

use revox::audio::{Source, load};
use revox::rng::Stream;

use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::shared::fixture;

/// Rate at which recordings are read.
const RATE: u32 = 16_000;

/// Files that ffmpeg made; `formats/make.sh` of the fixtures says how.
fn made(names: &[&str]) -> Vec<Vec<u8>> {
    names
        .iter()
        .map(|name| std::fs::read(fixture("formats").join(name)).expect("a fixture"))
        .collect()
}

/// A seed with one to four changes. The first `hot` bytes are changed most.
fn changed(stream: &mut Stream, seeds: &[Vec<u8>], hot: usize) -> Vec<u8> {
    let mut data = pick(stream, seeds).clone();
    for _ in 0..1 + stream.below(4) {
        mutate::change(stream, &mut data, seeds, hot);
    }
    data
}

/// Reads a file whole, in pieces, and from a place within it. All must agree, lengths that the
/// header gives too, and errors must name the file.
fn read(path: &Path, bytes: &[u8]) -> Outcome {
    let named = |e: revox::Error| match e.to_string().contains("input.") {
        true => Ok(Verdict::Refused),
        false => Err(format!("an error without the file's name: {e}")),
    };
    let whole = match load(path, RATE, Some(0)) {
        Ok(audio) => audio.samples,
        Err(e) => return named(e),
    };
    if whole.iter().any(|x| !x.is_finite()) {
        return Err("samples that are no numbers".into());
    }
    let again = |e: revox::Error| format!("read once, and then: {e}");
    let mut source = Source::open(path, RATE, Some(0)).map_err(again)?;
    if source.known_length().is_some_and(|length| length != whole.len()) {
        return Err(format!("{:?} samples known, {} read", source.known_length(), whole.len()));
    }
    let mut pieces = Vec::new();
    loop {
        let piece = source.read(777).map_err(again)?;
        if piece.is_empty() {
            break;
        }
        pieces.extend(piece);
    }
    if pieces != whole {
        return Err("other samples in pieces".into());
    }
    // Any place will do; the same file always has the same one.
    let start = bytes.len() * 31 % whole.len();
    source.seek(start).map_err(again)?;
    let part = source.read(300).map_err(again)?;
    match part == whole[start..whole.len().min(start + 300)] {
        true => Ok(Verdict::Read),
        false => Err(format!("other samples from sample {start} on")),
    }
}

#[test]
fn mp4_files() {
    let good = made(&["aac.m4a", "alac.m4a"]);
    run(&Target {
        name: "mp4_files",
        file: "input.m4a",
        good: &good,
        // The boxes in front of the packets take so many bytes.
        make: &|stream| changed(stream, &good, 786),
        read: &read,
    });
}

#[test]
fn frames_of_mpeg() {
    let good = made(&["mp3.mp3", "aac.aac"]);
    run(&Target {
        name: "frames_of_mpeg",
        file: "input.mp3",
        good: &good,
        make: &|stream| changed(stream, &good, 250),
        read: &read,
    });
}

/// The checksum of an Ogg page (RFC 3533).
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0u32, |sum, &byte| {
        (0..8).fold(sum ^ (u32::from(byte) << 24), |sum, _| {
            if sum >> 31 == 1 { (sum << 1) ^ 0x04c1_1db7 } else { sum << 1 }
        })
    })
}

/// Makes the checksums of the pages those of their bytes.
fn fix_pages(file: &mut [u8]) {
    let mut at = 0;
    while let Some(page) = file.get_mut(at..).filter(|rest| rest.starts_with(b"OggS")) {
        let Some(&count) = page.get(26) else { return };
        let head = 27 + usize::from(count);
        let Some(segments) = page.get(27..head) else { return };
        let length = head + segments.iter().map(|&bytes| usize::from(bytes)).sum::<usize>();
        let Some(page) = page.get_mut(..length) else { return };
        page[22..26].fill(0);
        let sum = checksum(page).to_le_bytes();
        page[22..26].copy_from_slice(&sum);
        at += length;
    }
}

#[test]
fn ogg_files() {
    let good = made(&["vorbis.ogg", "opus.opus"]);
    run(&Target {
        name: "ogg_files",
        file: "input.ogg",
        good: &good,
        make: &|stream| {
            let mut data = changed(stream, &good, 0);
            if stream.chance(0.8) {
                fix_pages(&mut data);
            }
            data
        },
        read: &read,
    });
}

/// A tone, full scale = 1.
fn tone() -> impl Iterator<Item = f64> {
    (0..600).map(|i| 0.4 * (f64::from(i) * 0.07).sin())
}

/// The tone in 16 bits, the most significant byte first.
fn sixteen() -> Vec<u8> {
    tone().flat_map(|x| ((x * 32_768.0) as i16).to_be_bytes()).collect()
}

/// A chunk of AIFF.
fn chunk(id: &[u8], content: &[u8]) -> Vec<u8> {
    let mut chunk = [id, &(content.len() as u32).to_be_bytes(), content].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

/// An AIFF file at 16 kHz: channels, bits, the name of the encoding (AIFF-C) and the samples.
fn aiff(channels: u16, bits: u16, coding: &[u8], data: &[u8]) -> Vec<u8> {
    let frames = data.len() / usize::from(channels * bits.div_ceil(8));
    let mut common = channels.to_be_bytes().to_vec();
    common.extend((frames as u32).to_be_bytes());
    common.extend(bits.to_be_bytes());
    // 16000 as a number of 80 bits.
    common.extend(b"\x40\x0c\xfa\0\0\0\0\0\0\0");
    common.extend(coding);
    let form: &[u8] = if coding.is_empty() { b"AIFF" } else { b"AIFC" };
    let sound = [&[0; 8][..], data].concat();
    let chunks = [chunk(b"NAME", b"odd"), chunk(b"COMM", &common), chunk(b"SSND", &sound)].concat();
    chunk(b"FORM", &[form, &chunks].concat())
}

/// A CAF file at 16 kHz: the encoding with its flags, channels, bits and the samples.
fn caf(format: &[u8], flags: u32, channels: u32, bits: u32, data: &[u8]) -> Vec<u8> {
    let chunk =
        |id: &[u8], content: &[u8]| [id, &(content.len() as u64).to_be_bytes(), content].concat();
    let mut description = 16_000f64.to_be_bytes().to_vec();
    description.extend(format);
    let fields = [flags, bits / 8 * channels, 1, channels, bits];
    description.extend(fields.iter().flat_map(|x| x.to_be_bytes()));
    let data = [&[0; 4][..], data].concat();
    let chunks = [chunk(b"desc", &description), chunk(b"free", &[0; 7]), chunk(b"data", &data)];
    [b"caff\0\x01\0\0".to_vec(), chunks.concat()].concat()
}

/// A SPHERE file with these lines in its header.
fn sphere(lines: &str, data: &[u8]) -> Vec<u8> {
    let mut file = format!("NIST_1A\n   1024\n{lines}end_head\n").into_bytes();
    file.resize(1024, b' ');
    file.extend(data);
    file
}

#[test]
fn plain_containers() {
    let data = sixteen();
    let floats: Vec<u8> = tone().flat_map(|x| (x as f32).to_le_bytes()).collect();
    let doubles: Vec<u8> = tone().flat_map(f64::to_be_bytes).collect();
    let count = data.len() / 2;
    let common = format!("sample_count -i {count}\nsample_rate -i 16000\nchannel_count -i 1\n");
    let good = [
        aiff(1, 16, b"", &data),
        aiff(2, 16, b"NONE\0\0", &data),
        aiff(1, 16, b"sowt\0\0", &data),
        aiff(1, 64, b"fl64\0\0", &doubles),
        aiff(1, 8, b"ulaw\0\0", &data),
        caf(b"lpcm", 0, 1, 16, &data),
        caf(b"lpcm", 3, 2, 32, &floats),
        caf(b"alaw", 0, 1, 8, &data),
        sphere(&format!("{common}sample_n_bytes -i 2\nsample_byte_format -s2 10\n"), &data),
        sphere("sample_rate -r 8000.000\nsample_coding -s4 ulaw\n", &data),
    ];
    // The tables of an ALAC file in CAF.
    let packets = [&2u64.to_be_bytes()[..], &600u64.to_be_bytes(), &[0; 8], &[0x81, 0, 5]].concat();
    let chunk =
        |id: &[u8], content: &[u8]| [id, &(content.len() as u64).to_be_bytes(), content].concat();
    let mut cookie = b"\0\0\x10\0\0\x10\x28\x0a\x0e\x01\0\xff".to_vec();
    cookie.extend([0; 8]);
    cookie.extend(16_000u32.to_be_bytes());
    let mut alac = caf(b"alac", 0, 1, 16, &data[..133]);
    alac.extend([chunk(b"kuki", &cookie), chunk(b"pakt", &packets)].concat());
    let seeds = [&good[..], &[alac]].concat();
    run(&Target {
        name: "plain_containers",
        file: "input.bin",
        good: &good,
        make: &|stream| changed(stream, &seeds, 120),
        read: &read,
    });
}
