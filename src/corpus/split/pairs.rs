//! Trials of the utterances of some speakers.

use std::io::{self, Write};
use std::path::Path;

use super::gender::{Genders, first_of};
use super::lists::{Lists, Speaker};
use super::sample::{distinct, pair, shares};
use crate::error::{Error, Result};
use crate::fs;
use crate::rng::Stream;

/// Most trials of one kind: more take gigabytes and tell nothing more.
const MOST: u64 = 50_000_000;

/// How many trials are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// All target trials, and as many nontarget trials, drawn.
    All,
    /// This many target trials, or fewer if there are fewer, and as many nontarget trials, drawn.
    Drawn(u64),
}

/// Numbers of trials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeTrials {
    /// Trials of one speaker.
    pub targets: usize,
    /// Trials of two speakers.
    pub nontargets: usize,
    /// Speakers of unknown gender by name, if genders count. They are compared among themselves.
    pub genderless: Vec<String>,
}

impl MadeTrials {
    /// The first speakers of unknown gender: `` `ann`, `ben`, `cleo`, and 2 more ``.
    pub fn first_genderless(&self) -> String {
        first_of(&self.genderless)
    }
}

/// Trials as pairs of ids.
pub(super) struct Trials<'a> {
    targets: Vec<(&'a str, &'a str)>,
    nontargets: Vec<(&'a str, &'a str)>,
    genderless: Vec<String>,
}

impl Trials<'_> {
    /// How many there are.
    pub fn sizes(&self) -> MadeTrials {
        MadeTrials {
            targets: self.targets.len(),
            nontargets: self.nontargets.len(),
            genderless: self.genderless.clone(),
        }
    }

    /// Writes them in VoxCeleb's form, targets first.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for (label, pairs) in [(1, &self.targets), (0, &self.nontargets)] {
            for (enroll, test) in pairs {
                writeln!(out, "{label} {enroll} {test}")?;
            }
        }
        Ok(())
    }
}

/// Makes trials of all speakers of `lists`, a folder with `utt2spk` (and usually `wav.scp`), in the
/// form `label enroll test`. Each speaker gives equally many target trials as far as there are
/// pairs. Nontarget trials are of speakers of one gender where genders are known. The result
/// depends on the seed, the ids and the speakers, and not on the order of the lists.
///
/// # Errors
/// Lists that cannot be read; a file `out` that is there; fewer than two speakers, or no speaker
/// with two utterances; genders of none of the speakers; no two speakers of one gender; more than
/// 50 million trials; a file that cannot be written.
pub fn make_trials(
    lists: &Path,
    out: &Path,
    pairs: Pairs,
    genders: Option<&Genders>,
    seed: u64,
) -> Result<MadeTrials> {
    if out.exists() && !fs::is_stdout(out) {
        return Err(Error::file(out, "is already there; name another file for the trials"));
    }
    let read = Lists::read(lists)?;
    let speakers: Vec<&Speaker> = read.speakers.iter().collect();
    let trials = draw(lists, &speakers, pairs, genders, seed)?;
    fs::write_atomic(out, |to| trials.write(to))?;
    Ok(trials.sizes())
}

/// Draws the trials of speakers, which are sorted by name.
///
/// # Errors
/// Those of [`make_trials`]; they name `lists`.
pub(super) fn draw<'a>(
    lists: &Path,
    speakers: &[&'a Speaker],
    pairs: Pairs,
    genders: Option<&Genders>,
    seed: u64,
) -> Result<Trials<'a>> {
    let bad = |message: String| Error::file(lists, message);
    let genderless = genderless(speakers, genders);
    if let Some(genders) = genders
        && genderless.len() == speakers.len()
    {
        let mut known: Vec<&String> = genders.keys().collect();
        known.sort_unstable();
        let (these, known) = (first_of(&genderless), first_of(&known));
        return Err(bad(format!(
            "the list of genders has none of these speakers ({these}); it has {known}"
        )));
    }
    let blocks: Vec<u64> = speakers
        .iter()
        .map(|speaker| speaker.ids.len() as u64)
        .map(|count| count * count.saturating_sub(1) / 2)
        .collect();
    let wanted = match pairs {
        Pairs::All => blocks.iter().sum::<u64>(),
        Pairs::Drawn(count) => count,
    };
    if wanted > MOST {
        return Err(bad(format!("{wanted} target trials; say a number up to {MOST}")));
    }
    let mut stream = Stream::new(seed, "target trials", &[]);
    let mut targets = Vec::new();
    for (speaker, share) in speakers.iter().zip(shares(&blocks, wanted)) {
        let count = speaker.ids.len();
        let all = count as u64 * (count as u64).saturating_sub(1) / 2;
        targets.extend(distinct(&mut stream, all, share).into_iter().map(|number| {
            let (a, b) = pair(count, number);
            (speaker.ids[a].as_str(), speaker.ids[b].as_str())
        }));
    }
    if targets.is_empty() {
        return Err(bad("no speaker has two utterances, which a target trial needs".into()));
    }
    let count = targets.len() as u64;
    let nontargets = nontargets(speakers, count, genders, seed);
    if nontargets.is_empty() {
        let who = if genders.is_some() { "speakers of one gender" } else { "speakers" };
        return Err(bad(format!("no two {who}, which a nontarget trial needs")));
    }
    Ok(Trials { targets, nontargets, genderless })
}

/// The names of speakers without gender, if genders count.
fn genderless(speakers: &[&Speaker], genders: Option<&Genders>) -> Vec<String> {
    let Some(genders) = genders else { return Vec::new() };
    let unknown = speakers.iter().filter(|speaker| !genders.contains_key(&speaker.name));
    unknown.map(|speaker| speaker.name.clone()).collect()
}

/// Nontarget trials.
fn nontargets<'a>(
    speakers: &[&'a Speaker],
    wanted: u64,
    genders: Option<&Genders>,
    seed: u64,
) -> Vec<(&'a str, &'a str)> {
    let mut order = speakers.to_vec();
    let mut stream = Stream::new(seed, "nontarget trials", &[]);
    stream.shuffle(&mut order);
    let gender =
        |speaker: &Speaker| genders.and_then(|genders| genders.get(&speaker.name).copied());
    // Blocks are the pairs of a speaker's utterances with those of later speakers of its class.
    order.sort_by_key(|speaker| gender(speaker));
    let mut later: Vec<Vec<&'a str>> = Vec::new();
    let (mut blocks, mut parts) = (Vec::new(), Vec::new());
    for class in order.chunk_by(|a, b| gender(a) == gender(b)) {
        let ids = class.iter().flat_map(|speaker| speaker.ids.iter().map(String::as_str)).collect();
        let (number, mut first) = (later.len(), 0);
        later.push(ids);
        for speaker in class {
            first += speaker.ids.len();
            let rest = later[number].len() - first;
            blocks.push(speaker.ids.len() as u64 * rest as u64);
            parts.push((*speaker, number, first));
        }
    }
    let mut trials = Vec::new();
    for ((speaker, class, first), (block, share)) in
        parts.into_iter().zip(blocks.iter().zip(shares(&blocks, wanted)))
    {
        let rest = &later[class][first..];
        let numbers = distinct(&mut stream, *block, share);
        trials.extend(numbers.into_iter().map(|number| {
            let (mine, other) = (number / rest.len() as u64, number % rest.len() as u64);
            let (mine, other) = (speaker.ids[mine as usize].as_str(), rest[other as usize]);
            if mine < other { (mine, other) } else { (other, mine) }
        }));
    }
    trials.sort_unstable();
    trials
}
