//! A dev set of one's own data: some speakers are kept from training, and trials are made of their
//! utterances.

mod gender;
mod lists;
mod pairs;
mod sample;

pub use gender::{Genders, read_genders};
pub use pairs::{MadeTrials, Pairs, make_trials};

use std::path::Path;

use self::lists::{Lists, Speaker};
use super::prepare::{Output, refuse_existing, write};
use crate::bytes::counted;
use crate::error::{Error, Result};
use crate::rng::Stream;

/// Fewest speakers of either set: trials need two, and so does a classifier.
const FEWEST: usize = 2;

/// How many speakers are kept from training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DevSpeakers {
    /// This many.
    Count(usize),
    /// This part of all, in percent. At least two.
    Percent(f64),
}

impl DevSpeakers {
    fn of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => ((all as f64 * percent / 100.0).round() as usize).max(FEWEST),
        }
    }
}

/// Size of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSize {
    /// Its speakers.
    pub speakers: usize,
    /// Their utterances.
    pub utterances: usize,
}

impl SetSize {
    fn of(speakers: &[&Speaker]) -> Self {
        let utterances = speakers.iter().map(|speaker| speaker.ids.len()).sum();
        Self { speakers: speakers.len(), utterances }
    }
}

/// What [`split`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The set to train on.
    pub train: SetSize,
    /// The set to test on.
    pub dev: SetSize,
    /// Its trials.
    pub trials: MadeTrials,
}

/// Divides the speakers of `lists`, a folder with `wav.scp` and `utt2spk` or a `raw.list`, into
/// `train` and `dev` in `out`, each with `wav.scp`, `utt2spk` and `spk2utt`, and writes trials of
/// the dev speakers to `dev/trials.txt`. Dev speakers are drawn from those with at least two
/// utterances. The result depends on the seed, the ids and the speakers, and not on the order of
/// the lists.
///
/// # Errors
/// Lists that cannot be read; an utterance without a speaker or without a file; too few speakers;
/// those of [`make_trials`]; lists in `out`; a file that cannot be written. Nothing is written
/// then.
pub fn split(
    lists: &Path,
    out: &Path,
    dev: DevSpeakers,
    pairs: Pairs,
    genders: Option<&Genders>,
    seed: u64,
) -> Result<Split> {
    let names = ["spk2utt", "utt2spk", "wav.scp", "trials.txt"];
    let files = ["train", "dev"].map(|set| names.map(|name| format!("{set}/{name}")));
    refuse_existing(out, files.as_flattened())?;
    let read = Lists::read(lists)?;
    let all = read.located()?;
    let speakers: Vec<&Speaker> = read.speakers.iter().collect();
    let count = dev.of(speakers.len());
    if count < FEWEST || speakers.len() < count.saturating_add(FEWEST) {
        let message = format!(
            "has {}, of whom {count} would be dev speakers; at least {FEWEST} must be left for \
             either set",
            counted(speakers.len(), "speaker")
        );
        return Err(Error::file(lists, message));
    }
    let (mut kept, rest): (Vec<&Speaker>, Vec<&Speaker>) =
        speakers.into_iter().partition(|speaker| speaker.ids.len() > 1);
    if kept.len() < count {
        let message = format!(
            "has {} with two utterances or more; {count} are wanted as dev speakers",
            counted(kept.len(), "speaker")
        );
        return Err(Error::file(lists, message));
    }
    Stream::new(seed, "dev speakers", &[]).shuffle(&mut kept);
    let mut train = kept.split_off(count);
    train.extend(rest);
    for set in [&mut train, &mut kept] {
        set.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let made = pairs::draw(lists, &kept, pairs, genders, seed)?;
    let mut outputs: Vec<Output> = Vec::new();
    outputs.extend(all.outputs("train", &train));
    outputs.push(Output::new("dev/trials.txt", |to| made.write(to)));
    outputs.extend(all.outputs("dev", &kept));
    write(out, &outputs)?;
    Ok(Split { train: SetSize::of(&train), dev: SetSize::of(&kept), trials: made.sizes() })
}

#[cfg(test)]
mod tests;
