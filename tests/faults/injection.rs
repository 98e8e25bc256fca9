//! Every operation that changes the disk fails once, in every way, and the user runs the command
//! again.
//!
//! A run without faults lists the operations and makes the expected files. Then, for each
//! operation, the process dies before it (`kill`) or in the middle of it (`torn`), it fails
//! (`once`), or the disk is full from there on (`full`). No output may be half written, and after
//! the second run all of them must equal those of the run without faults, to the byte.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::place::{Files, Place, Ran, has_fault_points};
use crate::sign;

/// Runs at a time.
const WORKERS: usize = 4;
/// The exit code of a process that a fault has ended.
const KILLED: i32 = 99;
/// Checkpoints that the recipe keeps.
const KEEP: usize = 2;
/// How often to try a point that was not reached.
const TRIES: usize = 4;
/// Failures that are reported in full.
const SHOWN: usize = 25;

/// What the user does after a run.
#[derive(Clone, Copy)]
enum Again {
    /// The same command.
    Same,
    /// The same with `--resume`, if this folder holds a checkpoint.
    Resume(&'static str),
    /// The same, unless this folder is there.
    Unless(&'static str),
}

/// A verb with its files before and after.
struct Verb<'a> {
    args: &'a [&'static str],
    again: Again,
    base: Place,
    before: Files,
    after: Files,
    /// Every point, in order: operation, name and number.
    points: Vec<String>,
}

/// A fault: the mode and the point.
type Case<'a> = (&'static str, &'a str);

/// Tries a verb at every point.
fn inject(args: &[&'static str], again: Again, base: Place) {
    let verb = Verb::new(args, again, base);
    let mut cases: Vec<Case> = Vec::new();
    for point in &verb.points {
        let is_written = ["write ", "append "].iter().any(|op| point.starts_with(op));
        let modes = ["kill", "once", "full"].into_iter().chain(is_written.then_some("torn"));
        cases.extend(modes.map(|mode| (mode, point.as_str())));
    }
    let (unreached, failures) = verb.try_all(&cases);
    println!("{}: {} points, {} cases", args.join(" "), verb.points.len(), cases.len());
    let mut told = String::new();
    // Checkpoints are written in the background, so their number and steps vary a little.
    let (varying, lost): (Vec<&Case>, Vec<&Case>) =
        unreached.iter().partition(|(_, p)| p.contains(" checkpoint"));
    if varying.len() * 5 > cases.len() || !lost.is_empty() {
        let _ = writeln!(told, "- points that were not reached: {lost:?} {varying:?}");
    }
    for failure in failures.iter().take(SHOWN) {
        let _ = writeln!(told, "- {failure}");
    }
    assert!(
        told.is_empty(),
        "revox {}: {} of {} cases\n{told}",
        args.join(" "),
        failures.len(),
        cases.len()
    );
}

/// Operation and name of a point.
fn parts(point: &str) -> Option<(&str, &str)> {
    let (op, rest) = point.split_once(' ')?;
    Some((op, rest.rsplit_once(' ')?.0))
}

impl<'a> Verb<'a> {
    /// Runs it without faults.
    fn new(args: &'a [&'static str], again: Again, base: Place) -> Self {
        let (whole, log) = (base.copy(), Place::empty());
        let ran =
            whole.run_with(args, "REVOX_FAULT_LOG", log.path("points").to_str().unwrap()).unwrap();
        assert_eq!(ran.code(), Some(0), "revox {}: {ran}", args.join(" "));
        assert_eq!(whole.temporaries(), [""; 0]);
        let text = String::from_utf8(log.read("points")).unwrap();
        let points: Vec<String> = text.lines().map(str::to_owned).collect();
        let several: BTreeSet<&String> = points.iter().collect();
        let are_points = points.len() > 3 && points.iter().all(|p| parts(p).is_some());
        assert!(are_points && several.len() == points.len(), "points that are none: {points:?}");
        let (before, after) = (base.files(), whole.files());
        assert!(after != before, "nothing was written");
        Self { args, again, base, before, after, points }
    }

    /// Tries faults on several threads. Returns those that were not reached, and what went wrong.
    fn try_all<'c>(&self, cases: &'c [Case<'c>]) -> (Vec<Case<'c>>, Vec<String>) {
        let next = AtomicUsize::new(0);
        // Cases whose point was not reached, and what went wrong in others.
        type Found = (Vec<usize>, Vec<(usize, String)>);
        let found: Mutex<Found> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let Some((mode, point)) = cases.get(i) else { break };
                        let outcome = (0..TRIES)
                            .map(|_| self.attempt(mode, point))
                            .find(|o| !matches!(o, Ok(false)));
                        let mut found = found.lock().unwrap();
                        match outcome {
                            Some(Ok(_)) => {}
                            Some(Err(what)) => found.1.push((i, format!("{mode}@{point}: {what}"))),
                            None => found.0.push(i),
                        }
                    }
                });
            }
        });
        let (mut unreached, mut failures) = found.into_inner().unwrap();
        unreached.sort_unstable();
        failures.sort();
        (
            unreached.into_iter().map(|i| cases[i]).collect(),
            failures.into_iter().map(|(_, what)| what).collect(),
        )
    }

    /// A run with a fault and another one without. False if the fault was not reached.
    fn attempt(&self, mode: &str, point: &str) -> Result<bool, String> {
        let (place, fault) = (self.base.copy(), format!("{mode}@{point}"));
        let first = place.run_with(self.args, "REVOX_FAULT", &fault)?;
        if !first.err.contains(&format!("fault injected: {fault}")) {
            return match first.code() {
                Some(0) => Ok(false),
                _ => Err(format!("not reached, and failed: {first}")),
            };
        }
        let told = |what: String| format!("{what}\n    {first}");
        self.check_end(mode, point, &first, &place).map_err(told)?;
        self.check_between(&place.files(), &place).map_err(told)?;
        let mut args = self.args.to_vec();
        match self.again {
            Again::Unless(folder) if place.has(folder) => {
                return self.check_after(&place, point).map_err(told);
            }
            Again::Resume(run) if has_checkpoint(&place, run) => args.push("--resume"),
            _ => {}
        }
        let second = place.start(&args).end()?;
        let told = |what: String| format!("{what}\n    {first}\n    then {second}");
        match second.code() {
            Some(0) if !second.err.contains("panicked") => {
                self.check_after(&place, point).map_err(told)
            }
            _ => Err(told(format!("revox {} does not work afterwards", args.join(" ")))),
        }
    }

    /// Checks the end of the run with the fault: its error must name a file and say how to go on.
    fn check_end(&self, mode: &str, point: &str, ran: &Ran, place: &Place) -> Result<(), String> {
        if ran.err.contains("panicked") {
            return Err("a panic".into());
        }
        match (mode, ran.code()) {
            ("kill" | "torn", Some(KILLED)) | ("once" | "full", Some(0)) => Ok(()),
            ("once" | "full", Some(1)) => {
                let line = ran
                    .err
                    .lines()
                    .rfind(|line| line.starts_with("revox: "))
                    .ok_or("an error without a word")?;
                let names = self.points.iter().filter_map(|p| parts(p)).map(|(_, name)| name);
                // A file in the working folder has no folder in its name.
                let others = self.again.folder().into_iter().chain([".: cannot "]);
                if !names.chain(others).any(|name| line.contains(name)) {
                    return Err("an error that names no file".into());
                }
                // A file that could not be removed does no harm.
                let is_unfinished = !point.starts_with("remove ")
                    && matches!(self.again, Again::Resume(run) if has_checkpoint(place, run));
                match is_unfinished
                    && !["--resume", "checkpoint"].iter().any(|word| line.contains(word))
                {
                    true => Err("an error that does not say how to go on".into()),
                    false => Ok(()),
                }
            }
            _ => Err(format!("an end that cannot be: {}", ran.status)),
        }
    }

    /// No file is half there, and none that was there is lost.
    fn check_between(&self, files: &Files, place: &Place) -> Result<(), String> {
        if let Some(lost) = self.before.keys().find(|name| !files.contains_key(*name)) {
            return Err(format!("{lost} is gone"));
        }
        for (name, bytes) in files.iter().filter(|(name, _)| !is_temporary(name)) {
            let is = |files: &Files| files.get(name) == Some(bytes);
            let whole = is(&self.before)
                || is(&self.after)
                || self.is_of_run(name) && is_whole(name, bytes);
            if !whole {
                return Err(format!("{name} is neither what it was nor what it should be"));
            }
        }
        if let Again::Unless(folder) = self.again
            && place.has(folder)
            && self.after.keys().any(|name| !files.contains_key(name))
        {
            return Err(format!("{folder} is half there"));
        }
        Ok(())
    }

    /// Everything is as if there had been no fault, and nothing is left of it.
    fn check_after(&self, place: &Place, point: &str) -> Result<bool, String> {
        let mut left = place.temporaries();
        if let Again::Unless(folder) = self.again {
            // The process that made the folder held its lock to the end. No other has come since.
            left.retain(|path| !path.ends_with(&format!("/{folder}/.revox-lock")));
        }
        if !left.is_empty() {
            return Err(format!("left behind: {left:?}"));
        }
        let files = place.files();
        let is_checkpoint =
            |name: &str| name.contains("/checkpoint") && name.ends_with(".safetensors");
        let mut checkpoints = 0;
        for (name, bytes) in files.iter().filter(|(name, _)| !is_temporary(name)) {
            if is_checkpoint(name) && self.is_of_run(name) {
                checkpoints += 1;
                if !is_whole(name, bytes) {
                    return Err(format!("{name} is damaged"));
                }
            } else if self.after.get(name).is_none_or(|wanted| !is_same(name, bytes, wanted)) {
                return Err(format!("{name} is not that of a run without faults"));
            }
        }
        // Which older checkpoints there are depends on when the training was cut off.
        let missing = |name: &&String| !files.contains_key(*name) && !name.contains("/checkpoint-");
        if let Some(name) = self.after.keys().find(missing) {
            return Err(format!("{name} was not made"));
        }
        // One that could not be removed stays until the next one is written.
        let most = KEEP + usize::from(point.starts_with("remove checkpoint-"));
        match checkpoints > most {
            true => Err(format!("{checkpoints} checkpoints, {most} at most are kept")),
            false => Ok(true),
        }
    }

    /// Whether a file is one of a run, which writes some of them several times.
    fn is_of_run(&self, name: &str) -> bool {
        let Again::Resume(run) = self.again else { return false };
        name.strip_prefix(run).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl Again {
    fn folder(self) -> Option<&'static str> {
        match self {
            Self::Same => None,
            Self::Resume(folder) | Self::Unless(folder) => Some(folder),
        }
    }
}

fn has_checkpoint(place: &Place, run: &str) -> bool {
    place.has(&format!("{run}/checkpoint.safetensors"))
}

fn is_temporary(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with(".revox-"))
}

/// Whether a file of a run is one of those that it writes, and whole. The last line of a log may be
/// cut.
fn is_whole(name: &str, bytes: &[u8]) -> bool {
    if name.ends_with(".safetensors") {
        return sign::is_signed(bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    if name.ends_with("/recipe.lock.toml") {
        // Settings that are cut off would be read as defaults.
        let read = revox::train::Recipe::parse(&text, name.as_ref(), &[]);
        return read.is_ok_and(|recipe| recipe.to_toml() == text);
    }
    if name.ends_with("/det.svg") {
        return text.trim_end().ends_with("</svg>");
    }
    let lines = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    name.ends_with("/metrics.jsonl") && lines.lines().all(|line| epoch(line).is_some())
}

/// A line of the log without the time that the epoch took.
fn epoch(line: &str) -> Option<serde_json::Value> {
    let mut line: serde_json::Value = serde_json::from_str(line).ok()?;
    line.as_object_mut()?.remove("seconds")?;
    Some(line)
}

/// Whether a file is as wanted. Logs differ in times.
fn is_same(name: &str, bytes: &[u8], wanted: &[u8]) -> bool {
    if !name.ends_with("/metrics.jsonl") {
        return bytes == wanted;
    }
    let epochs = |bytes: &[u8]| -> Option<Vec<serde_json::Value>> {
        std::str::from_utf8(bytes).ok()?.lines().map(epoch).collect()
    };
    epochs(bytes).is_some() && epochs(bytes) == epochs(wanted)
}

const OLD: &[u8] = b"what was there before";

#[test]
fn train() {
    if has_fault_points() {
        inject(&["train", "r.toml", "--out", "run"], Again::Resume("run"), Place::with_corpus());
    }
}

/// The embeddings, and their mean in the model.
#[test]
fn embed() {
    if has_fault_points() {
        let place = Place::with_model();
        place.write("e.safetensors", OLD);
        let list = ["--wav-scp", "corpus/dev/wav.scp", "-o", "e.safetensors", "--mean"];
        inject(&[&["embed", "m.safetensors"][..], &list].concat(), Again::Same, place);
    }
}

const QUANTIZE: [&str; 8] = [
    "quantize",
    "m.safetensors",
    "-o",
    "q.safetensors",
    "--bits",
    "2",
    "--set",
    "quantize.small_layers=fewer-bits",
];

#[test]
fn quantize() {
    if has_fault_points() {
        let place = Place::with_model();
        place.write("q.safetensors", OLD);
        inject(&QUANTIZE, Again::Same, place);
    }
}

/// Training through the quantizer uses a folder beside the output and removes it in the end.
#[test]
fn quantize_by_training() {
    if has_fault_points() {
        let place = Place::with_model();
        place.write("q.safetensors", OLD);
        inject(&[&QUANTIZE[..], &["--recipe", "r.toml"]].concat(), Again::Resume("q.run"), place);
    }
}

#[test]
fn import() {
    if has_fault_points() {
        let place = Place::with_model();
        place.write("i.safetensors", OLD);
        let options = ["--arch", "resnet10", "--mels", "16", "-o", "i.safetensors"];
        inject(&[&["import", "m.safetensors"][..], &options].concat(), Again::Same, place);
    }
}

/// A corpus is there as a whole or not at all.
#[test]
fn synth() {
    if has_fault_points() {
        let sizes =
            ["--speakers", "2", "--dev-speakers", "2", "--utterances", "2", "--seconds", "0.5"];
        inject(&[&["synth", "new"][..], &sizes].concat(), Again::Unless("new"), Place::empty());
    }
}
