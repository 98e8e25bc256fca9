//! Recordings.

use std::path::{Path, PathBuf};

use revox::audio::{Source, load};
use revox::rng::Stream;

use crate::flac_file::{encode, fix, frames};
use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::shared;

/// Rate of every generated recording, at which it is read.
const RATE: u32 = 16000;
/// Samples of a generated recording.
const SAMPLES: usize = 2000;

/// A tone whose first part is silent.
fn tone(amplitude: f64) -> Vec<i32> {
    (0..SAMPLES)
        .map(|i| if i < 300 { 0 } else { (amplitude * (i as f64 * 0.05).sin()) as i32 })
        .collect()
}

/// Recordings of the shared data whose names have a prefix.
fn recordings(prefix: &str) -> Vec<Vec<u8>> {
    let Some(folder) = shared::shared("cases/audio") else { return Vec::new() };
    let names = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
    let begins =
        |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix));
    let mut paths: Vec<PathBuf> = names.filter(begins).collect();
    // Folders have no fixed order, and the numbers of inputs depend on it.
    paths.sort();
    let files = paths.iter().map(|p| shortened(std::fs::read(p).expect("a file")));
    let files: Vec<Vec<u8>> = files.filter(|bytes| bytes.len() < 33_000).collect();
    assert!(files.len() > 5, "{} recordings whose names begin with {prefix}", files.len());
    files
}

/// A WAV file with fewer samples, where its sizes say how many it has.
fn shortened(mut file: Vec<u8>) -> Vec<u8> {
    /// A whole number of samples of any width.
    const KEPT: usize = 4800;
    let Some(at) = file.windows(4).position(|w| w == b"data") else { return file };
    let (size, begin) = (at + 4, at + 8);
    if file.len() > begin + KEPT && file[size..begin] == ((file.len() - begin) as u32).to_le_bytes()
    {
        file.truncate(begin + KEPT);
        let riff = (file.len() - 8) as u32;
        file[size..begin].copy_from_slice(&(KEPT as u32).to_le_bytes());
        file[4..8].copy_from_slice(&riff.to_le_bytes());
    }
    file
}

/// The samples, or an error that names the file.
fn read(path: &Path) -> Result<revox::audio::Audio, Outcome> {
    match load(path, RATE, Some(0)) {
        Ok(audio) if audio.samples.iter().any(|x| !x.is_finite()) => {
            Err(Err("samples that are no numbers".into()))
        }
        Ok(audio) => Ok(audio),
        Err(e) if e.to_string().contains("input.") => Err(Ok(Verdict::Refused)),
        Err(e) => Err(Err(format!("an error without the file's name: {e}"))),
    }
}

/// The samples of a file that is read in pieces.
fn in_pieces(path: &Path) -> Option<Vec<f32>> {
    let mut source = Source::open(path, RATE, Some(0)).ok()?;
    let mut all = Vec::new();
    loop {
        let piece = source.read(333).ok()?;
        if piece.is_empty() {
            return Some(all);
        }
        all.extend(piece);
    }
}

/// A WAV file: the format's tag, channels, bits of a sample, chunks before the samples, and these.
fn wav(tag: u16, channels: u16, bits: u16, chunks: &[u8], samples: &[u8]) -> Vec<u8> {
    let width = channels * bits / 8;
    let mut format = [tag, channels].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    format.extend(RATE.to_le_bytes());
    format.extend((RATE * u32::from(width)).to_le_bytes());
    format.extend([width, bits].iter().flat_map(|x| x.to_le_bytes()));
    if tag == 0xfffe {
        // Extensible: 22 bytes more, of which 16 name PCM.
        format.extend([22, bits].iter().flat_map(|x| x.to_le_bytes()));
        format.extend(4u32.to_le_bytes());
        format.extend(b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
    }
    let chunk =
        |name: &[u8], body: &[u8]| [name, &(body.len() as u32).to_le_bytes(), body].concat();
    let body =
        [b"WAVE".to_vec(), chunk(b"fmt ", &format), chunks.to_vec(), chunk(b"data", samples)]
            .concat();
    chunk(b"RIFF", &body)
}

/// Every encoding that is read.
fn wavs() -> Vec<Vec<u8>> {
    let bytes = |bits: u32, width: usize| -> Vec<u8> {
        let amplitude = 0.4 * f64::from(1u32 << (bits - 1));
        let offset = if bits == 8 { 128 } else { 0 };
        tone(amplitude)
            .iter()
            .flat_map(|x| (x + offset).to_le_bytes().into_iter().take(width))
            .collect()
    };
    let floats: Vec<u8> =
        tone(1e4).iter().flat_map(|&x| (x as f32 / 32768.0).to_le_bytes()).collect();
    vec![
        wav(1, 1, 16, b"", &bytes(16, 2)),
        wav(1, 1, 8, b"", &bytes(8, 1)),
        wav(1, 1, 24, b"", &bytes(24, 3)),
        wav(1, 1, 32, b"", &bytes(32, 4)),
        wav(1, 2, 16, b"LIST\x03\0\0\0abc\0", &bytes(16, 2)),
        wav(3, 1, 32, b"fact\x04\0\0\0\xd0\x07\0\0", &floats),
        wav(0xfffe, 1, 16, b"", &bytes(16, 2)),
    ]
}

/// A recording with tags in front of it and behind it: ID3v2, APE, Lyrics3, ID3v1.
fn tagged(file: &[u8]) -> Vec<u8> {
    let ape = [b"APETAGEX\xd0\x07\0\0\x04\0\0\0".as_slice(), &[1; 20]].concat();
    let lyrics = b"LYRICSBEGININD0000200000021LYRICS200".as_slice();
    let id3v1 = [b"TAG".as_slice(), &[b'x'; 125]].concat();
    [b"ID3\x04\0\0\0\0\0\x05hello".as_slice(), file, &ape, lyrics, &id3v1].concat()
}

#[test]
fn wav_files() {
    let mut good = wavs();
    good.push(tagged(&good[0]));
    let seeds = [good.clone(), recordings("w")].concat();
    run(&Target {
        name: "wav_files",
        file: "input.wav",
        good: &good,
        make: &|stream| mutate::bytes(stream, &seeds, 100),
        read: &|path, bytes| {
            let audio = match read(path) {
                Ok(audio) => audio,
                Err(outcome) => return outcome,
            };
            // No encoding has more than one sample a byte.
            let ratio = f64::from(audio.sample_rate) / f64::from(audio.source_rate);
            let (found, most) = (audio.samples.len(), bytes.len() as f64 * ratio + 1.0);
            match found as f64 <= most {
                true => Ok(Verdict::Read),
                false => Err(format!("{found} samples, {most:.0} at most are in it")),
            }
        },
    });
}

/// Mono and stereo, 8, 16 and 24 bits, with and without a total.
fn flacs() -> Vec<Vec<u8>> {
    let wide = tone(2e6);
    vec![
        encode(&[tone(1e4)], 16, RATE, 256, true),
        encode(&[tone(1e4)], 16, RATE, 500, false),
        encode(&[tone(100.0)], 8, RATE, 192, true),
        encode(&[wide.clone(), wide.iter().map(|x| x / 3 + 7).collect()], 24, RATE, 700, true),
    ]
}

/// A FLAC file as what is in front of its frames, and these.
type Parts = (Vec<u8>, Vec<Vec<u8>>);

fn parts_of(seeds: &[Vec<u8>]) -> Vec<Parts> {
    let split = |seed: &Vec<u8>| -> Option<Parts> {
        let ranges = frames(seed);
        let first = ranges.first()?.start;
        Some((seed[..first].to_vec(), ranges.into_iter().map(|r| seed[r].to_vec()).collect()))
    };
    seeds.iter().filter_map(split).collect()
}

/// A seed whose frames were changed, lost, doubled or exchanged, or whose end is missing. In half
/// of the cases the checksums of a changed frame fit it again.
fn damaged(stream: &mut Stream, seeds: &[Vec<u8>], split: &[Parts]) -> Vec<u8> {
    let (head, mut parts) = pick(stream, split).clone();
    let (start, fixed) = (head.len(), stream.chance(0.5));
    for _ in 0..1 + stream.below(2) {
        if parts.is_empty() {
            break;
        }
        let (i, j) = (stream.below(parts.len()), stream.below(parts.len()));
        match stream.below(10) {
            0..=3 => {
                let at = stream.below(parts[i].len().max(1));
                if let Some(byte) = parts[i].get_mut(at) {
                    *byte ^= 1 << stream.below(8);
                }
            }
            4..=6 => mutate::change(stream, &mut parts[i], seeds, 16),
            7 => drop(parts.remove(i)),
            8 => parts.insert(j, parts[i].clone()),
            _ => parts.swap(i, j),
        }
        if let Some(part) = parts.get_mut(i).filter(|_| fixed) {
            fix(part);
        }
    }
    let mut file = [vec![head], parts].concat().concat();
    if stream.chance(0.15) {
        file.truncate(start + stream.below(file.len() - start + 1));
    }
    file
}

#[test]
fn flac_files() {
    let mut good = flacs();
    good.push(tagged(&good[0]));
    let seeds = [good.clone(), recordings("f")].concat();
    let split = parts_of(&seeds);
    run(&Target {
        name: "flac_files",
        file: "input.flac",
        good: &good,
        make: &|stream| match stream.chance(0.4) {
            true => damaged(stream, &seeds, &split),
            false => mutate::bytes(stream, &seeds, 100),
        },
        read: &|path, _| match read(path) {
            Ok(audio) if in_pieces(path).as_ref() != Some(&audio.samples) => {
                Err("other samples in pieces".into())
            }
            Ok(_) => Ok(Verdict::Read),
            Err(outcome) => outcome,
        },
    });
}

/// The checksum of the samples finds every damage: the result is an error or the recorded samples.
#[test]
fn flac_samples() {
    let mut seeds = flacs();
    let names =
        ["f00_plain.flac", "f07_variable_blocks.flac", "f13_one_block.flac", "f14_stereo.flac"];
    if let Some(folder) = shared::shared("cases/audio") {
        seeds.extend(names.iter().map(|name| std::fs::read(folder.join(name)).expect("a file")));
    }
    let (split, folder) = (parts_of(&seeds), tempfile::tempdir().expect("a folder"));
    let recorded: Vec<Vec<f32>> = seeds
        .iter()
        .map(|bytes| {
            let path = folder.path().join("input.flac");
            std::fs::write(&path, bytes).expect("a file");
            read(&path).unwrap_or_else(|outcome| panic!("a good file: {outcome:?}")).samples
        })
        .collect();
    run(&Target {
        name: "flac_samples",
        file: "input.flac",
        good: &seeds,
        make: &|stream| damaged(stream, &seeds, &split),
        read: &|path, _| match read(path) {
            Ok(audio) if recorded.contains(&audio.samples) => Ok(Verdict::Read),
            Ok(audio) => Err(format!(
                "{} samples that nobody recorded pass as a recording",
                audio.samples.len()
            )),
            Err(outcome) => outcome,
        },
    });
}
