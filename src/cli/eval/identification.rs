//! `revox eval --identification`.

use serde_json::{Map, Value, json};

use super::load::{labels, read_list};
use super::{Args, Global};
use crate::corpus::Words;
use crate::error::{Error, Result};
use crate::scoring::{FALSE_ACCEPT_RATES, Identification};
use crate::terminal::{errln, outln};

/// Ranks at which the closed set is reported.
const RANKS: [usize; 3] = [1, 5, 10];

/// Prints the rates of identification of the first score file.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let path = &args.scores[0];
    let mut words = Words::default();
    let mut scores = read_list(path, &mut words, global)?;
    let labels = labels(&mut scores, &mut words, args, global)?;
    if let Some(warning) = &labels.warning {
        errln!("warning: {warning}");
    }
    let found =
        Identification::of(&mut scores.trials).map_err(|e| Error::file(path, e.to_string()))?;
    if found.incomplete > 0 {
        errln!(
            "warning: {} of {} probes have no score with some of the {} models; their ranks are \
             among the models that they have a score with",
            found.incomplete,
            found.mated() + found.non_mated(),
            found.models
        );
    }
    match global.json {
        true => outln!("{}", as_json(&found, labels.unscored)),
        false => outln!("{}", text(&found)),
    }
    Ok(())
}

fn as_json(found: &Identification, unscored: Option<usize>) -> Value {
    let cmc: Map<String, Value> =
        RANKS.iter().map(|rank| (rank.to_string(), json!(found.cmc(*rank)))).collect();
    let at = |fpir: &f64| {
        let at = found.at_fpir(*fpir, 1)?;
        // Nothing is accepted where there is no threshold.
        let threshold = Some(at.threshold).filter(|t| t.is_finite());
        Some(json!({
            "fpir_wanted": fpir, "threshold": threshold, "fpir": at.fpir, "fnir": at.fnir,
        }))
    };
    json!({
        "models": found.models,
        "mated": found.mated(),
        "non_mated": found.non_mated(),
        "incomplete": found.incomplete,
        "cmc": cmc,
        "open_set": FALSE_ACCEPT_RATES.iter().map(at).collect::<Option<Vec<Value>>>(),
        "unscored": unscored,
    })
}

fn text(found: &Identification) -> String {
    let (mated, others) = (found.mated(), found.non_mated());
    let mut lines =
        vec![format!("probes        {mated} mated, {others} not; {} models", found.models)];
    for rank in RANKS {
        let share = 100.0 * found.cmc(rank);
        lines.push(format!(
            "rank {rank:<9}{share:.2} % of mated probes have their own model there or before"
        ));
    }
    if others == 0 {
        lines.push("no open set: every probe is mated".to_owned());
    }
    for fpir in FALSE_ACCEPT_RATES {
        let Some(at) = found.at_fpir(fpir, 1) else { continue };
        let threshold = match at.threshold.is_finite() {
            true => format!("threshold {:.6}", at.threshold),
            false => "nothing is accepted".to_owned(),
        };
        let few = match fpir * (others as f64) < 1.0 {
            true => "; too few probes that are not mated to tell",
            false => "",
        };
        lines.push(format!("FNIR at FPIR {fpir}: {:.2} % ({threshold}{few})", 100.0 * at.fnir));
    }
    lines.join("\n")
}
