//! Folders of speakers.

use std::sync::Mutex;

use super::*;
use crate::corpus::Corpus;

#[test]
fn folders_become_lists_and_problems_are_reported() {
    let (dir, root) = tones(&["anna/1.wav", "anna/trip one/2.WAV", "ben/1.wav"]);
    write_wav16(root.join("ben/silent.wav"), &[0.0; 8000], 16000).unwrap();
    write_wav16(root.join("ben/short.wav"), &tone(9)[..800], 16000).unwrap();
    std::fs::write(root.join("ben/text.wav"), "no audio").unwrap();
    std::fs::write(root.join("ben/noise.amr"), "#!AMR\n123").unwrap();
    std::fs::write(root.join("ben/film.ac3"), b"\x0b\x77\0\0").unwrap();
    // Of no ending of audio.
    std::fs::write(root.join("ben/pack.dat"), b"wvpk\0\0").unwrap();
    std::fs::copy(root.join("ben/1.wav"), root.join("ben/notes.txt")).unwrap();
    std::fs::write(root.join("ben/more.txt"), "text").unwrap();
    std::fs::write(root.join("loose.wav"), "no speaker").unwrap();
    let stereo = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(root.join("ben/two.wav"), stereo).unwrap();
    (0..800i16).for_each(|i| writer.write_sample(i).unwrap());
    writer.finalize().unwrap();
    let out = dir.path().join("lists");
    let told = Mutex::new(Vec::new());
    let done = |finished: usize, all: usize| told.lock().unwrap().push((finished, all));
    let dry = PrepareSettings { dry_run: true, ..PrepareSettings::default() };
    let planned = prepare_folder(&root, &out, &dry, &|_, _| ()).unwrap();
    assert!(!out.exists());
    let report = prepare_folder(&root, &out, &PrepareSettings::default(), &done).unwrap();
    assert_eq!((report.utterances, report.speakers), (3, 2));
    assert_eq!(planned, report);
    let mut told = told.into_inner().unwrap();
    told.sort_unstable();
    // All that are called audio but the one outside of speakers' folders.
    assert_eq!(told, [1, 2, 3, 4, 5, 6, 7, 8, 9].map(|n| (n, 9)));
    let problems = problems(&report);
    for wanted in [
        "silent: ",
        "ben/short.wav: 0.050 s long, shorter than 0.1 s",
        "unreadable: ",
        "text.wav",
        "noise.amr: is AMR audio",
        "film.ac3: is AC-3 or E-AC-3 audio",
        "pack.dat: is WavPack audio",
        "two.wav: has 2 channels; make a file of one channel; left out",
        "loose.wav: not in a speaker's folder",
        "notes.txt: audio, but its name does not end like it",
        "`ben` has a single",
    ] {
        assert!(problems.contains(wanted), "{wanted} is not in: {problems}");
    }
    assert!(!problems.contains("more.txt"), "{problems}");
    assert_eq!(std::fs::read_to_string(out.join("problems.txt")).unwrap(), problems);
    assert_eq!(Corpus::load(&out).unwrap().speakers, ["anna", "ben"]);
    assert_eq!(ids(&out), ["anna/1.wav", "anna/trip_one/2.WAV", "ben/1.wav"]);
    let fails = |root: &Path, out: &Path, wanted: &str| {
        let error = folder(root, out).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    fails(&root, &out, "already there");
    fails(&dir.path().join("none"), &out, "no such folder");
    // Nothing is written in a dry run, so nothing is in its way.
    assert_eq!(prepare_folder(&root, &out, &dry, &|_, _| ()).unwrap(), planned);
    fails(&dir.path().join("none"), &dir.path().join("new"), "no such folder");
    fails(&root, &root.join("loose.wav"), "is a file");
}

#[test]
fn names_that_become_equal_are_refused() {
    for (names, wanted) in [
        (
            ["Ann Lee/1.wav", "Ann_Lee/2.wav", "b/1.wav"],
            "Ann Lee` and `AUDIO/Ann_Lee` would be one speaker, `Ann_Lee`",
        ),
        (["b/x y.wav", "b/x_y.wav", "c/1.wav"], "b/x_y.wav` would be one utterance, `b/x_y.wav`"),
    ] {
        let (dir, root) = tones(&names);
        let out = dir.path().join("lists");
        let error = folder(&root, &out).unwrap_err().to_string();
        let error = error.replace(root.to_str().unwrap(), "AUDIO");
        assert!(error.contains(wanted) && !out.exists(), "{error}");
    }
    let (dir, root) = tones(&[
        "a/1 2.wav",
        "a/1_2.wav",
        "a/3 4.wav",
        "a/3_4.wav",
        "a/5 6.wav",
        "a/5_6.wav",
        "a/7 8.wav",
        "a/7_8.wav",
    ]);
    let error = folder(&root, &dir.path().join("lists")).unwrap_err().to_string();
    assert!(error.contains("; and 1 more"), "{error}");
    // These differ now that ids are paths.
    let (dir, root) = tones(&["b/x/1.wav", "b/x-1.wav", "b-x/1.wav", "c/1.wav", "c/1.wave"]);
    assert_eq!(folder(&root, &dir.path().join("lists")).unwrap().utterances, 5);
}

#[test]
fn hidden_files_are_left_out() {
    let (dir, root) = tones(&[
        "ann/1.wav",
        "ann/._1.wav",
        ".git/2.wav",
        "__MACOSX/ann/._1.wav",
        "ann/.trash/3.wav",
        "ben/1.wav",
    ]);
    std::fs::write(root.join("ann/.DS_Store"), "").unwrap();
    let out = dir.path().join("lists");
    let report = folder(&root, &out).unwrap();
    assert_eq!(ids(&out), ["ann/1.wav", "ben/1.wav"]);
    assert!(
        problems(&report).contains("1 hidden file and 3 hidden folders"),
        "{:?}",
        report.problems
    );
}

#[test]
fn one_speaker_is_worth_a_warning() {
    let (dir, root) = tones(&["ann/1.wav", "ann/2.wav"]);
    let report = folder(&root, &dir.path().join("lists")).unwrap();
    assert!(problems(&report).contains("one speaker, `ann`"), "{:?}", report.problems);
    let (dir, root) = tones(&["1.wav"]);
    let error = folder(&root, &dir.path().join("lists")).unwrap_err().to_string();
    assert!(error.contains("1.wav: not in a speaker's folder"), "{error}");
}

#[test]
fn files_of_a_lower_rate_are_kept_and_reported() {
    let (dir, root) = tones(&["ann/1.wav", "ann/2.wav", "ben/1.wav", "ben/2.wav"]);
    for (name, rate) in [("ann/2.wav", 8000), ("ben/1.wav", 11_025), ("ben/2.wav", 44_100)] {
        write_wav16(root.join(name), &tone(9), rate).unwrap();
    }
    for (sample_rate, headers_only, wanted) in [
        (8000, false, vec![]),
        (16_000, false, vec![("ann/2.wav", 8000, 4000), ("ben/1.wav", 11_025, 5512)]),
        (11_025, true, vec![("ann/2.wav", 8000, 4000)]),
    ] {
        let settings = PrepareSettings { sample_rate, headers_only, ..PrepareSettings::default() };
        let out = dir.path().join(sample_rate.to_string());
        let report = prepare_folder(&root, &out, &settings, &|_, _| ()).unwrap();
        assert_eq!(ids(&out).len(), 4);
        let told: Vec<&str> = report.problems.of(ProblemKind::Narrow).collect();
        assert_eq!(told.len(), wanted.len(), "{told:?}");
        for (line, (name, rate, most)) in told.iter().zip(wanted) {
            let end = format!(
                "{name}: recorded at {rate} Hz; kept, but there is nothing above {most} Hz"
            );
            assert!(line.ends_with(&end), "{line}");
        }
    }
}

#[test]
fn copies_are_left_out() {
    let (dir, root) = tones(&["ann/1.wav", "ann/2.wav", "ben/1.wav", "cleo/1.wav", "cleo/3.wav"]);
    for (from, to) in [
        ("ann/1.wav", "ann/3.wav"),
        ("ann/2.wav", "cleo/2.wav"),
        ("ben/1.wav", "ben/2.wav"),
        ("ben/1.wav", "ben/3.wav"),
    ] {
        std::fs::copy(root.join(from), root.join(to)).unwrap();
    }
    let out = dir.path().join("lists");
    let report = folder(&root, &out).unwrap();
    let left = ["ann/1.wav", "ann/2.wav", "ben/1.wav", "cleo/1.wav", "cleo/2.wav", "cleo/3.wav"];
    assert_eq!(ids(&out), left);
    let counts = [ProblemKind::Copy, ProblemKind::Disputed].map(|k| report.problems.count(k));
    assert_eq!(counts, [3, 1]);
    let problems = problems(&report);
    assert!(problems.contains("cleo/2.wav: the same audio as"), "{problems}");
    let left_out = problems.lines().filter(|line| line.starts_with("copy: "));
    assert!(left_out.into_iter().all(|line| line.ends_with("; left out")), "{problems}");
    assert!(problems.contains("of another speaker, `ann`"), "{problems}");
    // Headers do not tell.
    let headers = PrepareSettings { headers_only: true, ..PrepareSettings::default() };
    let report = prepare_folder(&root, &dir.path().join("all"), &headers, &|_, _| ()).unwrap();
    assert_eq!((report.utterances, report.seconds), (9, 4.5));
}

#[test]
#[cfg(target_os = "linux")]
fn what_lists_cannot_hold_and_links_to_nothing_are_left_out() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let (dir, root) = tones(&[
        "ann/1.wav",
        "ben/1.wav",
        "cleo/new\nline.wav",
        "cleo/\u{1b}[2J.wav",
        "dora\u{feff}/1.wav",
    ]);
    write_wav16(root.join("other.wav"), &tone(9), 16000).unwrap();
    let copy = |name: &[u8]| {
        let path = root.join(OsStr::from_bytes(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(root.join("ann/1.wav"), path).unwrap();
    };
    copy(b"ann/caf\xe9.wav");
    copy(b"\xff/1.wav");
    copy(b"ann/2.wav ");
    copy(b"ann/3.wav|");
    symlink("nowhere", root.join("ann/4.wav")).unwrap();
    symlink("nowhere", root.join("ann/.hidden")).unwrap();
    symlink("..", root.join("ann/loop")).unwrap();
    symlink("itself", root.join("itself")).unwrap();
    symlink("../other.wav", root.join("ben/link.wav")).unwrap();
    let out = dir.path().join("lists");
    let report = folder(&root, &out).unwrap();
    assert_eq!(ids(&out), ["ann/1.wav", "ben/1.wav", "ben/link.wav"]);
    let problems = problems(&report);
    for wanted in [
        r"new\nline.wav",
        r"\u{1b}[2J.wav",
        r"caf\xE9.wav",
        r"\xFF/1.wav",
        "ends in a blank or `|`",
        "ann/4.wav: a link to nothing",
        "ann/loop: a link back to",
        "itself: ",
    ] {
        assert!(problems.contains(wanted), "{wanted} is not in: {problems}");
    }
    assert!(!problems.contains('\u{fffd}') && !problems.contains(".hidden"), "{problems}");
    assert_eq!(problems.lines().count(), report.problems.all().len());
    for list in ["wav.scp", "utt2spk", "spk2utt"] {
        assert!(!std::fs::read_to_string(out.join(list)).unwrap().contains('\u{fffd}'), "{list}");
    }
}
