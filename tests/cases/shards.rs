//! Corpora packed into tar files, by this program and by others.

use std::path::Path;
use std::process::Command;

use revox::corpus::shards::Shards;

use crate::place::{Place, arg};

/// Reads a list of tar files as WeSpeaker does: names are split at the last dot, and entries belong
/// together while their keys are equal. Prints key, speaker, ending and MD5 of the audio.
const READER: &str = r#"
import hashlib, sys, tarfile

def emit(key, example):
    (ending, audio), = ((k, v) for k, v in example.items() if k != "spk")
    print(key, example["spk"].decode("utf8").strip(), ending, hashlib.md5(audio).hexdigest())

for line in open(sys.argv[1], encoding="utf8"):
    with tarfile.open(fileobj=open(line.strip(), "rb"), mode="r|*") as stream:
        before, example = None, {}
        for info in stream:
            assert info.isfile() and info.mode == 0o644 and info.uid == info.mtime == 0
            place = info.name.rfind(".")
            assert place > 0
            key, ending = info.name[:place], info.name[place + 1:]
            if before is not None and key != before:
                emit(before, example)
                example = {}
            example[ending] = stream.extractfile(info).read()
            before = key
        emit(before, example)
"#;

/// Writes tar files in Python's forms, with the entries of the first one: long names, and numbers
/// that need them.
const WRITER: &str = r#"
import io, sys, tarfile

for name, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT),
                   ("pax", tarfile.PAX_FORMAT)):
    with tarfile.open(sys.argv[1], "r") as source, \
         tarfile.open(f"{name}.tar", "w", format=form) as out:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        out.addfile(folder)
        for info in source:
            info.mtime = 1.5 if form == tarfile.PAX_FORMAT else 1
            info.name = f"{name}/{info.name}"
            out.addfile(info, source.extractfile(info))
"#;

/// Runs a program of Python's; nothing where there is no Python.
fn python(folder: &Path, program: &str, argument: &str) -> Option<String> {
    let run = Command::new("python3").args(["-c", program, argument]).current_dir(folder).output();
    let Ok(run) = run else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "in CI python3 must be there");
        eprintln!("skipped: no python3 here");
        return None;
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8(run.stdout).unwrap())
}

/// A place with lists of recordings, whose ids have folders, endings and many letters.
fn place() -> Place {
    let place = Place::make();
    let (mut scp, mut map) = (String::new(), String::new());
    for i in 0..11 {
        let folder = "folder/".repeat(if i == 3 { 20 } else { 1 });
        let id = match i % 3 {
            0 => format!("id{i}/{folder}0000{i}.wav"),
            1 => format!("id{i}-{}-0000{i}", folder.replace('/', ".")),
            _ => format!("ïd{i}/{folder}{i}"),
        };
        place.wav(&format!("audio/{i}.WAV"), 0.2 + f64::from(i) / 100.0, 100.0 + f64::from(i));
        scp += &format!("{id} audio/{i}.WAV\n");
        map += &format!("{id} speaker{}\n", i % 4);
    }
    place.write("wav.scp", &scp);
    place.write("utt2spk", &map);
    place
}

#[test]
fn python_finds_what_was_packed() {
    let place = place();
    for (out, options) in [("plain", &[][..]), ("flac", &["--flac"][..])] {
        let verb = ["pack", ".", out, "--per-shard", "4"];
        let report = place.json(&[&verb[..], options].concat());
        assert_eq!((&report["utterances"], &report["shards"]), (&11.into(), &3.into()), "{report}");
        let list = place.path(out).join("shard.list");
        let Some(text) = python(place.dir.path(), READER, arg(&list)) else { return };
        let mut found: Vec<Vec<&str>> =
            text.lines().map(|line| line.split(' ').collect()).collect();
        found.sort();
        let map = std::fs::read_to_string(place.path("utt2spk")).unwrap();
        let mut wanted: Vec<Vec<&str>> =
            map.lines().map(|line| line.split(' ').collect()).collect();
        wanted.sort();
        let pairs: Vec<&[&str]> = found.iter().map(|line| &line[..2]).collect();
        assert_eq!(pairs, wanted);
        let ending = if options.is_empty() { "wav" } else { "flac" };
        assert!(found.iter().all(|line| line[2] == ending), "{text}");
        // The lists beside it say the same.
        assert_eq!(std::fs::read_to_string(place.path(out).join("utt2spk")).unwrap(), map);
    }
}

#[test]
fn tar_files_of_others_are_read() {
    let place = place();
    place.ok(&["pack", ".", "out", "--per-shard", "100"]);
    let tar = place.path("out/shards_000000000.tar");
    let Some(_) = python(place.dir.path(), WRITER, arg(&tar)) else { return };
    let scan = |list: &str| Shards::scan(&place.path(list), &|_, _| ()).unwrap();
    let (shards, wanted) = scan("out/shard.list");
    std::fs::create_dir(place.path("others")).unwrap();
    for form in ["ustar", "gnu", "pax"] {
        place.write("others/list", &format!("../{form}.tar\n"));
        let (others, found) = scan("others/list");
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(*found.id, format!("{form}/{}", wanted.id));
            assert_eq!(found.speaker, wanted.speaker);
            assert!(
                others.read(0, found.offset, found.bytes).unwrap()
                    == shards.read(0, wanted.offset, wanted.bytes).unwrap()
            );
        }
    }
}

#[test]
fn packed_corpora_are_whole_or_not_there() {
    let place = place();
    place.ok(&["pack", ".", "out"]);
    assert_eq!(
        place.list("out"),
        ["shard.index.tsv", "shard.list", "shards_000000000.tar", "spk2utt", "utt2spk"]
    );
    place.fails(&["pack", ".", "out"], &["out: is already there"]);
    std::fs::write(place.path("audio/3.WAV"), "").unwrap();
    place.fails(&["pack", ".", "new"], &["wav.scp:4", "3.WAV: the file is empty"]);
    assert!(!place.path("new").exists());
    std::fs::remove_file(place.path("audio/7.WAV")).unwrap();
    let report = place.json(&["pack", ".", "new", "--skip-errors", "--seed", "3"]);
    assert_eq!((&report["utterances"], &report["skipped"]), (&9.into(), &2.into()));
    let left_out = std::fs::read_to_string(place.path("new/left-out.txt")).unwrap();
    for entry in report["left_out"].as_array().unwrap() {
        let [id, error] = ["id", "error"].map(|key| entry[key].as_str().unwrap());
        assert!(left_out.lines().any(|line| line == format!("{id} {error}")), "{left_out}");
        assert!(error.contains("wav.scp:4: ") || error.contains("wav.scp:8: "), "{error}");
    }
    assert_eq!(left_out.lines().count(), 2);
    let ran = place.run(&["pack", "none", "other"]);
    assert!(ran.code == 1 && ran.err.contains("none: no such folder"), "{}", ran.err);
    let ran = place.run(&["pack", ".", "other", "--per-shard", "0"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(!place.path("other").exists());
    // Packed anew from tar files, in a folder that was moved.
    std::fs::rename(place.path("out"), place.path("moved")).unwrap();
    let report = place.json(&["pack", "moved", "again", "--per-shard", "2"]);
    assert_eq!(report["shards"], 6, "{report}");
    // Trials are made of them, but the recordings are not divided.
    for (lists, out) in [("moved", "of_folder"), ("moved/shard.list", "of_list")] {
        place.ok(&["trials", lists, out, "--no-split"]);
        place.fails(&["trials", lists, "divided"], &["its recordings are in tar files"]);
    }
    let made = ["of_folder", "of_list"].map(|name| std::fs::read(place.path(name)).unwrap());
    assert!(made[0] == made[1] && !made[0].is_empty());
    // A list that lost its last line says so.
    let list = place.path("again/shard.list");
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, text.lines().take(5).map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    let ran = place.run(&["pack", "again", "fewer"]);
    assert!(ran.err.contains("utt2spk names 11 utterances, the tar files of"), "{}", ran.err);
    assert!(ran.code == 0 && ran.err.contains("hold 10\n"), "{}", ran.err);
    std::fs::write(&list, text).unwrap();
    // A shard that lost its end.
    let cut = place.path("again/shards_000000003.tar");
    let length = std::fs::metadata(&cut).unwrap().len();
    std::fs::File::options().write(true).open(&cut).unwrap().set_len(length - 2000).unwrap();
    place.fails(&["pack", "again", "other"], &["shards_000000003.tar", "cut short"]);
}
