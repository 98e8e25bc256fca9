//! A synthetic corpus, to try things out without recordings: source-filter voices say random
//! syllables.
//!
//! Speakers differ in the length of the vocal tract, in how they form each vowel, in pitch, and in
//! voice quality (tilt, breathiness, bandwidths). Their utterances differ in everything else:
//! syllables, tempo, pitch (by up to half an octave within a speaker), loudness (by 16 dB), a room
//! tone and a microphone's tilt. So no single cue tells speakers apart. The tests measure how well
//! pitch, level and duration do alone.

mod config;
mod render;
mod voice;

pub use config::SynthConfig;
pub use voice::Voice;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{Done, Trial, write_trials};
use crate::audio::write_wav16;
use crate::error::{Error, Result};
use crate::fs::{self, Content, TemporaryFolder};
use crate::rng::Stream;

/// Samples per second.
pub const SAMPLE_RATE: u32 = 16_000;
/// The file with the settings in a finished corpus.
const MARK: &str = "synth.toml";
/// Most nontarget trials for each target trial.
const NONTARGETS: usize = 5;

impl SynthConfig {
    /// Samples of one utterance of a speaker, both numbered from 0. Dev speakers follow the
    /// training speakers.
    pub fn utterance(&self, speaker: usize, utterance: usize) -> Vec<f32> {
        let voice = Voice::draw(&mut Stream::new(self.seed, "voice", &[speaker as u64]));
        let mut draw = Stream::new(self.seed, "utterance", &[speaker as u64, utterance as u64]);
        let seconds = self.seconds * draw.between(0.6, 1.4);
        render::utterance(&voice, seconds, &mut draw)
    }
}

/// Makes the corpus. A call that fails, or that is stopped by setting `stop`, leaves nothing.
/// `done` is called after each recording. Temporary folders of killed processes beside the corpus
/// are removed.
///
/// # Errors
/// Settings that [`SynthConfig::check`] refuses; a folder that is not empty; a stop
/// ([`Error::Interrupted`]); a file that cannot be written.
pub fn make(config: &SynthConfig, stop: &AtomicBool, done: &Done) -> Result<()> {
    config.check()?;
    let is_empty =
        || std::fs::read_dir(&config.out).is_ok_and(|mut entries| entries.next().is_none());
    let is_there = || config.out.exists() && !is_empty();
    let refusal = || Error::file(&config.out, "is already there; name a folder to be made");
    if is_there() {
        return Err(refusal());
    }
    let parent = fs::parent(&config.out);
    fs::create_dir_all(parent)?;
    fs::sweep(parent);
    let temp = TemporaryFolder::inside(parent, Content::Corpus, &config.out)?;
    let (files, finished) = (config.files(), AtomicUsize::new(0));
    let told = || done(finished.fetch_add(1, Ordering::Relaxed) + 1, files);
    let split = |name: &str, first: usize, count: usize| {
        corpus(config, &temp.path().join(name), first, count, stop, &told)
    };
    split("train", 0, config.speakers)?;
    split("dev", config.speakers, config.dev_speakers)?;
    write_trials(temp.path().join("dev/trials.txt"), &trials(config))?;
    fs::write_bytes(temp.path().join(MARK), mark(config).as_bytes())?;
    temp.rename(&config.out).map_err(|e| match is_there() {
        true => refusal(),
        false => e,
    })
}

/// Makes the corpus unless the folder already holds one of these settings. Two processes may call
/// this at the same time.
///
/// # Errors
/// Those of [`make`]; a folder that holds another corpus, or something else.
pub fn ensure(config: &SynthConfig, stop: &AtomicBool, done: &Done) -> Result<()> {
    let found = || fs::read_to_string(config.out.join(MARK));
    let wanted = mark(config);
    if !config.out.exists() {
        return match make(config, stop, done) {
            Err(e)
                if !matches!(e, Error::Interrupted(_))
                    && found().is_ok_and(|found| found == wanted) =>
            {
                Ok(())
            }
            done => done,
        };
    }
    let found = found().map_err(|_| {
        Error::file(
            &config.out,
            "is there but holds no synthetic corpus; name another folder in data.synth",
        )
    })?;
    match found == wanted {
        true => Ok(()),
        false => Err(Error::file(
            &config.out,
            "holds a synthetic corpus of other settings; remove it or name another folder",
        )),
    }
}

/// The settings as text, without the folder, which users may move.
fn mark(config: &SynthConfig) -> String {
    let settings = SynthConfig { out: PathBuf::from("."), ..config.clone() };
    toml::to_string(&settings).expect("settings are plain data")
}

/// Ids of an utterance and of its speaker.
fn ids(speaker: usize, utterance: usize) -> (String, String) {
    let speaker = format!("s{speaker:05}");
    (format!("{speaker}-{utterance:04}"), speaker)
}

/// Writes recordings and lists of `count` speakers, from number `first` on. `told` is called after
/// each recording.
fn corpus(
    config: &SynthConfig,
    folder: &Path,
    first: usize,
    count: usize,
    stop: &AtomicBool,
    told: &(dyn Fn() + Sync),
) -> Result<()> {
    let all: Vec<(usize, usize)> =
        (first..first + count).flat_map(|s| (0..config.utterances).map(move |u| (s, u))).collect();
    for s in first..first + count {
        fs::create_dir_all(folder.join("wav").join(ids(s, 0).1))?;
    }
    all.par_iter().try_for_each(|&(s, u)| {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted(format!("{} was not made", config.out.display())));
        }
        let (id, speaker) = ids(s, u);
        let path = folder.join("wav").join(speaker).join(format!("{id}.wav"));
        write_wav16(path, &config.utterance(s, u), SAMPLE_RATE)?;
        told();
        Ok::<(), Error>(())
    })?;
    let line = |f: &dyn Fn(&str, &str) -> String| -> String {
        all.iter().map(|&(s, u)| ids(s, u)).map(|(id, speaker)| f(&id, &speaker)).collect()
    };
    fs::write_bytes(
        folder.join("wav.scp"),
        line(&|id, s| format!("{id} wav/{s}/{id}.wav\n")).as_bytes(),
    )?;
    fs::write_bytes(folder.join("utt2spk"), line(&|id, s| format!("{id} {s}\n")).as_bytes())?;
    let spk2utt: String = (first..first + count)
        .map(|s| {
            let utterances: Vec<String> = (0..config.utterances).map(|u| ids(s, u).0).collect();
            format!("{} {}\n", ids(s, 0).1, utterances.join(" "))
        })
        .collect();
    fs::write_bytes(folder.join("spk2utt"), spk2utt.as_bytes())
}

/// All pairs of utterances of a dev speaker as target trials, and pairs of speakers of the same
/// register (high or low voices) as nontarget trials.
fn trials(config: &SynthConfig) -> Vec<Trial> {
    let speakers = config.speakers..config.speakers + config.dev_speakers;
    let voices: Vec<(usize, Voice)> = speakers
        .map(|s| (s, Voice::draw(&mut Stream::new(config.seed, "voice", &[s as u64]))))
        .collect();
    let trial = |a: (usize, usize), b: (usize, usize), target| Trial {
        enroll: ids(a.0, a.1).0,
        test: ids(b.0, b.1).0,
        target: Some(target),
        line: 0,
    };
    let mut all = Vec::new();
    for (s, _) in &voices {
        for u in 0..config.utterances {
            all.extend((u + 1..config.utterances).map(|v| trial((*s, u), (*s, v), true)));
        }
    }
    let mut pairs = Vec::new();
    for (i, (s, voice)) in voices.iter().enumerate() {
        for (t, other) in &voices[i + 1..] {
            if voice.high == other.high || config.dev_speakers < 6 {
                pairs.extend(
                    (0..config.utterances)
                        .flat_map(|u| (0..config.utterances).map(move |v| ((*s, u), (*t, v)))),
                );
            }
        }
    }
    Stream::new(config.seed, "trials", &[]).shuffle(&mut pairs);
    pairs.truncate(NONTARGETS * all.len());
    all.extend(pairs.into_iter().map(|(a, b)| trial(a, b, false)));
    all
}

#[cfg(test)]
mod tests {
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
                    frame[lag..].iter().zip(frame).map(|(a, b)| a * b).sum::<f32>()
                        / energy.max(1e-9)
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
            list.iter().any(|t| t.target == Some(true))
                && list.iter().any(|t| t.target == Some(false))
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
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            2,
            "no temporary folder may stay"
        );
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
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no temporary folder may stay"
        );
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
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            2,
            "no temporary folder may stay"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode =
                |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(at("a")), mode(at("b")));
        }
    }
}
