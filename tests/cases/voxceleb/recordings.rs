//! Recordings that are damaged, empty, or of other rates.

use super::{bytes, entry, place, trained, utterances, weights, write_lists};
use crate::place::Place;
use crate::shared::fixture;

/// A place with a list of four recordings. The second one decodes to nothing, since its edit list
/// begins behind its end; the third one is cut.
fn with_m4a() -> Place {
    let place = place();
    let good = bytes(fixture("formats/aac.m4a"));
    std::fs::write(place.path("good.m4a"), &good).unwrap();
    std::fs::write(place.path("cut.m4a"), &good[..good.len() * 3 / 4]).unwrap();
    let mut empty = good;
    let edits = empty.windows(4).position(|window| window == b"elst").unwrap();
    // Version, number of edits, length, start: four bytes each.
    empty[edits + 16..edits + 20].copy_from_slice(&0x00ff_ffffu32.to_be_bytes());
    std::fs::write(place.path("empty.m4a"), empty).unwrap();
    place.wav("b.wav", 0.8, 150.0);
    let entries = [
        entry("u1", "good.m4a", "ann"),
        entry("u2", "empty.m4a", "ann"),
        entry("u3", "cut.m4a", "bob"),
        entry("u4", "b.wav", "bob"),
    ];
    write_lists(&place, "m4a", &entries);
    place
}

#[test]
fn recordings_that_are_empty_or_cut_are_named_or_left_out() {
    let place = with_m4a();
    let embed = ["embed", "m.safetensors", "--wav-scp", "m4a/wav.scp", "-o", "e.safetensors"];
    place.fails(&embed, &["m4a/wav.scp:2: ", "empty.m4a: holds no samples"]);
    let report =
        place.json(&[&embed[..], &["--skip-errors", "--skipped", "left-out", "--quiet"]].concat());
    assert_eq!((&report["utterances"], &report["skipped"]), (&2.into(), &2.into()), "{report}");
    let left_out = std::fs::read_to_string(place.path("left-out")).unwrap();
    let lines: Vec<&str> = left_out.lines().collect();
    assert!(
        lines.len() == 2
            && lines[0].starts_with("u2 m4a/wav.scp:2: ")
            && lines[1].starts_with("u3 m4a/wav.scp:3: ")
            && lines[1].contains("cut.m4a: not a readable MP4 file: it ends inside packet "),
        "{left_out}"
    );
    let report = place.json(&["prepare", "kaldi", "m4a", "sound", "--quiet"]);
    assert_eq!(report["utterances"], 2, "{report}");
    let problems = std::fs::read_to_string(place.path("sound/problems.txt")).unwrap();
    assert!(problems.contains("empty.m4a: holds no samples; left out"), "{problems}");
    assert!(problems.contains("cut.m4a: not a readable MP4 file"), "{problems}");
    // In so small a corpus, training leaves out nothing.
    let train = ["train", "r.toml", "--quiet", "--out", "none", "--set", "data.train=m4a"];
    place.fails(&train, &["m4a/wav.scp:", ".m4a: "]);
    assert!(!place.path("none/model.safetensors").exists());
    trained(&place, "left", &["data.train=sound", "train.batch_size=2"]);
}

#[test]
fn recordings_of_other_rates_are_resampled_and_narrow_ones_named() {
    let place = place();
    let mut entries = Vec::new();
    for (i, rate) in [8000u32, 16_000, 44_100, 16_000].into_iter().enumerate() {
        let tone = |t: u32| (t as f32 * (600.0 + 200.0 * i as f32) / rate as f32).sin() * 0.2;
        let samples: Vec<f32> = (0..rate).map(tone).collect();
        let name = format!("{i}.wav");
        revox::audio::write_wav16(place.path(&name), &samples, rate).unwrap();
        entries.push(entry(&format!("u{i}"), &name, if i < 2 { "ann" } else { "bob" }));
    }
    write_lists(&place, "rates", &entries);
    let ran = trained(&place, "run", &["data.train=rates"]);
    let warnings: Vec<&str> =
        ran.err.lines().filter(|line| line.starts_with("warning: rates/wav.scp:")).collect();
    assert!(
        warnings.len() == 1 && warnings[0].contains("was recorded at 8000 Hz: above 4000"),
        "{}",
        ran.err
    );
    trained(&place, "threads", &["data.train=rates", "data.threads=3", "data.cache_mib=0"]);
    assert!(weights(&place, "run") == weights(&place, "threads"));
}

/// Utterances of a corpus in which a few files are damaged.
const MANY: usize = 1200;
/// Which of them are.
const DAMAGED: [usize; 3] = [700, 90, 1111];

#[test]
fn a_few_damaged_files_are_left_out_of_training() {
    let place = place();
    let files = utterances(&place);
    let first = bytes(&files[0].1);
    for i in DAMAGED {
        std::fs::write(place.path(&format!("bad{i}.wav")), &first[..first.len() / 2]).unwrap();
    }
    let with = |folder: &str, damaged: &[usize]| {
        let one = |i: usize| {
            let (_, file, speaker) = &files[i % files.len()];
            let bad = format!("bad{i}.wav");
            entry(&format!("u{i}"), if damaged.contains(&i) { &bad } else { file }, speaker)
        };
        write_lists(&place, folder, &(0..MANY).map(one).collect::<Vec<_>>());
    };
    with("one", &DAMAGED[..1]);
    with("three", &DAMAGED);
    let small = ["train.batch_size=50", "data.frames=20"];
    let run = |out: &str, more: &[&str]| trained(&place, out, &[&small[..], more].concat());
    let line = |folder: &str, i: usize| format!("{folder}/wav.scp:{}: ", i + 1);
    // One of 1200 is tolerated unless the recipe says otherwise.
    let ran = run("one-1", &["data.train=one"]);
    let bad = line("one", DAMAGED[0]);
    let warned = ran.err.lines().filter(|text| text.starts_with(&format!("warning: {bad}")));
    assert_eq!(warned.count(), 1, "{}", ran.err);
    assert!(ran.err.contains("one-1/left-out.txt"), "{}", ran.err);
    let left_out = |out: &str| -> Vec<String> {
        let text = std::fs::read_to_string(place.path(out).join("left-out.txt")).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let told = left_out("one-1");
    assert!(told.len() == 1 && told[0].starts_with(&bad), "{told:?}");
    run("one-3", &["data.train=one", "data.threads=3", "data.cache_mib=0"]);
    assert!(weights(&place, "one-1") == weights(&place, "one-3"), "threads changed the model");
    // Three are too many.
    let sets: Vec<&str> = small.iter().flat_map(|&set| ["--set", set]).collect();
    let args = ["train", "r.toml", "--quiet", "--out", "none", "--set", "data.train=three"];
    place.fails(
        &[&args[..], &sets].concat(),
        &["2 of 1200 utterances cannot be read", "data.tolerate allows 1", "three/wav.scp:", "bad"],
    );
    assert!(!place.path("none/model.safetensors").exists());
    // None, and as many as there are.
    let args = ["train", "r.toml", "--quiet", "--out", "none2", "--set", "data.train=one"];
    place.fails(&[&args[..], &["--set", "data.tolerate=0"], &sets].concat(), &["promises", &bad]);
    run("three", &["data.train=three", "data.tolerate=0.0025"]);
    let told = left_out("three");
    let named = |i: usize| told.iter().any(|text| text.starts_with(&line("three", i)));
    assert!(told.len() == 3 && DAMAGED.into_iter().all(named), "{told:?}");
}
