//! Corpora as they are downloaded.

use super::*;
use crate::corpus::{Corpus, read_trials, read_utt2spk};

#[test]
fn voxceleb_gets_the_ids_of_its_trials() {
    let (dir, root) = tones(&[
        "v1/vox1_dev_wav/wav/id10001/aa/00001.wav",
        "v1/vox1_dev_wav/wav/id10001/bb/00001.wav",
        "v1/vox1_dev_wav/wav/id10002/cc/00001.wav",
        "v1/vox1_test_wav/wav/id10270/dd/00001.wav",
        "v1/vox1_test_wav/wav/id10271/ee/00001.wav",
        "v2/dev/aac/id00012/ff/00001.m4a",
        "v2/dev/aac/id00015/gg/00001.m4a",
        "v2/dev/aac/readme.wav",
    ]);
    let dev = root.join("v1/vox1_dev_wav/wav");
    std::fs::copy(dev.join("id10001/aa/00001.wav"), dev.join("id10001/aa/00002.wav")).unwrap();
    let test = root.join("v1/vox1_test_wav/wav");
    std::fs::write(test.join("id10271/ee/00002.wav"), "RIFF").unwrap();
    std::fs::copy(test.join("id10270/dd/00001.wav"), test.join("id10270/dd/00002.wav")).unwrap();
    let list = |name: &str, text: &str| {
        std::fs::write(root.join(name), text).unwrap();
        root.join(name)
    };
    let o = list(
        "veri_test2.txt",
        "1 id10270/dd/00001.wav id10270/dd/00001.wav\n0 id10270/dd/00001.wav id10271/ee/00001.wav\n\
         0 id10270/dd/00001.wav id10271/ee/00002.wav\n",
    );
    let e = list("list_test_all.txt", "1 id10001/aa/00001.wav id10001/aa/00002.wav\n");
    let out = dir.path().join("lists");
    let voxceleb =
        VoxCeleb { vox1: Some(root.join("v1")), vox2: Some(root.join("v2")), trials: vec![o, e] };
    let run = |voxceleb: &VoxCeleb, out: &Path| {
        prepare_voxceleb(voxceleb, out, &PrepareSettings::default(), &|_, _| ())
    };
    let report = run(&voxceleb, &out).unwrap();
    let names: Vec<(&str, usize, usize)> =
        report.lists.iter().map(|l| (l.name.as_str(), l.utterances, l.speakers)).collect();
    // Copies are test utterances, but none to train on.
    let wanted = [("vox1_dev", 3, 2), ("vox1_test", 3, 2), ("vox2_dev", 2, 2), ("vox1", 7, 4)];
    assert_eq!(names, wanted);
    assert_eq!(ids(&out.join("vox2_dev")), ["id00012/ff/00001.wav", "id00015/gg/00001.wav"]);
    let vox1 = Corpus::load(out.join("vox1")).unwrap();
    let trials: Vec<_> =
        report.trials.iter().map(|t| (t.name.as_str(), t.trials, t.left_out)).collect();
    assert_eq!(trials, [("vox1_O_cleaned.txt", 2, 1), ("vox1_E.txt", 1, 0)]);
    for (name, count, _) in trials {
        let path = out.join(name);
        let trials = read_trials(&path).unwrap();
        let (places, note) = crate::corpus::resolve(&path, &trials, &vox1.names()).unwrap();
        assert_eq!((places.len(), note), (count, None), "{name}");
    }
    let problems = problems(&report);
    for wanted in [
        "ee/00002.wav",
        "readme.wav: not in a speaker's folder",
        "veri_test2.txt:3: `id10271/ee/00002.wav` is no usable utterance of the corpus; left out: \
         1 of 3 trials",
        "vox1_E.txt: names 1 speaker of vox1_dev, such as `id10001`",
        "aa/00001.wav; left out of vox1_dev; stays in vox1, since trials may name it",
        "dd/00001.wav; stays, since trials may name it",
    ] {
        assert!(problems.contains(wanted), "{wanted} is not in: {problems}");
    }
    assert!(!problems.contains("vox1_O_cleaned.txt: names"), "{problems}");
    assert!(!problems.contains("other-corpus"), "{problems}");
    // Nothing is written over, and nothing at all without the utterances of a list.
    assert!(run(&voxceleb, &out).unwrap_err().to_string().contains("already there"));
    let only = VoxCeleb { vox1: None, ..voxceleb };
    let error = run(&only, &dir.path().join("other")).unwrap_err().to_string();
    assert!(error.contains("veri_test2.txt:1: `id10270/dd/00001.wav` is no usable"), "{error}");
    assert!(!dir.path().join("other").exists());
    assert!(run(&VoxCeleb::default(), &out).is_err());
}

/// Ids tell the corpora apart, and a folder that is given for the other one is reported.
#[test]
fn folders_of_the_other_voxceleb_are_reported() {
    let (dir, root) = tones(&[
        "v1/wav/id10001/aa/00001.wav",
        "v1/wav/id10002/bb/00001.wav",
        "v2/dev/aac/id00012/cc/00001.m4a",
        "v2/dev/aac/id10270/dd/00001.m4a",
        "v2/dev/aac/id10270/dd/00002.m4a",
    ]);
    let prepared = |vox1: &str, vox2: &str, out: &str| {
        let given = |name: &str| (!name.is_empty()).then(|| root.join(name));
        let voxceleb = VoxCeleb { vox1: given(vox1), vox2: given(vox2), trials: Vec::new() };
        let out = dir.path().join(out);
        prepare_voxceleb(&voxceleb, &out, &PrepareSettings::default(), &|_, _| ()).unwrap()
    };
    let told = |report: &PrepareReport| -> Vec<String> {
        report.problems.of(ProblemKind::OtherCorpus).map(str::to_owned).collect()
    };
    let report = prepared("v1", "v2", "a");
    let path = root.join("v2");
    let wanted = format!(
        "{}: is given as VoxCeleb2, but holds 2 files of speakers of VoxCeleb1, such as \
         `id10270/dd/00001.wav`; they go into the lists of VoxCeleb1",
        path.display()
    );
    assert_eq!(told(&report), std::slice::from_ref(&wanted));
    assert!(report.problems.summary().contains(&wanted), "{:?}", report.problems.summary());
    let told = told(&prepared("v2", "", "b"));
    assert!(told.len() == 1 && told[0].contains("1 file of speakers of VoxCeleb2"), "{told:?}");
    // One folder with both.
    assert_eq!(prepared("v2", "v2", "c").problems.count(ProblemKind::OtherCorpus), 0);
}

/// No audio is read before a list is known to be sound and of the corpus.
#[test]
fn lists_of_trials_are_checked_before_audio() {
    let (dir, root) = tones(&["v1/wav/id10001/aa/00001.wav", "v1/wav/id10270/dd/00001.wav"]);
    let mine = "id10270/dd/00001.wav";
    let run = |lists: &[(&str, &str)]| {
        let write = |(name, text): &(&str, &str)| {
            std::fs::write(root.join(name), text).unwrap();
            root.join(name)
        };
        let trials = lists.iter().map(write).collect();
        let voxceleb = VoxCeleb { vox1: Some(root.join("v1")), vox2: None, trials };
        let read = std::sync::atomic::AtomicUsize::new(0);
        let done = |_: usize, _: usize| {
            read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        };
        let (out, settings) = (dir.path().join("lists"), PrepareSettings::default());
        let result = prepare_voxceleb(&voxceleb, &out, &settings, &done);
        (result.map_err(|e| e.to_string()), read.into_inner())
    };
    let sound = format!("1 {mine} {mine}\n");
    for (second, wanted) in [
        (format!("{sound}2 {mine} {mine}\n"), "b.txt:2: "),
        (format!("{sound}1 {mine}\n"), "b.txt:2: "),
        (String::new(), "b.txt: "),
        (format!("1 {mine} id10271/x/00001.wav\n"), "b.txt:1: `id10271/x/00001.wav` is no usable"),
    ] {
        let (result, read) = run(&[("a.txt", &sound), ("b.txt", &second)]);
        let error = result.unwrap_err();
        assert!(error.contains(wanted), "{error}");
        assert_eq!(read, 0, "{error}");
    }
    let (result, read) = run(&[("a.txt", &sound)]);
    assert_eq!((result.unwrap().trials[0].trials, read), (1, 2));
}

#[test]
fn sounds_to_mix_in_get_one_list() {
    let (dir, root) = tones(&[
        "musan/music/fma/m.wav",
        "musan/noise/free-sound/n.wav",
        "RIRS_NOISES/simulated_rirs/smallroom/Room001/r.wav",
        "RIRS_NOISES/real_rirs_isotropic_noises/RVB_rir.wav",
        "RIRS_NOISES/real_rirs_isotropic_noises/RVB_noise.wav",
        "RIRS_NOISES/pointsource_noises/p.wav",
    ]);
    let settings = PrepareSettings::default();
    let at = |name: &str| dir.path().join(name);
    let report = prepare_musan(&root.join("musan"), &at("musan"), &settings, &|_, _| ()).unwrap();
    assert_eq!((report.utterances, report.speakers), (2, 0));
    assert_eq!(ids(&at("musan")), ["music/fma/m.wav", "noise/free-sound/n.wav"]);
    assert!(!at("musan/utt2spk").exists() && at("musan/problems.txt").exists());
    for (all, count) in [(false, 1), (true, 2)] {
        let out = at(&format!("rirs{all}"));
        let report = prepare_rirs(&root, all, &out, &settings, &|_, _| ()).unwrap();
        assert_eq!((report.utterances, ids(&out).len()), (count, count));
        assert!(report.problems.all().is_empty(), "{:?}", report.problems);
    }
}

#[test]
fn parts_of_librispeech_get_lists_of_their_own() {
    let (dir, root) = tones(&[
        "train-clean-100/19/198/19-198-0000.wav",
        "train-clean-100/26/495/26-495-0000.wav",
        "dev-clean/84/1/84-1-0000.wav",
        "dev-clean/84/1/84-1-0001.wav",
    ]);
    let out = dir.path().join("lists");
    let (train, dev) = (root.join("train-clean-100"), root.join("dev-clean"));
    let settings = PrepareSettings::default();
    prepare_librispeech(&[&train, &dev], &out, &settings, &|_, _| ()).unwrap();
    assert_eq!(ids(&out.join("train-clean-100")), ["19-198-0000", "26-495-0000"]);
    let speakers = read_utt2spk(out.join("dev-clean/utt2spk")).unwrap();
    assert!(speakers.values().all(|(speaker, _)| speaker == "84"), "{speakers:?}");
    let again = prepare_librispeech(&[&root], &out, &settings, &|_, _| ());
    assert!(again.unwrap_err().to_string().contains("already there"));
}

#[test]
fn the_test_set_of_cnceleb_is_kept_apart() {
    let (dir, root) = tones(&[
        "data/id00000/singing-01-001.wav",
        "data/id00001/speech-01-001.wav",
        "data/id00800/speech-01-001.wav",
        "eval/enroll/id00800-enroll.wav",
        "eval/test/id00800-vlog-01-001.wav",
        "eval/test/id00801-vlog-01-001.wav",
    ]);
    std::fs::create_dir_all(root.join("eval/lists")).unwrap();
    std::fs::write(
        root.join("eval/lists/trials.lst"),
        "id00800-enroll test/id00800-vlog-01-001.wav 1\n\
         id00800-enroll test/id00801-vlog-01-001.wav 0\n",
    )
    .unwrap();
    let settings = PrepareSettings::default();
    let out = dir.path().join("lists");
    let report = prepare_cnceleb(&root, &out, &settings, &|_, _| ()).unwrap();
    assert_eq!(report.trials[0].trials, 2);
    assert_eq!(ids(&out.join("dev")), ["id00000/singing-01-001.wav", "id00001/speech-01-001.wav"]);
    assert_eq!(
        std::fs::read_to_string(out.join("eval/trials.txt")).unwrap(),
        "1 enroll/id00800-enroll.wav test/id00800-vlog-01-001.wav\n\
         0 enroll/id00800-enroll.wav test/id00801-vlog-01-001.wav\n"
    );
    assert_eq!(Corpus::load(out.join("eval")).unwrap().speakers, ["id00800", "id00801"]);
    std::fs::create_dir(root.join("dev")).unwrap();
    std::fs::write(root.join("dev/dev.lst"), "id00001\nid00800\n").unwrap();
    let out = dir.path().join("listed");
    let report = prepare_cnceleb(&root, &out, &settings, &|_, _| ()).unwrap();
    assert_eq!(ids(&out.join("dev")), ["id00001/speech-01-001.wav"]);
    let problems = problems(&report);
    for wanted in [
        "test-speaker: speaker `id00800` occurs in the test set; 1 file left out of dev\n",
        "speaker: speaker `id00000` is not in ",
        "dev.lst; 1 file left out of dev\n",
    ] {
        assert!(problems.contains(wanted), "{wanted} is not in: {problems}");
    }
}

#[test]
fn the_list_of_one_cnceleb_leaves_the_other_as_it_is() {
    let (dir, root) = tones(&[
        "CN-Celeb_flac/data/id00000/singing-01-001.wav",
        "CN-Celeb_flac/data/id00001/speech-01-001.wav",
        "CN-Celeb_flac/data/id00800/speech-01-001.wav",
        "CN-Celeb_flac/eval/enroll/id00800-enroll.wav",
        "CN-Celeb_flac/eval/test/id00800-vlog-01-001.wav",
        "CN-Celeb2_flac/data/id10000/drama-01-001.wav",
        "CN-Celeb2_flac/data/id10001/drama-01-001.wav",
        "CN-Celeb2_flac/data/id10001/drama-01-002.wav",
    ]);
    std::fs::create_dir(root.join("CN-Celeb_flac/dev")).unwrap();
    std::fs::write(root.join("CN-Celeb_flac/dev/dev.lst"), "id00001\n").unwrap();
    let out = dir.path().join("lists");
    let report = prepare_cnceleb(&root, &out, &PrepareSettings::default(), &|_, _| ()).unwrap();
    let wanted = [
        "id00001/speech-01-001.wav",
        "id10000/drama-01-001.wav",
        "id10001/drama-01-001.wav",
        "id10001/drama-01-002.wav",
    ];
    assert_eq!(ids(&out.join("dev")), wanted);
    // A list of its own counts.
    std::fs::create_dir(root.join("CN-Celeb2_flac/dev")).unwrap();
    std::fs::write(root.join("CN-Celeb2_flac/dev/dev.lst"), "id10000\n").unwrap();
    let out = dir.path().join("listed");
    let both = prepare_cnceleb(&root, &out, &PrepareSettings::default(), &|_, _| ()).unwrap();
    assert_eq!(ids(&out.join("dev")), wanted[..2]);
    let left_out = |report: &PrepareReport| problems(report).matches(" is not in ").count();
    assert_eq!((left_out(&report), left_out(&both)), (1, 2));
    let problems = problems(&both);
    assert!(problems.contains("`id10001` is not in ") && problems.contains("2 files left out"));
}

#[test]
fn lists_of_kaldi_are_made_sound() {
    let (dir, root) = tones(&["1.wav", "2.wav", "3.wav"]);
    let scp = "b 1.wav\na 2.wav\na 3.wav\nc\nd none.wav\ne 3.wav\nf sox x - |\ng 3.wav\n";
    std::fs::write(root.join("wav.scp"), scp).unwrap();
    std::fs::write(root.join("utt2spk"), "a s\nb t\nd s\nf s\ng s\nx y z\nz t\n").unwrap();
    std::fs::write(root.join("spk2utt"), "s a d f g\nt b q\n").unwrap();
    let out = dir.path().join("lists");
    let run = |out: &Path| prepare_kaldi(&root, out, &PrepareSettings::default(), &|_, _| ());
    let report = run(&out).unwrap();
    assert_eq!(ids(&out), ["a", "b", "g"]);
    assert_eq!(std::fs::read_to_string(out.join("spk2utt")).unwrap(), "s a g\nt b\n");
    let problems = problems(&report);
    for wanted in [
        "wav.scp:2: not sorted",
        "wav.scp:3: `a` again, as in line 2",
        "wav.scp:4: one field",
        "wav.scp:5: utterance `d`: ",
        "wav.scp:6: utterance `e`: has no speaker",
        "wav.scp:7: utterance `f`: is a command",
        "utt2spk:6: more than two fields",
        "utt2spk:7: utterance `z` has no line in ",
        "spk2utt: has other utterances of speaker `t`",
    ] {
        assert!(problems.contains(wanted), "{wanted} is not in: {problems}");
    }
    std::fs::remove_file(root.join("utt2spk")).unwrap();
    let by_speaker = dir.path().join("by-speaker");
    run(&by_speaker).unwrap();
    assert_eq!(std::fs::read_to_string(by_speaker.join("utt2spk")).unwrap(), "a s\nb t\ng s\n");
    std::fs::write(root.join("segments"), "").unwrap();
    let error = run(&dir.path().join("new")).unwrap_err().to_string();
    assert!(error.contains("segments: ") && error.contains("extract_wav_segments"), "{error}");
}
