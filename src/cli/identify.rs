//! `revox identify`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::decision::{Verdict, Wanted};
use super::embed::LeftOut;
use super::remedy::told;
use super::values::{at_least, counted};
use super::voices::{HINT, Heard, Listener, numbers, numbers_json};
use super::{Global, outputs, shown};
use crate::error::{Error, Result};
use crate::scoring::{Found, Store, VoiceIndex};
use crate::terminal::{errln, note, outln};

/// Whose voice is it? Searches a store for the voices most like recordings.
///
/// The voice with the highest score is named if the decision accepts it; otherwise it is nobody in
/// the store.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  revox identify voices.db call.wav
  revox identify voices.db a.wav b.wav --top 3 --far 0.01
  revox identify voices.db *.wav --skip-errors")]
pub struct Args {
    /// The store.
    store: PathBuf,
    /// Recordings, each of one person.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How many voices to name, the most similar first.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least::<1>)]
    top: usize,
    /// The store's model. Without this option it is that of the last enrolment.
    #[arg(long)]
    model: Option<PathBuf>,
    #[command(flatten)]
    wanted: Wanted,
    /// Channel, from 0, to read of every file. Files of several channels need it.
    #[arg(long)]
    channel: Option<usize>,
    /// Leave out files that cannot be read, or that hold too little speech, with a warning for each
    /// of the first.
    #[arg(long)]
    skip_errors: bool,
    /// Where to list what was left out: `file reason` a line.
    #[arg(long, value_name = "FILE", requires = "skip_errors")]
    skipped: Option<PathBuf>,
}

/// What is said of a recording.
struct Answer<'a> {
    heard: Heard,
    /// Names and verdicts, the most similar voice first.
    candidates: Vec<(&'a str, Verdict)>,
}

impl<'a> Answer<'a> {
    /// Searches for a recording.
    fn of(
        heard: Heard,
        index: &'a VoiceIndex,
        top: usize,
        judge: &dyn Fn(&Found, &Heard) -> Result<Verdict>,
    ) -> Result<Self> {
        let found = index
            .search(&heard.embedding, top)
            .map_err(|e| e.retold(|text| Error::file(&heard.path, text)))?;
        let mut candidates = Vec::with_capacity(found.len());
        for found in found {
            candidates.push((index.name(found.place), judge(&found, &heard)?));
        }
        Ok(Self { heard, candidates })
    }

    /// The most similar voice, with its verdict.
    fn best(&self) -> Option<(&'a str, &Verdict)> {
        self.candidates.first().map(|(name, verdict)| (*name, verdict))
    }

    /// Whose voice it is, if the decision accepts one.
    fn identified(&self) -> Option<&'a str> {
        self.best().filter(|(_, verdict)| verdict.same == Some(true)).map(|(name, _)| name)
    }

    fn warnings(&self) -> Vec<String> {
        let path = self.heard.path.display();
        let of_verdict = self.best().into_iter().flat_map(|(_, verdict)| &verdict.warnings);
        let of_verdict = of_verdict.map(|warning| format!("{path}: {warning}"));
        self.heard.warnings().into_iter().chain(of_verdict).collect()
    }

    fn json(&self) -> Value {
        let mut all = self.heard.json();
        let candidates = self.candidates.iter().map(|(name, verdict)| numbers_json(name, verdict));
        all["candidates"] = candidates.collect();
        all["identified"] = json!(self.identified());
        all["basis"] = json!(self.best().map(|(_, verdict)| &verdict.basis));
        all
    }

    /// Probabilities are those at this prior.
    fn print(&self, prior: f64) {
        let decided = self.best().and_then(|(_, verdict)| verdict.same);
        let who = match (self.identified(), decided) {
            (Some(name), _) => name,
            (None, Some(_)) => "nobody in the store",
            (None, None) => "no decision",
        };
        outln!("{}: {who}", self.heard.path.display());
        for (name, verdict) in &self.candidates {
            outln!("  {}   {name}", numbers(verdict, prior));
        }
        outln!("  {}", self.heard.text());
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    if let Some(list) = &args.skipped {
        let others = [Some(&args.store), args.model.as_ref()].into_iter().flatten();
        let inputs: Vec<&Path> = others.chain(&args.files).map(PathBuf::as_path).collect();
        outputs::check(&[list.as_path()], &inputs)?;
    }
    let store = Store::open(&args.store)?;
    let listener = Listener::of(Some(&store), args.model.as_deref(), global.open()?)?;
    let decider = listener.decider(&args.wanted)?;
    let index = store.index(listener.mean())?;
    if index.is_empty() {
        return Err(Error::file(&args.store, "holds no voices: `revox enroll` adds some"));
    }
    let judge = |found: &Found, heard: &Heard| listener.verdict(&decider, &index, found, heard);
    let (mut answers, mut left_out) = (Vec::<Answer>::new(), LeftOut::default());
    listener.hear_each(&args.files, args.channel, &mut |file, heard| {
        match heard.and_then(|heard| Answer::of(heard, &index, args.top, &judge)) {
            Ok(answer) => answers.push(answer),
            Err(e) if args.skip_errors => left_out.add(&shown(file), &told(&e)),
            Err(e) if args.files.len() > 1 => {
                return Err(e.and("--skip-errors leaves out what cannot be read"));
            }
            Err(e) => return Err(e),
        }
        Ok(())
    })?;
    // Also where nothing else is left: this list alone has all reasons.
    if let Some(list) = &args.skipped {
        left_out.write(list)?;
    }
    if answers.is_empty() {
        let all = args.files.len();
        return Err(Error::Undefined(format!("none of {all} files could be read")));
    }
    let left_out = left_out.entries();
    let warnings: Vec<String> = answers.iter().flat_map(Answer::warnings).collect();
    for warning in &warnings {
        errln!("warning: {warning}");
    }
    if global.json {
        let all = json!({
            "files": answers.iter().map(Answer::json).collect::<Vec<_>>(),
            "voices": index.len(),
            "prior": decider.is_calibrated().then(|| decider.prior()),
            "skipped": left_out.len(),
            "left_out": left_out
                .iter()
                .map(|(file, reason)| json!({"file": file, "error": reason}))
                .collect::<Vec<_>>(),
            "warnings": warnings,
            "default_model": listener.json(),
        });
        outln!("{all}");
        return Ok(());
    }
    answers.iter().for_each(|answer| answer.print(decider.prior()));
    match answers.first().and_then(Answer::best) {
        Some((_, verdict)) if verdict.same.is_some() => outln!("decided by {}", verdict.basis),
        _ => note!("{HINT}"),
    }
    if !left_out.is_empty() {
        outln!("{} left out", counted(left_out.len(), "file"));
    }
    Ok(())
}
