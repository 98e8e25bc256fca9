//! What a cascade has reached, and at which cost.

use std::path::Path;

use serde_json::{Value, json};

use super::cost::Costs;
use crate::cli::shown;
use crate::cli::values::counted;
use crate::error::Result;
use crate::scoring::{Band, ChosenBand, Curve, Eer, PRIORS};

/// Error rates of one list of scores.
pub(super) struct Rates {
    eer: Eer,
    /// minDCF at the first of the priors.
    min_dcf: f64,
}

/// The error rates of LLRs.
///
/// # Errors
/// Those of [`Curve::new`].
pub(super) fn rates(llrs: &[f64], labels: &[bool]) -> Result<Rates> {
    let curve = Curve::new(llrs.iter().copied().zip(labels.iter().copied()))?;
    Ok(Rates { eer: curve.eer(), min_dcf: curve.min_dcf(PRIORS[0]).cost })
}

/// What is told of the work. Three values are of the small model alone, of the large one alone, and
/// of both as a cascade.
pub(super) struct Report<'a> {
    pub output: &'a Path,
    pub trials: usize,
    pub band: Band,
    /// The choice of the band, and the loss that it was made for.
    pub chosen: Option<(ChosenBand, f64)>,
    /// Trials in the band.
    pub unclear: usize,
    pub costs: Costs,
    /// The two models.
    pub paths: [&'a Path; 2],
    pub rates: [Option<Rates>; 3],
}

const NAMES: [&str; 3] = ["small", "large", "cascade"];

impl Report<'_> {
    fn share(&self) -> f64 {
        self.unclear as f64 / self.trials as f64
    }

    pub fn json(&self) -> Value {
        let mut all = json!({
            "trials": self.trials,
            "output": shown(self.output),
            "band": self.band.to_string(),
            "share": self.share(),
            "unclear": self.unclear,
            "chosen": self.chosen.map(|(chosen, loss)| json!({
                "loss": loss,
                "share": chosen.share,
                "eer": chosen.eer,
                "small_eer": chosen.small_eer,
                "large_eer": chosen.large_eer,
            })),
        });
        for (i, name) in NAMES.into_iter().enumerate() {
            let rates = self.rates[i].as_ref();
            let mut dcf = serde_json::Map::new();
            dcf.extend(rates.map(|rates| (PRIORS[0].to_string(), json!(rates.min_dcf))));
            all[name] = json!({
                "model": self.paths.get(i).map(|path| shown(path)),
                "eer": rates.map(|rates| rates.eer.rate),
                "min_dcf": dcf,
                "macs_per_trial": self.costs.anew[i],
                "macs_per_trial_kept": self.costs.kept[i],
                "embedded": self.costs.recordings.get(i),
            });
        }
        all
    }

    pub fn text(&self) -> String {
        let (trials, unclear) = (counted(self.trials, "score"), self.unclear);
        let [small, large] = self.costs.recordings;
        let mut text = format!(
            "{trials} in {}, {unclear} of the large model ({:.1} %): LLRs in {} of the small one\n\
             the large model embeds {large} of {}\n",
            self.output.display(),
            100.0 * self.share(),
            self.band,
            counted(small, "recording"),
        );
        if let Some((chosen, loss)) = self.chosen {
            let percent = |rate: f64| format!("{:.2} %", 100.0 * rate);
            text += &format!(
                "band chosen for {loss} above the large model's EER: {:.1} % of the trials; EER \
                 {}, small {}, large {}\n",
                100.0 * chosen.share,
                percent(chosen.eer),
                percent(chosen.small_eer),
                percent(chosen.large_eer),
            );
        }
        let dcf = format!("minDCF({})", PRIORS[0]);
        let heads = ["billions a trial", "embedding once"];
        text += &format!("{:8} {:>8} {dcf:>12} {:>17} {:>15}", "", "EER", heads[0], heads[1]);
        for (i, name) in NAMES.into_iter().enumerate() {
            let rates = self.rates[i].as_ref();
            let eer = rates.map_or_else(|| "-".to_owned(), |rates| rates.eer.to_string());
            let dcf = rates.map_or_else(|| "-".to_owned(), |rates| format!("{:.4}", rates.min_dcf));
            let [anew, kept] = [self.costs.anew[i], self.costs.kept[i]].map(|macs| macs / 1e9);
            text += &format!("\n{name:8} {eer:>8} {dcf:>12} {anew:>17.4} {kept:>15.4}");
        }
        text += "\nThe last two columns are billions of multiplications, means of all trials: if \
                 each trial embeds its test recording anew, and if each recording of the list is \
                 embedded once and its embedding is kept.";
        text
    }
}
