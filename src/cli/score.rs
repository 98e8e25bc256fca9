//! `revox score`.

mod cascade;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use self::cascade::Cascade;
use super::values::counted;
use super::{Global, shown, tell};
use crate::archive::input_files;
use crate::corpus::{Names, Text, TrialList, Words, read_utt2spk, read_wav_scp};
use crate::error::{Error, Result};
use crate::fs;
use crate::progress::Progress;
use crate::scoring::{AsNorm, Embeddings, Normaliser, Scorer, write_scored};
use crate::terminal::{errln, note};

/// Scores of trials: cosine, with mean subtraction and AS-norm where asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox score dev.safetensors dev/trials.txt -o scores
  revox score dev.safetensors trials.txt -o scores --cohort train.safetensors
  revox score wav.scp trials.txt -o scores --cascade small:large --band -2:2")]
pub struct Args {
    /// Embeddings by utterance id; with --cascade the list of recordings.
    embeddings: PathBuf,
    /// Trials: `label enroll test` or `enroll test [label]` a line.
    trials: PathBuf,
    /// Output: `enroll test score [label]` a line; `-` is standard output.
    #[arg(long, short)]
    output: PathBuf,
    /// List that the embeddings were made of. Trials may name its files or the ends of their paths.
    #[arg(long, value_name = "LIST")]
    wav_scp: Option<PathBuf>,
    /// Subtract the mean of these embeddings first (from the cohort's, too).
    #[arg(long)]
    mean: Option<PathBuf>,
    /// AS-norm with these embeddings.
    #[arg(long)]
    cohort: Option<PathBuf>,
    /// Speakers of the cohort's utterances: the cohort is then one mean embedding a speaker.
    #[arg(long, requires = "cohort")]
    utt2spk: Option<PathBuf>,
    /// How many of the nearest cohort members count, at most.
    #[arg(long, default_value_t = 300, requires = "cohort")]
    top_n: usize,
    #[command(flatten)]
    cascade: Cascade,
}

/// Normalised scores count standard deviations. Where a score is larger than this, the deviation is
/// too small to mean anything.
const WILD: f64 = 1000.0;

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if let Some(models) = args.cascade.models() {
        let [list, trials, output] = [&args.embeddings, &args.trials, &args.output];
        return cascade::run(models, &args.cascade, list, trials, output, global);
    }
    check_output(args)?;
    let embeddings = Embeddings::load(&args.embeddings)?;
    let mut words = Words::default();
    let list = read_list(&args.trials, &mut words, global)?;
    let places = places(args, &embeddings, &words)?;
    let mean = args.mean.as_ref().map(|p| Embeddings::load(p).map(|e| e.mean())).transpose()?;
    let scorer = Scorer::for_places(&embeddings, mean.clone(), places.iter().copied())
        .map_err(|e| Error::file(&args.embeddings, e.to_string()))?;
    let cohort = args.cohort.as_ref();
    let norm =
        cohort.map(|path| normaliser(args, path, &scorer, mean, &places, global)).transpose()?;
    // The first trial whose score is above `WILD`.
    let wild = AtomicUsize::new(usize::MAX);
    let score = |trial: usize| {
        let pair = list.trials()[trial];
        let [a, b] = [pair.enroll(), pair.test()].map(|word| places[word as usize]);
        let Some(norm) = &norm else { return scorer.score(a, b) };
        let score = norm.score(&scorer, a, b);
        if score.abs() > WILD {
            wild.fetch_min(trial, Ordering::Relaxed);
        }
        score
    };
    let count = list.trials().len();
    let mut progress = Progress::new("scoring", count, global.quiet);
    let written = write_scored(&args.output, &words, list.trials(), &score, &mut |trials| {
        progress.add(trials)
    });
    drop(progress);
    let trial = wild.load(Ordering::Relaxed);
    if trial < count {
        let (name, line, score) =
            (args.trials.display(), list.text().line_of(trial)?, score(trial));
        errln!(
            "warning: {name}:{line}: AS-norm gives {score:.0}: the cohort's nearest are nearly one \
             and the same"
        );
    }
    written?;
    let text = match global.json {
        true => json!({"trials": count, "output": shown(&args.output)}).to_string(),
        false => format!("{} in {}", counted(count, "score"), args.output.display()),
    };
    tell(&args.output, &text);
    Ok(())
}

/// Refuses an output that cannot be written or that is an input.
fn check_output(args: &Args) -> Result<()> {
    let embeddings = [&args.mean, &args.cohort].into_iter().flatten().chain([&args.embeddings]);
    let embeddings: Vec<PathBuf> = embeddings.flat_map(|path| input_files(path)).collect();
    let lists = [&args.wav_scp, &args.utt2spk].into_iter().flatten().chain([&args.trials]);
    let inputs: Vec<&Path> = lists.chain(&embeddings).map(PathBuf::as_path).collect();
    fs::check_outputs(&[&args.output], &inputs)
}

fn read_list(path: &Path, words: &mut Words, global: &Global) -> Result<TrialList> {
    let text = Text::open(path)?;
    let mut progress = Progress::new("reading trials", text.size(), global.quiet);
    TrialList::read(text, words, &mut |bytes| progress.add(bytes))
}

/// The embedding of each word of the trials.
fn places(args: &Args, embeddings: &Embeddings, words: &Words) -> Result<Vec<usize>> {
    let files = args.wav_scp.as_ref().map_or(Ok(Vec::new()), read_wav_scp)?;
    let listed: Vec<(usize, &str)> = files
        .iter()
        .filter_map(|(id, file, _)| Some((embeddings.position(id)?, file.as_str())))
        .collect();
    if let Some(list) = &args.wav_scp
        && listed.is_empty()
    {
        return Err(Error::file(
            list,
            format!("has none of the utterances of {}", args.embeddings.display()),
        ));
    }
    let mut names = Names::new(&args.embeddings, embeddings.ids());
    for (place, file) in listed {
        names.add_file(place, file);
    }
    let words: Vec<(&str, usize)> = words.iter().collect();
    let resolved = names.resolve_distinct(&args.trials, &words).map_err(|e| match e {
        Error::Line { path, line, message }
            if args.wav_scp.is_none() && words.iter().any(|w| w.0.contains('/')) =>
        {
            Error::line(
                path,
                line,
                format!("{message}; --wav-scp LIST tells which files the embeddings are of"),
            )
        }
        other => other,
    })?;
    if let Some(text) = resolved.note {
        note!("{text}");
    }
    Ok(resolved.places)
}

/// AS-norm for the utterances of the trials.
fn normaliser(
    args: &Args,
    path: &Path,
    scorer: &Scorer,
    mean: Option<Vec<f64>>,
    places: &[usize],
    global: &Global,
) -> Result<Normaliser> {
    let mut cohort = Embeddings::load(path)?;
    if let Some(list) = &args.utt2spk {
        let speakers = read_utt2spk(list)?;
        cohort = cohort
            .speaker_means(&|id| speakers.get(id).map(|s| s.0.clone()))
            .map_err(|e| Error::file(list, e.to_string()))?;
    }
    let at_fault = |e: Error| Error::file(path, e.to_string());
    let cohort = Scorer::new(&cohort, mean).map_err(at_fault)?;
    let norm = AsNorm::new(&cohort, args.top_n).map_err(at_fault)?;
    if norm.top() < args.top_n {
        let n = norm.top();
        let what = if args.utt2spk.is_some() { "speaker" } else { "embedding" };
        note!("{} has {}, so --top-n is {n}", path.display(), counted(n, what));
    }
    let progress = Mutex::new(Progress::new("AS-norm", scorer.embeddings().len(), global.quiet));
    let done = || progress.lock().expect("no holder panics").add(1);
    norm.normaliser(scorer, places.iter().copied(), &done).map_err(at_fault)
}
