use super::*;
use crate::corpus::read_wav_scp;

fn folder(scp: &str, map: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("wav.scp"), scp).unwrap();
    std::fs::write(dir.path().join("utt2spk"), map).unwrap();
    std::fs::write(dir.path().join("a b.wav"), "x").unwrap();
    std::fs::write(dir.path().join("c.wav"), "x").unwrap();
    dir
}

#[test]
fn paths_may_hold_blanks_and_speakers_are_numbered() {
    let dir =
        folder("u1  a b.wav\nu2\tc.wav\n\nu3 c.wav\n", "u1 zoe\nu2 anna\nu3 zoe\nother nobody\n");
    let corpus = Corpus::load(dir.path()).unwrap();
    assert_eq!(corpus.speakers, ["anna", "zoe"]);
    assert_eq!(corpus.utterances[0].path(), Some(&*dir.path().join("a b.wav")));
    assert_eq!(corpus.utterances[0].listed(), Some("a b.wav"));
    assert_eq!(corpus.utterances.iter().map(|u| u.line).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(corpus.by_speaker(), [vec![1], vec![0, 2]]);
    assert_eq!(corpus.lone_speakers(), ["anna"]);
    let words = [("u3", 1), ("a b.wav", 2)];
    assert_eq!(corpus.names().resolve(Path::new("trials"), words).unwrap().places, [2, 0]);
    // Two utterances have this file.
    let error =
        corpus.names().resolve(Path::new("trials"), [("c.wav", 7)]).unwrap_err().to_string();
    assert!(error.contains("trials:7: `c.wav` may be utterance `u2` or `u3`"), "{error}");
    // The list itself leads to the same corpus.
    let same = Corpus::load(dir.path().join("wav.scp")).unwrap();
    assert_eq!(same.utterances, corpus.utterances);
}

#[test]
fn the_listed_text_is_that_of_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let lists = dir.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    let absolute = dir.path().join("z.wav");
    for name in ["x.wav", "z.wav", "lists/y.wav"] {
        std::fs::write(dir.path().join(name), "x").unwrap();
    }
    let text = format!("1 x.wav\n2 y.wav\n3 {}\n4 ./y.wav\n", absolute.display());
    std::fs::write(lists.join("wav.scp"), &text).unwrap();
    std::fs::write(lists.join("utt2spk"), "1 a\n2 a\n3 a\n4 b\n").unwrap();
    let corpus = Corpus::load(&lists).unwrap();
    let entries = read_wav_scp(lists.join("wav.scp")).unwrap();
    for (utterance, (id, listed, line)) in corpus.utterances.iter().zip(entries) {
        assert_eq!((&*utterance.id, utterance.line as usize), (id.as_str(), line));
        assert_eq!(utterance.listed(), Some(listed.as_str()));
        assert!(utterance.path().unwrap().exists());
    }
}

#[test]
fn raw_lists_are_corpora() {
    let dir = folder("u1 a b.wav\nu2 c.wav\n", "u1 zoe\nu2 anna\n");
    let wanted = Corpus::load(dir.path()).unwrap();
    let raw = "{\"key\": \"u1\", \"wav\": \"a b.wav\", \"spk\": \"zoe\"}\n\
               {\"key\": \"u2\", \"wav\": \"c.wav\", \"spk\": \"anna\"}\n";
    let list = dir.path().join("raw.list");
    std::fs::write(&list, raw).unwrap();
    std::fs::remove_file(dir.path().join("wav.scp")).unwrap();
    for path in [list.as_path(), dir.path()] {
        let corpus = Corpus::load(path).unwrap();
        assert_eq!((&corpus.utterances, &corpus.speakers), (&wanted.utterances, &wanted.speakers));
        assert_eq!(corpus.list, list);
    }
    std::fs::write(&list, raw.replace("c.wav", "d.wav")).unwrap();
    let error = Corpus::load(&list).unwrap_err().to_string();
    assert!(error.contains("raw.list:2: ") && error.contains("no such file"), "{error}");
}

#[test]
fn bad_lines_are_named() {
    let fails = |scp: &str, map: &str, wanted: &str| {
        let dir = folder(scp, map);
        let error = Corpus::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    fails("u1\n", "u1 s\n", "wav.scp:1: one field");
    fails("u1 c.wav\nu1 c.wav\n", "u1 s\n", "wav.scp:2: utterance `u1` again");
    fails("u1 c.wav\n", "u1 s\nu1 t\n", "utt2spk:2: utterance `u1` again");
    fails("u1 c.wav\n", "u1 s extra\n", "utt2spk:1: 3 field(s)");
    fails("u1 c.wav\n", "u1\n", "utt2spk:1: 1 field(s)");
    fails("u1 c.wav\nu2 c.wav\n", "u1 s\n", "wav.scp:2: utterance `u2` has no speaker");
    fails("u1 c.wav\nu2 d.wav\n", "u1 s\nu2 s\n", "wav.scp:2:");
    fails("u1 sox c.wav - |\n", "u1 s\n", "wav.scp:1: a command");
    fails("\n", "", "no utterances");
    assert!(Corpus::load("no/such").unwrap_err().to_string().contains("no/such"));
}

#[test]
fn a_shard_knows_which_of_its_files_are_missing() {
    let lists: [String; 2] = ["wav", "spk"].map(|end| {
        (0..9)
            .map(|i| if end == "wav" { format!("u{i} {i}.wav\n") } else { format!("u{i} s\n") })
            .collect()
    });
    let dir = folder(&lists[0], &lists[1]);
    [0, 1, 2, 5, 6].iter().for_each(|i| {
        std::fs::write(dir.path().join(format!("{i}.wav")), "x").unwrap();
    });
    for count in 1..=4 {
        for rank in 0..count {
            let shard = Shard::of(rank, count);
            let mut corpus = Corpus::load_all(dir.path()).unwrap();
            corpus.keep(shard);
            let ids: Vec<String> = shard.indices(9).map(|i| format!("u{i}")).collect();
            assert!(corpus.utterances.iter().map(|u| &*u.id).eq(ids.iter()));
            let missing: Vec<&str> =
                corpus.missing().map(|(place, _)| &*corpus.utterances[place].id).collect();
            let mut wanted = ids.clone();
            wanted.retain(|id| ["u3", "u4", "u7", "u8"].contains(&id.as_str()));
            assert_eq!(missing, wanted, "{shard}");
            assert_eq!(corpus.files().len() + missing.len(), ids.len(), "{shard}");
        }
    }
}
