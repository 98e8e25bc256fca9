//! `revox eval`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::json;

use super::Global;
use crate::corpus::{read_trials, read_utt2spk};
use crate::error::{Error, Result};
use crate::fs;
use crate::progress::Progress;
use crate::scoring::{Curve, Intervals, bootstrap, det_csv, det_svg, read_scores, speakers_from_targets};

/// Error rates of a score file.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  revox eval scores --det det.svg\n  revox eval scores --trials dev/trials.txt --utt2spk dev/utt2spk --json"
)]
pub struct Args {
    /// Scores: `enroll test score [label]` a line.
    scores: PathBuf,
    /// Trials with labels, for score files without.
    #[arg(long)]
    trials: Option<PathBuf>,
    /// Speakers, for the intervals; otherwise utterances that target trials connect count as one speaker's.
    #[arg(long)]
    utt2spk: Option<PathBuf>,
    /// Write the DET curve here (.svg, or .csv for its points).
    #[arg(long)]
    det: Option<PathBuf>,
    /// Resamplings behind the 95 % intervals; 0 for none.
    #[arg(long, default_value_t = 1000)]
    replicates: usize,
}

/// False-accept rates whose thresholds are reported.
const FARS: [f64; 4] = [0.1, 0.01, 0.001, 0.0001];
/// Priors of minDCF.
const PRIORS: [f64; 2] = [0.01, 0.05];

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let scored = read_scores(&args.scores)?;
    let listed: HashMap<(String, String), bool> = match &args.trials {
        None => HashMap::new(),
        Some(path) => {
            let labelled = |t: crate::corpus::Trial| Some(((t.enroll, t.test), t.target?));
            read_trials(path)?.into_iter().filter_map(labelled).collect()
        }
    };
    let mut trials = Vec::with_capacity(scored.len());
    for (i, t) in scored.iter().enumerate() {
        let label = match &args.trials {
            Some(_) => listed.get(&(t.enroll.clone(), t.test.clone())).copied(),
            None => t.label,
        };
        let label = label.ok_or_else(|| {
            let from = args.trials.as_ref().map_or("give --trials".into(), |p| format!("it is not in {}", p.display()));
            Error::file(&args.scores, format!("score {}: no label for {} {}; {from}", i + 1, t.enroll, t.test))
        })?;
        trials.push((t.enroll.as_str(), t.test.as_str(), t.score, label));
    }
    let curve = Curve::new(trials.iter().map(|t| (t.2, t.3))).map_err(|e| Error::file(&args.scores, e.to_string()))?;
    let intervals = match args.replicates {
        0 => None,
        n => intervals(args, &trials, n, global).map_or_else(
            |e| {
                eprintln!("warning: {e}");
                None
            },
            Some,
        ),
    };
    if let Some(path) = &args.det {
        let stem = args.scores.file_stem().unwrap_or_default().to_string_lossy();
        let text = match path.extension().and_then(|e| e.to_str()) {
            Some("csv") => det_csv(&curve),
            _ => det_svg(&curve, &stem)?,
        };
        fs::write_bytes(path, text.as_bytes())?;
    }
    print(&curve, intervals.as_ref(), global);
    Ok(())
}

fn intervals(args: &Args, trials: &[(&str, &str, f64, bool)], replicates: usize, global: &Global) -> Result<Intervals> {
    let speakers: HashMap<&str, u32> = match &args.utt2spk {
        None => speakers_from_targets(trials.iter().map(|t| (t.0, t.1, t.3))),
        Some(path) => {
            let map = read_utt2spk(path)?;
            let mut numbers: HashMap<String, u32> = HashMap::new();
            let mut speakers = HashMap::new();
            for id in trials.iter().flat_map(|t| [t.0, t.1]) {
                let stem = std::path::Path::new(id).file_stem().and_then(|s| s.to_str()).unwrap_or(id);
                let (speaker, _) = map
                    .get(id)
                    .or_else(|| map.get(stem))
                    .ok_or_else(|| Error::file(path, format!("no speaker for `{id}`, so no interval")))?;
                let next = numbers.len() as u32;
                speakers.insert(id, *numbers.entry(speaker.clone()).or_insert(next));
            }
            speakers
        }
    };
    let trials: Vec<_> = trials.iter().map(|t| (t.2, t.3, speakers[t.0], speakers[t.1])).collect();
    let progress = Mutex::new(Progress::new("resampling speakers", replicates, global.quiet));
    let done = || progress.lock().expect("no holder panics").add(1);
    bootstrap(&trials, &PRIORS, replicates, global.seed.unwrap_or(0), &done)
}

fn print(curve: &Curve, intervals: Option<&Intervals>, global: &Global) {
    let eer = curve.eer();
    let dcf = PRIORS.map(|p| curve.min_dcf(p));
    let finite = |x: f64| if x.is_finite() { json!(x) } else { serde_json::Value::Null };
    if global.json {
        let pair = |i: crate::scoring::Interval| json!([i.low, i.high]);
        let at: Vec<_> = FARS
            .iter()
            .map(|&far| {
                let p = curve.at_far(far);
                json!({"far": far, "threshold": finite(p.threshold), "fpr": p.fpr, "fnr": p.fnr})
            })
            .collect();
        let out = json!({
            "eer": eer.rate,
            "eer_ci95": intervals.map(|i| pair(i.eer)),
            "min_dcf": {"0.01": dcf[0].cost, "0.05": dcf[1].cost},
            "min_dcf_ci95": intervals.map(|i| json!({"0.01": pair(i.min_dcf[0]), "0.05": pair(i.min_dcf[1])})),
            "threshold_eer": finite(eer.threshold),
            "thresholds": at,
            "targets": curve.targets,
            "nontargets": curve.nontargets,
            "speakers": intervals.map(|i| i.speakers),
        });
        println!("{out}");
        return;
    }
    let range = |i: crate::scoring::Interval, f: f64| format!("   95 % interval {:.3} to {:.3}", f * i.low, f * i.high);
    println!("trials        {} targets, {} nontargets", curve.targets, curve.nontargets);
    println!("EER           {:.3} %{}", 100.0 * eer.rate, intervals.map_or(String::new(), |i| range(i.eer, 100.0)));
    for (k, p) in PRIORS.iter().enumerate() {
        println!("minDCF({p})  {:.4}{}", dcf[k].cost, intervals.map_or(String::new(), |i| range(i.min_dcf[k], 1.0)));
    }
    println!("threshold at EER {:.6}", eer.threshold);
    for far in FARS {
        let p = curve.at_far(far);
        println!("threshold at false-accept rate {far}: {:.6} (misses {:.2} %)", p.threshold, 100.0 * p.fnr);
    }
    if let Some(i) = intervals {
        println!("intervals from {} resamplings of {} speakers", i.replicates, i.speakers);
    }
}
