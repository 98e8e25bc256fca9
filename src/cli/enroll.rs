//! `revox enroll`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::values::{counted, misused};
use super::voices::{Heard, Listener, existing};
use super::{Global, shown};
use crate::bytes;
use crate::error::{Error, Result};
use crate::fs;
use crate::model_file::read_header;
use crate::scoring::{Embeddings, Recording, Scorer, Store};
use crate::terminal::{errln, note, outln};

/// Keep a person's voice under a name, to be found in other recordings.
///
/// The store is one file with the names and with an embedding of each recording, not the recordings
/// themselves. Embeddings tell people apart: they are personal data. The file is not encrypted; it
/// is made for its owner alone. `revox forget` removes a voice for good.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox enroll voices.db anna anna1.wav anna2.wav
  revox enroll voices.db anna anna3.flac --add
  revox enroll other.db bert bert.wav --model model.safetensors")]
pub struct Args {
    /// The store. The first enrolment makes the file.
    store: PathBuf,
    /// Name of the voice.
    #[arg(value_parser = voice_name)]
    name: String,
    /// Recordings of that person, and of nobody else.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The model. All voices of a store have one model. Without this option it is that of the last
    /// enrolment; for a new store it is the model inside the program (`revox zoo --details
    /// default`). Another file with the same weights becomes the store's model from now on, with
    /// its thresholds and its calibration; a note says so.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Add the recordings to a voice that is enrolled already.
    #[arg(long)]
    add: bool,
    /// Channel, from 0, to read of every file. Files of several channels need it.
    #[arg(long)]
    channel: Option<usize>,
}

fn voice_name(text: &str) -> Result<String> {
    Store::check_name(text).map(|()| text.to_owned())
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let Args { store: path, name, files, .. } = args;
    let inputs: Vec<&Path> = files.iter().chain(&args.model).map(PathBuf::as_path).collect();
    fs::check_outputs(&[path.as_path()], &inputs)?;
    check_paths(files)?;
    let existing = existing(path)?;
    let kept = match &existing {
        None if args.add => return Err(Error::file(path, "is not there: nothing to add to")),
        None => Vec::new(),
        Some(store) => {
            store.check_voice(name, args.add)?;
            store.recordings(name)?
        }
    };
    let listener = Listener::of(existing.as_ref(), args.model.as_deref(), global.open()?)?;
    let heard = listener.hear(files, args.channel)?;
    let mut warnings: Vec<String> = heard.iter().flat_map(Heard::warnings).collect();
    let recordings: Vec<Recording> = heard.iter().map(Heard::recording).collect();
    check_new(name, &kept, &recordings)?;
    warnings.extend(unlike(&listener, &kept, &recordings)?);
    let is_new = existing.is_none();
    let mut store = match existing {
        Some(store) => store,
        None => Store::open_or_create(path, &listener.identity)?,
    };
    match args.add {
        true => store.add(name, &recordings)?,
        false => store.enroll([(name.as_str(), &recordings[..])])?,
    }
    remember_model(&listener, &mut store, is_new)?;
    if store.is_open_to_others() {
        let path = path.display();
        warnings.push(format!("other users may read {path}: `chmod 600` keeps them out"));
    }
    for warning in &warnings {
        errln!("warning: {warning}");
    }
    let all = kept.iter().chain(&recordings);
    let (count, seconds) = (all.clone().count(), all.map(|r| r.seconds).sum::<f64>());
    if global.json {
        let all = json!({
            "store": shown(path),
            "name": name,
            "added": recordings.len(),
            "recordings": count,
            "speech_seconds": seconds,
            "files": heard.iter().map(Heard::json).collect::<Vec<_>>(),
            "warnings": warnings,
            "default_model": listener.json(),
        });
        outln!("{all}");
        return Ok(());
    }
    for heard in &heard {
        outln!("{}: {}", heard.path.display(), heard.text());
    }
    let count = counted(count, "recording");
    outln!("{name} has {count}, {seconds:.1} s of speech, in {}", path.display());
    Ok(())
}

/// Keeps where the model's file is, and says so if the store had another one.
fn remember_model(listener: &Listener, store: &mut Store, is_new: bool) -> Result<()> {
    let (Some(file), before) = (listener.path()?, store.model_path()?) else { return Ok(()) };
    if before.as_ref() == Some(&file) {
        return Ok(());
    }
    store.set_model_path(&file)?;
    if is_new {
        return Ok(());
    }
    let scoring = before.as_ref().and_then(|file| read_header(file).ok()).map(|h| h.scoring);
    let what = match scoring.as_ref() == Some(&listener.model.header.scoring) {
        true => "both decide alike",
        false => "its thresholds, its calibration and its mean are used from now on",
    };
    let before = before.as_deref().unwrap_or("the one inside the program");
    let path = store.path().display();
    note!("{path}: the store's model is now {file} in the place of {before}; {what}");
    Ok(())
}

/// Refuses a path that is there twice.
fn check_paths(files: &[PathBuf]) -> Result<()> {
    match (1..files.len()).find(|&i| files[..i].contains(&files[i])) {
        Some(i) => Err(misused(&files[i], "is named twice")),
        None => Ok(()),
    }
}

/// Refuses a recording that would count twice in the voice, whatever its files are called: what has
/// one embedding, bit for bit, is one recording. The store keeps no two recordings of one name.
fn check_new(voice: &str, kept: &[Recording], new: &[Recording]) -> Result<()> {
    let bits = |recording: &Recording| bytes::from_f32(&recording.embedding);
    let known: Vec<Vec<u8>> = kept.iter().chain(new).map(bits).collect();
    let all: Vec<&Recording> = kept.iter().chain(new).collect();
    for (i, recording) in all.iter().enumerate().skip(kept.len()) {
        let file = &recording.file;
        let same = known[..i].iter().position(|other| *other == known[i]);
        let message = match same {
            Some(place) if all[place].file == *file => {
                format!("is among the recordings of `{voice}` already")
            }
            Some(place) if place < kept.len() => {
                let other = &all[place].file;
                format!("is among the recordings of `{voice}` already, as {other}")
            }
            Some(place) => format!("is the same recording as {}", all[place].file),
            None if kept.iter().any(|other| other.file == *file) => format!(
                "`{voice}` has a recording of this name with another embedding; to add this one \
                 too, spell its path in another way, such as the whole path"
            ),
            None => continue,
        };
        return Err(Error::file(file, message));
    }
    Ok(())
}

/// A warning if a new recording and another one of the voice score below the model's threshold.
///
/// # Errors
/// An embedding without direction, or a mean of all without one.
fn unlike(listener: &Listener, kept: &[Recording], new: &[Recording]) -> Result<Option<String>> {
    let all: Vec<&Recording> = kept.iter().chain(new).collect();
    let dim = listener.identity.dim;
    let mut embeddings = Embeddings::new(dim);
    let mut mean = vec![0.0f64; dim];
    for Recording { file, embedding, .. } in all.iter().copied() {
        embeddings.push(file, embedding)?;
        mean.iter_mut().zip(embedding).for_each(|(m, &x)| *m += f64::from(x) / all.len() as f64);
    }
    let mean: Vec<f32> = mean.into_iter().map(|x| x as f32).collect();
    embeddings.push("mean of all recordings", &mean)?;
    let scorer = Scorer::new(&embeddings, listener.wide_mean())?;
    let Some(threshold) = listener.model.header.scoring.threshold_eer else { return Ok(None) };
    let pairs = (kept.len()..all.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let scores = pairs.map(|(a, b)| (scorer.score(a, b), a, b));
    let worst = scores.min_by(|a, b| a.0.total_cmp(&b.0));
    Ok(worst.filter(|(score, ..)| *score < threshold).map(|(score, a, b)| {
        let [a, b] = [a, b].map(|place| &all[place].file);
        format!(
            "{a} and {b} score {score:.4}, below the model's threshold {threshold:.4}: are both \
             recordings of one person?"
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_known_by_its_embedding() {
        let of = |file: &str, x: f32| Recording {
            file: file.into(),
            seconds: 1.0,
            embedding: vec![1.0, x],
        };
        let kept = [of("a.wav", 0.0), of("b.wav", 1.0)];
        let check = |new: &[Recording]| check_new("anna", &kept, new).map_err(|e| e.to_string());
        check(&[of("c.wav", 0.5), of("./a.wav", 2.0)]).unwrap();
        let refused = |new: &[Recording], wanted: &str| {
            let error = check(new).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        };
        refused(&[of("b.wav", 1.0)], "b.wav: is among the recordings of `anna` already");
        refused(&[of("./a.wav", 0.0)], "./a.wav: is among the recordings of `anna` already, as a.");
        refused(&[of("c", 3.0), of("./c", 3.0)], "./c: is the same recording as c");
        refused(&[of("a.wav", 1.0f32.next_up())], "this name with another embedding");
        let error = check_paths(&["x".into(), "y".into(), "x".into()]).unwrap_err().to_string();
        assert_eq!(error, "x: is named twice");
    }
}
