//! Tar files of recordings, the index of them, and WeSpeaker's lists.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use revox::corpus::Corpus;
use revox::corpus::shards::{Packing, ShardEntry, Shards, pack};
use revox::rng::Stream;

use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::text::text;

/// Bytes of a header of a tar file.
const BLOCK: usize = 512;

/// An entry of a tar file: its header with a name, a kind and the form of the header, and content.
fn entry(name: &[u8], kind: u8, magic: &[u8], content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    block[156] = kind;
    block[257..257 + magic.len()].copy_from_slice(magic);
    block.extend(content);
    block.resize(block.len().next_multiple_of(BLOCK), 0);
    fix(&mut block[..BLOCK]);
    block
}

/// Makes the checksum of a header that of its bytes.
fn fix(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Makes the checksums of all headers those of their bytes.
fn fix_all(file: &mut [u8]) {
    for block in file.as_chunks_mut::<BLOCK>().0 {
        if &block[257..262] == b"ustar" {
            fix(block);
        }
    }
}

/// Tar files in the forms of POSIX and GNU.
fn tars() -> Vec<Vec<u8>> {
    let end = vec![0; 2 * BLOCK];
    let (posix, gnu) = (&b"ustar\x0000"[..], &b"ustar  \0"[..]);
    let plain = [
        entry(b"folder/", b'5', posix, b""),
        entry(b"folder/a.spk", b'0', posix, b"ann"),
        entry(b"folder/a.wav", b'0', posix, &[1; 700]),
        entry(b"b.flac", b'0', posix, &[2; 512]),
        entry(b"b.spk", b'0', posix, b"bob\n"),
        entry(b"b.txt", b'0', posix, b"words"),
    ];
    let name = [&[b'n'; 130][..], b".spk\0"].concat();
    let audio = [&[b'n'; 130][..], b".wav\0"].concat();
    let long = [
        entry(b"././@LongLink", b'L', gnu, &name),
        entry(&name[..99], b'0', gnu, b"ann"),
        entry(b"././@LongLink", b'L', gnu, &audio),
        entry(&audio[..99], b'0', gnu, &[3; 100]),
    ];
    let pax = [
        entry(b"pax_global_header", b'g', posix, b"17 comment=hello\n"),
        entry(b"PaxHeaders/c.spk", b'x', posix, b"14 path=c.spk\n12 mtime=17\n"),
        entry(b"c.spk", b'0', posix, b"cleo"),
        entry(b"PaxHeaders/c.wav", b'x', posix, b"14 path=c.wav\n13 size=1000\n"),
        entry(b"c.wav", b'0', posix, &[4; 1000]),
    ];
    [plain.concat(), long.concat(), pax.concat()]
        .map(|entries| [entries, end.clone()].concat())
        .into()
}

fn changed(stream: &mut Stream, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = pick(stream, seeds).clone();
    for _ in 0..1 + stream.below(4) {
        match stream.chance(0.8) {
            true => mutate::change(stream, &mut data, seeds, 0),
            false => exchange(stream, &mut data),
        }
    }
    if stream.chance(0.8) {
        fix_all(&mut data);
    }
    data
}

/// Exchanges, doubles or drops blocks of a tar file.
fn exchange(stream: &mut Stream, data: &mut Vec<u8>) {
    let blocks = data.len() / BLOCK;
    if blocks < 2 {
        return;
    }
    let (a, b) = (stream.below(blocks), stream.below(blocks));
    let block = data[a * BLOCK..(a + 1) * BLOCK].to_vec();
    match stream.below(3) {
        0 => data[b * BLOCK..(b + 1) * BLOCK].copy_from_slice(&block),
        1 => drop(data.splice(b * BLOCK..b * BLOCK, block)),
        _ => drop(data.drain(a * BLOCK..(a + 1) * BLOCK)),
    }
}

/// Writes what stands beside the input, before the first one.
fn beside(input: &Path, name: &str, content: &[u8]) {
    let path = input.with_file_name(name);
    if !path.exists() {
        std::fs::write(path, content).expect("the folder takes files");
    }
}

/// Utterances that were found can be read, and have different words as ids.
fn sound(shards: &Shards, entries: &[ShardEntry]) -> Result<(), String> {
    let mut ids = HashSet::new();
    for ShardEntry { id, speaker, shard, offset, bytes } in entries {
        if id.is_empty() || speaker.is_empty() || !ids.insert(id) {
            return Err(format!("an utterance {id:?} of {speaker:?}, again or without a name"));
        }
        match shards.read(*shard, *offset, *bytes) {
            Ok(content) if content.len() as u64 == *bytes => {}
            Ok(content) => return Err(format!("{} bytes of {bytes}", content.len())),
            Err(e) => return Err(format!("an utterance that cannot be read: {e}")),
        }
    }
    match entries.is_empty() {
        true => Err("no utterances, and no error".into()),
        false => Ok(()),
    }
}

#[test]
fn tar_files() {
    let good = tars();
    let read = |path: &Path, bytes: &[u8]| -> Outcome {
        beside(path, "shard.list", b"input.tar\n");
        let list = path.with_file_name("shard.list");
        match Shards::scan(&list, &|_, _| ()) {
            Ok((shards, entries)) => {
                sound(&shards, &entries)?;
                let inside = |e: &ShardEntry| {
                    bytes.get(e.offset as usize..(e.offset + e.bytes) as usize).is_some()
                };
                match entries.iter().all(inside) {
                    true => Ok(Verdict::Read),
                    false => Err("an utterance that is not in the file".into()),
                }
            }
            Err(e) if e.to_string().contains("input.tar") => Ok(Verdict::Refused),
            Err(e) => Err(format!("an error without its file: {e}")),
        }
    };
    run(&Target {
        name: "tar_files",
        file: "input.tar",
        good: &good,
        make: &|stream| changed(stream, &good),
        read: &read,
    });
}

/// A tar file of four recordings, its index, and `utt2spk`.
fn packed() -> [Vec<u8>; 3] {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (mut scp, mut map) = (String::new(), String::new());
    for i in 0..4 {
        let samples: Vec<f32> = (0..200).map(|t| ((t * (i + 2)) as f32 * 0.1).sin()).collect();
        revox::audio::write_wav16(at(&format!("{i}.wav")), &samples, 16_000).expect("written");
        scp += &format!("u{i} {i}.wav\n");
        map += &format!("u{i} s{}\n", i % 2);
    }
    std::fs::write(at("wav.scp"), scp).expect("written");
    std::fs::write(at("utt2spk"), map).expect("written");
    let corpus = Corpus::load(folder.path()).expect("a corpus");
    let stop = AtomicBool::new(false);
    pack(&corpus, &at("out"), &Packing::default(), &stop, &|_, _| ()).expect("packed");
    ["shards_000000000.tar", "shard.index.tsv", "utt2spk"]
        .map(|name| std::fs::read(at("out").join(name)).expect("a file"))
}

#[test]
fn index_files() {
    const TAR: &str = "shards_000000000.tar";
    let [tar, index, map] = packed();
    let good = vec![index];
    let words = ["u0", "u1", "s0", "s1", "-", "512", "1024", "444", TAR, "0000000000000000"];
    let read = |path: &Path, _: &[u8]| -> Outcome {
        beside(path, "shard.list", format!("{TAR}\n").as_bytes());
        beside(path, TAR, &tar);
        beside(path, "utt2spk", &map);
        match Shards::scan(&path.with_file_name("shard.list"), &|_, _| ()) {
            Ok((shards, entries)) => sound(&shards, &entries).map(|()| Verdict::Read),
            Err(e) if ["shard.index.tsv", TAR].iter().any(|name| e.to_string().contains(name)) => {
                Ok(Verdict::Refused)
            }
            Err(e) => Err(format!("an error without its file: {e}")),
        }
    };
    run(&Target {
        name: "index_files",
        file: "shard.index.tsv",
        good: &good,
        // Of another corpus, the index is only left out, with a note.
        make: &|stream| {
            let lines = good[0].split_inclusive(|&b| b == b'\n');
            let head = if stream.chance(0.01) { 0 } else { 3 };
            let kept: Vec<u8> = lines.clone().take(head).flatten().copied().collect();
            let rest: Vec<u8> = lines.skip(head).flatten().copied().collect();
            [kept, text(stream, &[rest], &words)].concat()
        },
        read: &read,
    });
}

#[test]
fn raw_lists() {
    let good: Vec<Vec<u8>> = [
        "{\"key\": \"a/1\", \"wav\": \"a.wav\", \"spk\": \"ann\"}\n\
         {\"spk\": \"b\\u00e9\", \"key\": \"b\", \"wav\": \"./a.wav\", \"dur\": 3.2}\n",
        "{\"key\":\"c\",\"wav\":\"a.wav\",\"spk\":\"c\",\"vad\":null,\"more\":{\"x\":[1,2]}}\r\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    let words = ["key", "wav", "spk", "vad", "a.wav", "touch revox-ran-this |", "\\u0000", "\\n"];
    let read = |path: &Path, bytes: &[u8]| -> Outcome {
        beside(path, "a.wav", b"not looked at");
        match Corpus::load(path) {
            Ok(corpus) => {
                let ids: HashSet<&str> = corpus.utterances.iter().map(|u| &*u.id).collect();
                let lines = bytes.split(|&b| b == b'\n').count();
                let is_sound = ids.len() == corpus.utterances.len()
                    && !ids.is_empty()
                    && ids.len() <= lines
                    && corpus.utterances.iter().all(|u| (u.line as usize) <= lines);
                match is_sound {
                    true => Ok(Verdict::Read),
                    false => Err(format!("{} utterances of {lines} lines", ids.len())),
                }
            }
            // What is no JSON is taken for a list of tar files, such as `a.wav`.
            Err(e) if ["raw.list", "a.wav"].iter().any(|name| e.to_string().contains(name)) => {
                Ok(Verdict::Refused)
            }
            Err(e) => Err(format!("an error without its file: {e}")),
        }
    };
    run(&Target {
        name: "raw_lists",
        file: "raw.list",
        good: &good,
        make: &|stream| text(stream, &good, &words),
        read: &read,
    });
}
