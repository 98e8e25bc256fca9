use std::sync::Mutex;

use super::*;
use crate::scoring::Curve;

/// EER of the dev trials if a score is minus the distance of one number.
fn eer_of(config: &SynthConfig, cue: &dyn Fn(&[f32]) -> f64) -> f64 {
    let speakers = config.speakers..config.speakers + config.dev_speakers;
    let values: std::collections::HashMap<String, f64> = speakers
        .flat_map(|s| (0..config.utterances).map(move |u| (s, u)))
        .map(|(s, u)| (ids(s, u).0, cue(&config.utterance(s, u))))
        .collect();
    let scored = trials(config)
        .into_iter()
        .map(|t| (-(values[&t.enroll] - values[&t.test]).abs(), t.target == Some(true)));
    Curve::new(scored).unwrap().eer().rate
}

/// Pitch by autocorrelation: the median over frames of the lag (60 to 350 Hz) with the highest
/// normalised value.
fn pitch(samples: &[f32]) -> f64 {
    let mut tones: Vec<f64> = samples
        .chunks_exact(640)
        .filter_map(|frame| {
            let energy: f32 = frame.iter().map(|x| x * x).sum();
            let value = |lag: usize| {
                frame[lag..].iter().zip(frame).map(|(a, b)| a * b).sum::<f32>() / energy.max(1e-9)
            };
            let best = (45..266).max_by(|&a, &b| value(a).total_cmp(&value(b)))?;
            (value(best) > 0.4).then(|| (16000.0 / best as f64).ln())
        })
        .collect();
    tones.sort_by(f64::total_cmp);
    tones.get(tones.len() / 2).copied().unwrap_or(0.0)
}

#[test]
fn no_single_cue_solves_the_trials() {
    let config = SynthConfig {
        speakers: 2,
        dev_speakers: 24,
        utterances: 5,
        seconds: 1.5,
        ..SynthConfig::new("x")
    };
    let level = eer_of(&config, &|x| {
        x.iter().map(|v| f64::from(v * v)).sum::<f64>().ln() - (x.len() as f64).ln()
    });
    let duration = eer_of(&config, &|x| x.len() as f64);
    let pitch = eer_of(&config, &pitch);
    assert!(level > 0.4, "level alone: {level}");
    assert!(duration > 0.4, "duration alone: {duration}");
    assert!(pitch > 0.2, "pitch alone: {pitch}");
    // Pitch is a cue all the same: without it a corpus would not resemble speech.
    assert!(pitch < 0.45, "pitch alone: {pitch}");
}

#[test]
fn a_corpus_is_complete_deterministic_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let go = AtomicBool::new(false);
    let config = SynthConfig {
        speakers: 3,
        dev_speakers: 2,
        utterances: 2,
        seconds: 0.6,
        ..SynthConfig::new(dir.path().join("a"))
    };
    let told = Mutex::new(Vec::new());
    let done = |finished: usize, all: usize| told.lock().unwrap().push((finished, all));
    make(&config, &go, &done).unwrap();
    let mut told = told.into_inner().unwrap();
    told.sort_unstable();
    assert!(told.into_iter().eq((1..=10).map(|n| (n, 10))));
    let train = crate::corpus::Corpus::load(config.out.join("train")).unwrap();
    assert_eq!((train.speakers.len(), train.utterances.len()), (3, 6));
    let list = crate::corpus::read_trials(config.out.join("dev/trials.txt")).unwrap();
    assert!(
        list.iter().any(|t| t.target == Some(true)) && list.iter().any(|t| t.target == Some(false))
    );
    let other = SynthConfig { out: dir.path().join("b"), ..config.clone() };
    make(&other, &go, &|_, _| ()).unwrap();
    let wav =
        |c: &SynthConfig| std::fs::read(c.out.join("dev/wav/s00003/s00003-0001.wav")).unwrap();
    assert_eq!(wav(&config), wav(&other));
    assert!(make(&config, &go, &|_, _| ()).is_err());
    ensure(&config, &go, &|_, _| ()).unwrap();
    assert!(ensure(&SynthConfig { seconds: 0.7, ..config.clone() }, &go, &|_, _| ()).is_err());
    assert!(SynthConfig { speakers: 1, ..config }.check().is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary folder may stay");
}

#[test]
fn trainings_that_begin_together_share_a_corpus() {
    let dir = tempfile::tempdir().unwrap();
    let go = AtomicBool::new(false);
    let sizes = SynthConfig {
        speakers: 2,
        dev_speakers: 2,
        utterances: 2,
        seconds: 0.5,
        ..SynthConfig::new("")
    };
    let config = SynthConfig { out: dir.path().join("a"), ..sizes };
    let begin = std::sync::Barrier::new(2);
    let both = || {
        begin.wait();
        ensure(&config, &go, &|_, _| ())
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(both), scope.spawn(both)];
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
    ensure(&config, &go, &|_, _| ()).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary folder may stay");
    assert!(!config.out.join(fs::LOCK_NAME).exists());
}

#[test]
fn what_killed_runs_have_left_goes_and_what_is_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let go = AtomicBool::new(false);
    let config = SynthConfig {
        speakers: 2,
        dev_speakers: 2,
        utterances: 2,
        seconds: 0.5,
        ..SynthConfig::new(at("a"))
    };
    std::fs::create_dir_all(at(".revox-synth-aaaaaa/train/wav")).unwrap();
    std::fs::create_dir(at("a")).unwrap();
    make(&config, &go, &|_, _| ()).unwrap();
    assert!(!at(".revox-synth-aaaaaa").exists());
    std::fs::create_dir(at("b")).unwrap();
    std::fs::write(at("b/precious"), "precious").unwrap();
    let error = make(&SynthConfig { out: at("b"), ..config.clone() }, &go, &|_, _| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("b: is already there"), "{error}");
    assert_eq!(std::fs::read(at("b/precious")).unwrap(), b"precious");
    let stopped = SynthConfig { out: at("c"), ..config };
    assert!(matches!(
        ensure(&stopped, &AtomicBool::new(true), &|_, _| ()),
        Err(Error::Interrupted(_))
    ));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary folder may stay");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(at("a")), mode(at("b")));
    }
}
