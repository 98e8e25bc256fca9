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
mod tests;
