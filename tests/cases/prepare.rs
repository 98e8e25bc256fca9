//! Corpora as they are downloaded.

use std::path::Path;
use std::process::Command;

use revox::corpus::{Corpus, read_trials, read_wav_scp};

use crate::place::Place;

/// Whether ffmpeg is here, to make files of other formats. In CI it must be.
fn has_ffmpeg() -> bool {
    let found = Command::new("ffmpeg").arg("-version").output().is_ok_and(|o| o.status.success());
    assert!(found || std::env::var("CI").as_deref() != Ok("true"), "in CI ffmpeg must be there");
    if !found {
        eprintln!("skipped: no ffmpeg here");
    }
    found
}

fn convert(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut ran = Command::new("ffmpeg");
    ran.args(["-loglevel", "error", "-y", "-i"]).arg(from).arg(to);
    let ran = ran.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// From VoxCeleb's folders to scores of its trials.
#[test]
fn voxceleb_is_prepared_embedded_and_scored() {
    if !has_ffmpeg() {
        return;
    }
    let place = Place::make();
    let voices =
        [("id10270/x_-1/00001", 100.0), ("id10270/y/00001", 120.0), ("id10271/z/1", 180.0)];
    for (name, pitch) in voices {
        place.wav(&format!("v1/vox1_test_wav/wav/{name}.wav"), 0.5, pitch);
        place.wav("tone.wav", 0.5, pitch + 30.0);
        let m4a = format!("v2/dev/aac/{}.m4a", name.replace("id10", "id00"));
        convert(&place.path("tone.wav"), &place.path(&m4a));
    }
    place.write(
        "veri_test.txt",
        "1 id10270/x_-1/00001.wav id10270/y/00001.wav\n0 id10270/y/00001.wav id10271/z/1.wav\n",
    );
    let args = ["prepare", "voxceleb", "--vox1", "v1", "--vox2", "v2", "out", "--trials"];
    let args = [&args[..], &["veri_test.txt"]].concat();
    let dry = place.json(&[&args[..], &["--dry-run"]].concat());
    assert!(!place.path("out").exists());
    let report = place.json(&args);
    assert_eq!(report["lists"], dry["lists"]);
    assert_eq!((&report["utterances"], &report["speakers"]), (&6.into(), &4.into()), "{report}");
    assert_eq!(place.list("out"), ["problems.txt", "vox1", "vox1_O.txt", "vox1_test", "vox2_dev"]);
    let m4a = &read_wav_scp(place.path("out/vox2_dev/wav.scp")).unwrap()[0];
    assert!(m4a.0 == "id00270/x_-1/00001.wav" && m4a.1.ends_with(".m4a"), "{m4a:?}");
    place.model("m.safetensors");
    place.ok(&["embed", "m.safetensors", "--wav-scp", "out/vox1/wav.scp", "-o", "e.safetensors"]);
    place.ok(&["score", "e.safetensors", "out/vox1_O.txt", "-o", "scores"]);
    place.fails(&args, &["already there"]);
    let ran = place.run(&["prepare", "voxceleb", "out2"]);
    assert!(ran.code == 2 && ran.err.contains("--vox1 <DIR>|--vox2 <DIR>"), "{}", ran.err);
}

/// A dry run tells every problem, as `problems.txt` would.
#[test]
fn a_dry_run_tells_all_problems() {
    let place = Place::make();
    place.wav("in/ann/1.wav", 0.3, 100.0);
    place.wav("in/ben/1.wav", 0.3, 150.0);
    (2..8).for_each(|i| place.write(&format!("in/ann/{i}.wav"), "x"));
    revox::audio::write_wav16(
        place.path("in/ben/2.wav"),
        &[0.1_f32, 0.1, -0.1, -0.1].repeat(1000),
        8000,
    )
    .unwrap();
    let args = ["prepare", "folder", "in", "out"];
    let dry = [&args[..], &["--dry-run"]].concat();
    let ran = place.run(&dry);
    let told = place.json(&dry);
    assert!(!place.path("out").exists());
    let report = place.json(&args);
    let text = std::fs::read_to_string(place.path("out/problems.txt")).unwrap();
    assert!(text.lines().count() > 7 && text.contains("narrow: in/ben/2.wav: "), "{text}");
    assert!(text.lines().all(|line| ran.err.lines().any(|l| l == line)), "{}", ran.err);
    let mut lines = Vec::new();
    for (group, short) in
        told["problems"].as_array().unwrap().iter().zip(report["problems"].as_array().unwrap())
    {
        let all = group["all"].as_array().unwrap();
        assert!(group["count"] == all.len() && group["first"] == all[0], "{group}");
        assert!(short["count"] == group["count"] && short.get("all").is_none(), "{short}");
        let kind = group["kind"].as_str().unwrap();
        lines.extend(all.iter().map(|text| format!("{kind}: {}", text.as_str().unwrap())));
    }
    assert_eq!(lines, text.lines().collect::<Vec<_>>());
    assert_eq!(report["lists"][0]["folder"], "out");
}

#[test]
fn lists_are_divided_by_speakers() {
    let place = Place::make();
    for (i, speaker) in ["ann", "ben", "cleo", "dora", "eve"].into_iter().enumerate() {
        for take in 0..3 {
            let pitch = 90.0 + 20.0 * i as f64 + f64::from(take);
            place.wav(&format!("in/{speaker}/{take}.wav"), 0.3, pitch);
        }
    }
    place.ok(&["prepare", "folder", "in", "lists"]);
    let made = place.json(&["trials", "lists", "sets", "--dev-speakers", "2", "--pairs", "all"]);
    assert_eq!(
        (&made["train"]["speakers"], &made["dev"]["utterances"], &made["targets"]),
        (&3.into(), &6.into(), &6.into()),
        "{made}"
    );
    let dev = Corpus::load(place.path("sets/dev")).unwrap();
    let trials = read_trials(place.path("sets/dev/trials.txt")).unwrap();
    let list = place.path("sets/dev/trials.txt");
    revox::corpus::resolve(&list, &trials, &dev.names()).unwrap();
    place.fails(&["trials", "lists", "sets"], &["already there"]);
    let ran = place.run(&["trials", "lists", "-", "--no-split", "--pairs", "4", "--seed", "3"]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 8), "{}", ran.err);
    place.write("genders", "ann f\nben m\ncleo f\ndora f\n");
    let same = ["trials", "lists", "same", "--no-split", "--same-gender", "genders"];
    let ran = place.run(&same);
    assert!(
        ran.code == 0 && ran.err.contains("1 speaker of unknown gender (`eve`)"),
        "{}",
        ran.err
    );
    for trial in read_trials(place.path("same")).unwrap() {
        let both = [&trial.enroll, &trial.test];
        let bens = both.iter().filter(|id| id.starts_with("ben/")).count();
        assert!(bens != 1 && (trial.target == Some(true) || bens == 0), "{trial:?}");
    }
    place.write("others", "fay f\ngus m\n");
    let others = ["trials", "lists", "x", "--no-split", "--same-gender", "others"];
    place.fails(
        &others,
        &["none of these speakers (`ann`, `ben`, `cleo`, and 2 more); it has `fay`"],
    );
    place
        .fails(&["trials", "lists", "x", "--dev-speakers", "4"], &["has 5 speakers", "4 would be"]);
}
