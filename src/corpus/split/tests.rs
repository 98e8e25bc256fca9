use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::corpus::{Corpus, read_trials};

/// A folder with lists of speakers, each with some utterances, in an order by the seed.
fn folder(counts: &[usize], seed: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("lists")).unwrap();
    std::fs::write(dir.path().join("x.wav"), "").unwrap();
    let mut lines: Vec<String> = counts
        .iter()
        .enumerate()
        .flat_map(|(s, &count)| (0..count).map(move |u| format!("s{s:02}/{u}.wav s{s:02}")))
        .collect();
    let mut stream = Stream::new(seed, "test", &[]);
    for list in ["utt2spk", "wav.scp"] {
        stream.shuffle(&mut lines);
        let line = |line: &String| match list {
            "utt2spk" => format!("{line}\n"),
            _ => format!("{} x.wav\n", line.split(' ').next().unwrap()),
        };
        let text: String = lines.iter().map(line).collect();
        std::fs::write(dir.path().join("lists").join(list), text).unwrap();
    }
    dir
}

fn divided(
    dir: &tempfile::TempDir,
    dev: DevSpeakers,
    pairs: Pairs,
    genders: Option<&Genders>,
    seed: u64,
) -> Result<(Split, BTreeMap<String, String>)> {
    let out = dir.path().join(format!("out{seed}"));
    let made = split(&dir.path().join("lists"), &out, dev, pairs, genders, seed)?;
    let names = ["spk2utt", "utt2spk", "wav.scp", "trials.txt"];
    let mut texts = BTreeMap::new();
    for name in ["train", "dev"].iter().flat_map(|set| names.map(|name| format!("{set}/{name}"))) {
        let root = dir.path().to_str().unwrap();
        if let Ok(text) = std::fs::read_to_string(out.join(&name)) {
            texts.insert(name, text.replace(root, "ROOT"));
        }
    }
    Ok((made, texts))
}

#[test]
fn the_seed_decides_and_not_the_order_of_the_lists() {
    let counts = [3, 5, 2, 1, 8, 4, 2, 6];
    let first = folder(&counts, 1);
    let of = |dir: &tempfile::TempDir, seed| {
        divided(dir, DevSpeakers::Count(3), Pairs::Drawn(12), None, seed).unwrap()
    };
    let (made, texts) = of(&first, 7);
    assert_eq!(texts.len(), 7);
    for other in 2..5 {
        assert_eq!(of(&folder(&counts, other), 7).1, texts);
    }
    let seeds: BTreeSet<String> =
        (8..16).map(|seed| of(&first, seed).1["dev/spk2utt"].clone()).collect();
    assert!(seeds.len() > 3, "{seeds:?}");
    let out = first.path().join("out7");
    let (train, dev) =
        (Corpus::load(out.join("train")).unwrap(), Corpus::load(out.join("dev")).unwrap());
    assert_eq!((train.speakers.len(), dev.speakers.len()), (5, 3));
    assert_eq!((made.train.speakers, made.dev.speakers), (5, 3));
    assert_eq!(train.utterances.len() + dev.utterances.len(), counts.iter().sum::<usize>());
    assert!(dev.speakers.iter().all(|s| !train.speakers.contains(s) && s != "s03"));
    let error =
        split(&first.path().join("lists"), &out, DevSpeakers::Count(3), Pairs::All, None, 7);
    assert!(error.unwrap_err().to_string().contains("is already there"));
}

/// Every trial of small sets, beside all pairs that there are.
#[test]
fn trials_are_pairs_of_the_dev_set() {
    let mut stream = Stream::new(3, "test", &[]);
    for round in 0..40 {
        let counts: Vec<usize> = (0..6 + stream.below(5)).map(|_| 2 + stream.below(5)).collect();
        let dir = folder(&counts, round);
        let genders: Genders = (0..counts.len())
            .filter(|s| s % 4 != 3)
            .map(|s| (format!("s{s:02}"), s % 2 == 0))
            .collect();
        let known = (round % 2 == 0).then_some(&genders);
        let pairs = if round % 3 == 0 { Pairs::All } else { Pairs::Drawn(5) };
        let file = dir.path().join("trials");
        let made = match make_trials(&dir.path().join("lists"), &file, pairs, known, round) {
            Ok(made) => made,
            Err(e) => panic!("{counts:?}: {e}"),
        };
        let trials = read_trials(&file).unwrap();
        let speaker = |id: &str| id.split('/').next().unwrap().to_owned();
        let mut seen = BTreeSet::new();
        for trial in &trials {
            let (a, b) = (speaker(&trial.enroll), speaker(&trial.test));
            assert_eq!(trial.target, Some(a == b));
            assert!(trial.enroll < trial.test && seen.insert((&trial.enroll, &trial.test)));
            if known.is_some() {
                assert_eq!(genders.get(&a), genders.get(&b), "{a} {b}");
            }
        }
        let targets = trials.iter().filter(|t| t.target == Some(true)).count();
        assert_eq!((made.targets, made.nontargets), (targets, trials.len() - targets));
        let all: usize = counts.iter().map(|n| n * (n - 1) / 2).sum();
        assert_eq!(targets, if pairs == Pairs::All { all } else { all.min(5) });
        assert!(made.nontargets <= targets && made.nontargets > 0);
        let unknown = if known.is_some() { counts.len() - genders.len() } else { 0 };
        assert_eq!(made.genderless.len(), unknown);
        assert!(made.genderless.iter().all(|name| !genders.contains_key(name)));
        let again = make_trials(&dir.path().join("lists"), &file, pairs, known, round);
        assert!(again.unwrap_err().to_string().contains("trials: is already there"));
    }
}

#[test]
fn a_raw_list_is_divided_as_a_folder_is() {
    let dir = folder(&[3, 5, 2, 4, 6], 1);
    let (lists, raw) = (dir.path().join("lists"), dir.path().join("raw.list"));
    let corpus = Corpus::load(&lists).unwrap();
    let lines = corpus.utterances.iter().map(|utterance| {
        let (key, speaker) = (&utterance.id, &corpus.speakers[utterance.speaker as usize]);
        format!("{{\"key\": \"{key}\", \"wav\": \"x.wav\", \"spk\": \"{speaker}\"}}\n")
    });
    std::fs::write(&raw, lines.collect::<String>()).unwrap();
    let of = |lists: &Path, out: &str| {
        let out = dir.path().join(out);
        split(lists, &out, DevSpeakers::Count(2), Pairs::All, None, 3).unwrap();
        let names = ["train/wav.scp", "train/utt2spk", "dev/spk2utt", "dev/trials.txt"];
        names.map(|name| std::fs::read_to_string(out.join(name)).unwrap())
    };
    assert_eq!(of(&raw, "a"), of(&lists, "b"));
    assert_eq!(of(dir.path(), "c"), of(&lists, "d"));
    std::fs::remove_file(dir.path().join("x.wav")).unwrap();
    let out = dir.path().join("e");
    let error = split(&raw, &out, DevSpeakers::Count(2), Pairs::All, None, 3).unwrap_err();
    assert!(error.to_string().contains("raw.list:1: "), "{error}");
}

#[test]
fn too_few_speakers_are_refused() {
    let few = |counts: &[usize], dev, wanted: &str| {
        let dir = folder(counts, 1);
        let error = divided(&dir, dev, Pairs::All, None, 1).unwrap_err().to_string();
        assert!(error.contains(wanted) && !dir.path().join("out1").exists(), "{error}");
    };
    few(&[4, 4, 4], DevSpeakers::Percent(10.0), "has 3 speakers, of whom 2 would be dev");
    few(&[4, 4, 4, 4], DevSpeakers::Count(1), "of whom 1 would be dev speakers");
    few(&[4, 1, 1, 1], DevSpeakers::Count(2), "1 speaker with two utterances");
    let dir = folder(&[4, 4], 1);
    std::fs::remove_file(dir.path().join("x.wav")).unwrap();
    let error = divided(&dir, DevSpeakers::Count(2), Pairs::All, None, 1).unwrap_err().to_string();
    assert!(error.contains("wav.scp:1:") && error.contains("no such file"), "{error}");
    let lists = dir.path().join("lists");
    let out = dir.path().join("t");
    for (utt2spk, wanted) in [
        ("a s\nb s\n", "no two speakers"),
        ("a s\nb t\n", "no speaker has two utterances"),
        ("\n", "holds no utterances"),
    ] {
        // Trials need no wav.scp.
        let _ = std::fs::remove_file(lists.join("wav.scp"));
        std::fs::write(lists.join("utt2spk"), utt2spk).unwrap();
        let error = make_trials(&lists, &out, Pairs::All, None, 1).unwrap_err().to_string();
        assert!(error.contains(wanted) && !out.exists(), "{error}");
    }
    let one: Genders = [("s".to_owned(), true), ("t".to_owned(), false)].into();
    std::fs::write(lists.join("utt2spk"), "a s\nb s\nc t\n").unwrap();
    let error = make_trials(&lists, &out, Pairs::All, Some(&one), 1).unwrap_err().to_string();
    assert!(error.contains("no two speakers of one gender"), "{error}");
    let others: Genders = ["v", "w", "x", "y"].map(|name| (name.to_owned(), true)).into();
    let error = make_trials(&lists, &out, Pairs::All, Some(&others), 1).unwrap_err().to_string();
    let wanted = "none of these speakers (`s`, `t`); it has `v`, `w`, `x`, and 1 more";
    assert!(error.contains(wanted) && !out.exists(), "{error}");
}
