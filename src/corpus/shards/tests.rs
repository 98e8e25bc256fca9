//! Lists of tar files, good and bad, and packing.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::write::Writer;
use super::*;
use crate::corpus::Corpus;

mod copies;
mod progress;

/// A tar file with these entries.
fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut tar = Writer::new(&mut bytes);
    for (name, content) in entries {
        tar.add(name, content).unwrap();
    }
    tar.finish().unwrap();
    bytes
}

const TWO: [(&str, &[u8]); 4] = [
    ("id1/x/1.spk", b"id1\n"),
    ("id1/x/1.wav", b"RIFF one"),
    ("id2.y.spk", b"id2"),
    ("id2.y.flac", b"fLaC two"),
];

/// A list of tar files in a folder of its own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn of(tars: &[Vec<u8>]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let mut list = String::new();
        for (i, tar) in tars.iter().enumerate() {
            folder.write(&format!("{i}.tar"), tar);
            list += &format!("{i}.tar\n");
        }
        folder.write("shard.list", list);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn scan(&self) -> Result<(Shards, Vec<ShardEntry>), String> {
        Shards::scan(&self.path("shard.list"), &|_, _| ()).map_err(|e| e.to_string())
    }

    fn fails(&self, wanted: &[&str]) {
        let error = self.scan().unwrap_err();
        assert!(wanted.iter().all(|part| error.contains(part)), "{wanted:?} is not in: {error}");
    }
}

/// A corpus of WAV files, whose ids have folders and endings, as lists in a folder.
fn corpus(dir: &Path, count: usize) -> Corpus {
    let (mut scp, mut map) = (String::new(), String::new());
    for i in 0..count {
        let tone: Vec<f32> = (0..2000 + i).map(|t| ((t * (i + 1)) as f32 * 0.01).sin()).collect();
        let path = dir.join(format!("{i} a.wav"));
        crate::audio::write_wav16(&path, &tone, 16_000).unwrap();
        let long = "x".repeat(if i == 0 { 150 } else { 1 });
        scp += &format!("id{}/{long}/{i}.wav {}\n", i % 3, path.display());
        map += &format!("id{}/{long}/{i}.wav s{}\n", i % 3, i % 3);
    }
    std::fs::write(dir.join("wav.scp"), scp).unwrap();
    std::fs::write(dir.join("utt2spk"), map).unwrap();
    Corpus::load(dir).unwrap()
}

fn packed(corpus: &Corpus, out: &Path, packing: &Packing) -> PackReport {
    pack(corpus, out, packing, &AtomicBool::new(false), &|_, _| ()).unwrap()
}

#[test]
fn entries_are_found_by_key() {
    let other =
        tar(&[("z.txt", b"?"), ("b.wav", b"RIFF three"), ("b.spk", b"id1"), ("b.txt", b"")]);
    let folder = Folder::of(&[tar(&TWO), other]);
    let (shards, entries) = folder.scan().unwrap();
    let found: Vec<(&str, &str, u32)> =
        entries.iter().map(|e| (&*e.id, &*e.speaker, e.shard)).collect();
    assert_eq!(found, [("id1/x/1", "id1", 0), ("id2.y", "id2", 0), ("b", "id1", 1)]);
    let read = |e: &ShardEntry| shards.read(e.shard, e.offset, e.bytes).unwrap();
    assert_eq!(
        entries.iter().map(read).collect::<Vec<_>>(),
        [b"RIFF one".to_vec(), b"fLaC two".to_vec(), b"RIFF three".to_vec()]
    );
    assert_eq!((shards.len(), shards.line(1)), (2, 2));
    // Other lists may be where their tar files were.
    folder.write("shard.list", "/no/such/folder/1.tar\n\n");
    assert_eq!(folder.scan().unwrap().1.len(), 1);
}

#[test]
fn bad_tar_files_are_named() {
    let fails = |tar: &[u8], wanted: &[&str]| {
        Folder::of(&[tar.to_vec()]).fails(&[&["0.tar"][..], wanted].concat());
    };
    fails(b"", &["is empty"]);
    fails(&tar(&[]), &["holds no audio"]);
    fails(b"this is text", &["is not a tar file"]);
    fails(&[7; 2000], &["is not a tar file"]);
    fails(b"\x1f\x8b\x08\0 and so on", &["is compressed", "gunzip"]);
    fails(&[tar(&TWO), tar(&TWO)].concat(), &["joined"]);
    fails(&tar(&[("a.wav", b"x")]), &["`a` has no speaker", "`a.spk`", "utt2spk"]);
    fails(&tar(&[("a.spk", b"s"), ("b.spk", b"s")]), &["`a.spk` has no audio"]);
    fails(&tar(&[("a.spk", b"s"), ("a.wav", b"x"), ("b.spk", b"s")]), &["`b.spk` has no audio"]);
    fails(&tar(&[("a.spk", b"s"), ("a.wav", b"x"), ("a.flac", b"x")]), &["second recording"]);
    fails(&tar(&[("a.spk", b"s"), ("a.spk", b"x"), ("a.wav", b"x")]), &["second speaker"]);
    fails(&tar(&[("a.spk", b"two words"), ("a.wav", b"x")]), &["`a.spk` is not a speaker's name"]);
    fails(&tar(&[("a.spk", b"\xff"), ("a.wav", b"x")]), &["`a.spk` is not a speaker's name"]);
    fails(&tar(&[("a.spk", b"\n"), ("a.wav", b"x")]), &["`a.spk` is not a speaker's name"]);
    fails(&tar(&[("README", b"x")]), &["`README` has no ending"]);
    fails(&tar(&[("a b.spk", b"s"), ("a b.wav", b"x")]), &["cannot be an id"]);
    let mut link = tar(&TWO);
    link[156] = b'2';
    let sum = (0..512).filter(|i| !(148..156).contains(i)).map(|i| u32::from(link[i])).sum::<u32>();
    link[148..156].copy_from_slice(format!("{:06o}\0 ", sum + 8 * 32).as_bytes());
    fails(&link, &["`id1/x/1.spk` is a link"]);
}

/// A tar file that lacks its end, wherever it is cut, is an error.
#[test]
fn a_cut_tar_file_is_never_whole() {
    let whole = tar(&TWO);
    for cut in 0..whole.len() {
        let result = Folder::of(&[whole[..cut].to_vec()]).scan();
        // The second block of zeros at the end says nothing.
        assert_eq!(result.is_ok(), cut >= whole.len() - 512, "{cut}: {result:?}");
    }
    let cut = |length: usize| Folder::of(&[whole[..length].to_vec()]);
    cut(512 * 3 + 3).fails(&["cut short", "`id1/x/1.wav` has 8 bytes, of which the last 5"]);
    cut(512 * 4).fails(&["cut short behind its entry `id1/x/1.wav`"]);
}

#[test]
fn no_damage_panics() {
    let whole = tar(&TWO);
    for at in (0..whole.len()).step_by(3) {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let _ = Folder::of(&[bytes]).scan();
        }
    }
}

#[test]
fn lists_and_speakers_are_checked() {
    let one = tar(&TWO[..2]);
    Folder::of(&[]).fails(&["shard.list", "names no tar files"]);
    Folder::of(&[tar(&TWO), one.clone()]).fails(&["1.tar", "`id1/x/1` again", "0.tar"]);
    Folder::of(&[[&TWO[..], &TWO[..2]].concat()].map(|twice| tar(&twice)))
        .fails(&["0.tar: utterance `id1/x/1` again", "already in"]);
    let folder = Folder::of(&[one]);
    folder.write("shard.list", "0.tar\n\n0.tar\n");
    folder.fails(&["shard.list:3", "already in line 1"]);
    folder.write("shard.list", "0.tar\n1.tar\n");
    folder.fails(&["shard.list:2", "1.tar: no such file"]);
    folder.write("shard.list", "0.tar\n");
    folder.write("utt2spk", "other s\n");
    folder.fails(&["0.tar", "`id1/x/1` is not in", "utt2spk"]);
    folder.write("utt2spk", "other s\nid1/x/1 s\n");
    folder.fails(&["utt2spk:2", "`s` is the speaker of `id1/x/1`", "`id1` is in"]);
    folder.write("utt2spk", "other s\nid1/x/1 id1\n");
    assert_eq!(folder.scan().unwrap().1.len(), 1);
    let folder = Folder::of(&[tar(&[("a.wav", b"x")])]);
    folder.write("utt2spk", "a ann\n");
    assert_eq!(&*folder.scan().unwrap().1[0].speaker, "ann");
}

#[test]
fn what_is_packed_is_found_with_and_without_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(dir.path(), 23);
    let packing = Packing { per_shard: 5, ..Packing::default() };
    let out = dir.path().join("out");
    let report = packed(&corpus, &out, &packing);
    assert_eq!((report.utterances, report.speakers, report.shards), (23, 3, 5));
    let list = out.join("shard.list");
    let scan = || Shards::scan(&list, &|_, _| ()).unwrap();
    let (shards, entries) = scan();
    assert_eq!(report.bytes, shards.all().iter().map(|shard| shard.bytes).sum::<u64>());
    for entry in &entries {
        let wanted = corpus.utterances.iter().find(|u| u.id == entry.id).unwrap();
        assert_eq!(*entry.speaker, *corpus.speakers[wanted.speaker as usize]);
        let found = shards.read(entry.shard, entry.offset, entry.bytes).unwrap();
        assert_eq!(found, std::fs::read(wanted.path().unwrap()).unwrap());
    }
    let index = out.join("shard.index.tsv");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::remove_file(&index).unwrap();
    assert_eq!(scan().1, entries);
    // The order is random, and not that of the corpus.
    assert!(
        !entries.is_sorted_by_key(|entry| corpus.utterances.iter().position(|u| u.id == entry.id))
    );

    // An index of other files is left out.
    std::fs::write(&index, text.replacen("\t", "0\t", 1)).unwrap();
    assert_eq!(scan().1, entries);
    std::fs::write(&index, &text).unwrap();
    let third = out.join("shards_000000002.tar");
    let content = std::fs::read(&third).unwrap();
    std::fs::write(&third, [&content[..], &[0; 1024]].concat()).unwrap();
    assert_eq!(scan().1, entries);
    std::fs::write(&third, content).unwrap();
    // A damaged one is an error, wherever it is cut.
    let fails = |text: &str, wanted: &str| {
        std::fs::write(&index, text).unwrap();
        let error = Shards::scan(&list, &|_, _| ()).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("remove the file"), "{error}");
    };
    (0..text.len())
        .step_by(7)
        .chain([text.len() - 1])
        .for_each(|cut| fails(&text[..cut], "index.tsv:"));
    let far = text.lines().nth(10).unwrap().rsplit_once('\t').unwrap().0.to_owned() + "\t99999999";
    let mut lines: Vec<&str> = text.lines().collect();
    lines[10] = &far;
    fails(&(lines.join("\n") + "\n"), "shard.index.tsv:2");
}

#[test]
fn packing_is_repeatable_and_packs_what_is_packed() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(dir.path(), 12);
    let packing = Packing { per_shard: 4, flac: true, ..Packing::default() };
    let bytes = |out: &Path, name: &str| std::fs::read(out.join(name)).unwrap();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| dir.path().join(name));
    let report = packed(&corpus, &a, &packing);
    assert_eq!(report.encoded, 12);
    assert_eq!(packed(&corpus, &b, &packing), report);
    packed(&corpus, &c, &Packing { seed: 2, ..packing.clone() });
    let names = ["shards_000000000.tar", "shards_000000002.tar", "shard.index.tsv", "utt2spk"];
    assert!(names.iter().all(|name| bytes(&a, name) == bytes(&b, name)));
    assert!(bytes(&a, names[0]) != bytes(&c, names[0]));
    let again = Corpus::load(&a).unwrap();
    packed(&again, &d, &Packing { per_shard: 100, ..packing });
    let last = Corpus::load(&d).unwrap();
    for utterance in &corpus.utterances {
        let samples = |corpus: &Corpus| {
            let found = corpus.utterances.iter().find(|u| u.id == utterance.id).unwrap();
            corpus.open(found, 16_000, None).unwrap().read(usize::MAX).unwrap()
        };
        assert!(samples(&corpus) == samples(&again) && samples(&again) == samples(&last));
    }
}

#[test]
fn what_cannot_be_read_is_an_error_or_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(dir.path(), 6);
    let out = dir.path().join("out");
    for i in [1, 4] {
        std::fs::remove_file(dir.path().join(format!("{i} a.wav"))).unwrap();
    }
    let stop = AtomicBool::new(false);
    let run = |packing: &Packing| pack(&corpus, &out, packing, &stop, &|_, _| ());
    let packing = Packing { per_shard: 1, ..Packing::default() };
    let error = run(&packing).unwrap_err().to_string();
    assert!(error.contains("wav.scp:") && error.contains(" a.wav"), "{error}");
    assert!(!out.exists());
    let report = run(&Packing { skip_errors: true, ..packing.clone() }).unwrap();
    assert_eq!((report.utterances, report.shards, report.left_out.len()), (4, 4, 2));
    let lines = std::fs::read_to_string(out.join("left-out.txt")).unwrap();
    for (line, (id, reason)) in lines.lines().zip(&report.left_out) {
        assert_eq!(line, format!("{id} {reason}"));
        assert!(corpus.utterances.iter().any(|u| *u.id == **id) && reason.contains("wav.scp:"));
    }
    assert_eq!(lines.lines().count(), 2);
    assert_eq!(Corpus::load(&out).unwrap().utterances.len(), 4);
    assert!(run(&packing).unwrap_err().to_string().contains("is already there"));
    let stopped =
        pack(&corpus, &dir.path().join("new"), &packing, &AtomicBool::new(true), &|_, _| ());
    assert!(matches!(stopped, Err(crate::Error::Interrupted(_))));
    let names = std::fs::read_dir(dir.path()).unwrap();
    assert_eq!(names.count(), 4 + 2 + 1, "nothing else may stay");
}
